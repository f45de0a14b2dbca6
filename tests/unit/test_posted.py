"""Which bytes are one plain request: those that aiohttp would read in the same way, and nothing that is in doubt."""

from __future__ import annotations

import httptools
import pytest
from aiohttp import hdrs
from hypothesis import event, given, settings
from hypothesis import strategies as st

from collector.web.posted import REMEMBERED_BYTES, read_post

HEAD = b"POST /v1/collect?site=a%20key HTTP/1.1\r\nHost: x\r\n"
PLAIN = HEAD + b"Content-Length: 2\r\n\r\n{}"


def with_headers(*lines: bytes, body: bytes = b"{}") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return HEAD + b"".join(b"%b\r\n" % line for line in (*lines, length)) + b"\r\n" + body


NOT_PLAIN = {
    "nothing": b"",
    "cut in the first line": PLAIN[:20],
    "cut in the headers": PLAIN[:60],
    "cut in the body": PLAIN[:-1],
    "a byte too many": PLAIN + b"x",
    "two requests": PLAIN + PLAIN,
    "one and a half": PLAIN + PLAIN[:30],
    "without a body": HEAD + b"\r\n",
    "with an empty body": with_headers(body=b""),
    "with two lengths": with_headers(b"Content-Length: 1"),
    "with another length": with_headers(b"content-length: 2"),
    "with another length first": with_headers(b"content-length:2"),
    "with a length in a target": b"POST /\r\nContent-Length: 2\r\n HTTP/1.1\r\nHost: x\r\n\r\n{}",
    "with a length after its head": HEAD + b"\r\nContent-Length: 2\r\n\r\n{}",
    "with a head that ends early": with_headers(b"X: a\n\nY: b"),
    "with a length of more digits": HEAD + b"Content-Length: 02\r\n\r\n{}",
    "with a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "with a length and a space": HEAD + b"Content-Length: 2 \r\n\r\n{}",
    "with a length in capitals": HEAD + b"CONTENT-LENGTH: 2\r\n\r\n{}",
    "with a length that is no number": HEAD + b"Content-Length: two\r\n\r\n{}",
    "in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "with an encoding of its own": with_headers(b"Transfer-Encoding: identity"),
    "asking first": with_headers(b"Expect: 100-continue"),
    "the last one": with_headers(b"Connection: close"),
    "about to change": with_headers(b"Connection: upgrade", b"Upgrade: websocket"),
    "old": PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "older": PLAIN.replace(b" HTTP/1.1", b""),
    "with a folded line": with_headers(b"X: a\r\n b"),
    "with a space in a name": with_headers(b"X Y: a"),
    "with a control character": with_headers(b"X: \x00"),
    "with lines of other ends": PLAIN.replace(b"\r\n", b"\n"),
    "with much in its head": with_headers(b"Cookie: " + b"c" * 8_190),
    "to an address in another spelling": PLAIN.replace(b"a%20key", "schlüssel".encode()),
}


@pytest.mark.parametrize("data", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_in_doubt_is_left_to_aiohttp_and_disturbs_nobody(data: bytes) -> None:
    assert read_post(data, None) is None
    posted = read_post(PLAIN, "192.0.2.1")
    assert posted is not None
    assert (posted.raw_path, posted.remote, posted.body) == ("/v1/collect?site=a%20key", "192.0.2.1", b"{}")


def test_headers_that_the_checks_look_at_are_found_in_any_case() -> None:
    posted = read_post(
        with_headers(
            b"ORIGIN: https://shop.example",
            b"cookie:a=b ",
            b"X-Forwarded-For: 192.0.2.1",
            b"x-forwarded-for: 192.0.2.2",
            b"User-Agent: caf\xc3\xa9 \xff",
            b"X-Else: 1",
        ),
        None,
    )
    assert posted is not None
    assert posted.headers[hdrs.ORIGIN] == "https://shop.example"
    assert posted.headers[hdrs.COOKIE] == "a=b"
    assert posted.headers.getall("X-Forwarded-For") == ["192.0.2.1", "192.0.2.2"]
    assert posted.headers[hdrs.USER_AGENT] == "café \udcff"
    assert "X-Else" not in posted.headers


def test_the_query_is_decoded() -> None:
    posted = read_post(PLAIN, None)
    assert posted is not None
    assert posted.query["site"] == "a key"


class Seen:
    """What llhttp makes of bytes that it is given as they are."""

    def __init__(self, data: bytes) -> None:
        self.targets: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.ended = 0
        httptools.HttpRequestParser(self).feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.targets.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip()))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ended += 1


