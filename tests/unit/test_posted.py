"""Which bytes are one plain request: those that aiohttp would read in the same way, and nothing that is in doubt."""

from __future__ import annotations

import pytest
from aiohttp import hdrs

from collector.web.posted import PostReader

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
    reader = PostReader()
    assert reader.read(data, None) is None
    posted = reader.read(PLAIN, "192.0.2.1")
    assert posted is not None
    assert (posted.raw_path, posted.remote, posted.body) == ("/v1/collect?site=a%20key", "192.0.2.1", b"{}")


def test_headers_that_the_checks_look_at_are_found_in_any_case() -> None:
    posted = PostReader().read(
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
    assert posted.headers[hdrs.CONTENT_LENGTH] == "2"
    assert "X-Else" not in posted.headers


def test_the_query_is_decoded() -> None:
    posted = PostReader().read(PLAIN, None)
    assert posted is not None
    assert posted.query["site"] == "a key"