LINES = (
    *(b"Origin: a", b"Origin: a", b"Cookie: b", b"cookie:c ", b"X: 1"),
    *(b"", b" folded", b"X: a\nY: b", b"X: a\n", b"X: a\r", b"X", b"X Y: 1", b"X: \x00"),
    *(
        b"Content-Length: 2",
        b"content-length: 2",
        b"Content-Length:2",
        b"Content-Length: 30",
        b"Transfer-Encoding: chunked",
    ),
)
BODIES = (b"{}", b"{}\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"\r\n", PLAIN)
SOME_LINES = st.lists(st.sampled_from(LINES), max_size=3)


@settings(max_examples=1000)
@given(SOME_LINES, st.sampled_from([b"Content-Length", b"content-length"]), SOME_LINES, st.sampled_from(BODIES))
def test_what_is_taken_is_what_llhttp_reads_in_the_whole(
    before: list[bytes], name: bytes, after: list[bytes], body: bytes
) -> None:
    length = b"%b: %d" % (name, len(body))
    data = HEAD + b"".join(b"%b\r\n" % line for line in (*before, length, *after)) + b"\r\n" + body
    posted = read_post(data, None)
    event(f"taken: {posted is not None}")
    if posted is not None:
        seen = Seen(data)
        assert (seen.targets, seen.body, seen.ended) == ([posted.raw_path.encode()], posted.body, 1)
        for kept in ("Origin", "Cookie"):
            values = [value.decode() for name, value in seen.headers if name == kept.lower().encode()]
            assert posted.headers.getall(kept, []) == values


@pytest.mark.parametrize("spelling", [b"Content-Length", b"content-length"])
@pytest.mark.parametrize("cookie", ["a=b", "a=" + "c" * REMEMBERED_BYTES])
def test_what_was_said_before_is_read_once_whatever_the_body(spelling: bytes, cookie: str) -> None:
    def sent(body: bytes, before: bytes, after: bytes) -> bytes:
        length = b"%b: %d\r\n" % (spelling, len(body))
        return HEAD + b"Cookie: %b\r\n" % cookie.encode() + before + length + after + b"\r\n" + body

    origin, other = b"Origin: https://shop.example\r\n", b"Origin: https://other.example\r\n"
    posted = [
        read_post(sent(b"{}", origin, b""), "192.0.2.1"),
        read_post(sent(b'{"a":1}', origin, b""), "192.0.2.2"),
        read_post(sent(b"x" * 50_000, b"", origin), None),
        read_post(sent(b"{}", other, b""), None),
    ]
    assert [post and (post.remote, post.body) for post in posted] == [
        ("192.0.2.1", b"{}"),
        ("192.0.2.2", b'{"a":1}'),
        (None, b"x" * 50_000),
        (None, b"{}"),
    ]
    assert [post and post.headers[hdrs.COOKIE] for post in posted] == [cookie] * 4
    assert [post and post.headers[hdrs.ORIGIN] for post in posted] == [
        *["https://shop.example"] * 3,
        "https://other.example",
    ]
    is_remembered = posted[0] and posted[1] and posted[0].headers is posted[1].headers
    assert is_remembered is (len(cookie) < REMEMBERED_BYTES)
