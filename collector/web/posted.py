"""One plain request from its bytes: whole, of the usual shape, and nothing else with it.

Only what is to be compared is looked for here: where the head ends, and what it says of the body's length. What it says
besides, a browser says again and again, so a head without that line is read once and remembered. It is read by llhttp,
as in aiohttp, through httptools. Whoever is in doubt says None, and aiohttp looks at the same bytes again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import httptools
from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping, istr
from yarl import URL

MAX_HEAD_BYTES = 8190  # a longer one may break a limit of aiohttp's
REMEMBERED_HEADS = 4096
REMEMBERED_BYTES = 2048  # of one head, at most

_END = b"\r\n\r\n"
_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")  # as browsers spell it, and as some proxies do
_BODY = b"{}"  # of the request that a head is read as the head of

# What the checks look at. Whoever uses another header of a batch adds it here; in doubt, the long way has them all.
_KEPT = {
    name.lower().encode(): istr(name)
    for name in (
        hdrs.CONTENT_ENCODING,
        hdrs.CONTENT_TYPE,
        hdrs.COOKIE,
        hdrs.ORIGIN,
        hdrs.USER_AGENT,
        hdrs.X_FORWARDED_FOR,
        "Purpose",
        "Sec-Purpose",
    )
}
_NOT_PLAIN = {name.lower().encode() for name in (hdrs.EXPECT, hdrs.TRANSFER_ENCODING, hdrs.UPGRADE)}


class Posted(NamedTuple):
    """A batch as it was sent, as far as the checks look at it."""

    headers: MultiMapping[str]
    raw_path: str
    remote: str | None
    body: bytes

    @property
    def query(self) -> MultiMapping[str]:
        """The query, decoded."""
        return URL(self.raw_path, encoded=True).query


class _Head(NamedTuple):
    headers: MultiMapping[str]
    raw_path: str


class _Found:
    """What httptools tells of the bytes it is given; the names of the methods are its own."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.is_plain = True
        self.target = self.body = b""
        self.headers: list[tuple[str, str]] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        kept = _KEPT.get(name)
        if kept is not None:
            self.headers.append((kept, value.rstrip(b" \t").decode("utf-8", "surrogateescape")))
        elif name in _NOT_PLAIN:
            self.is_plain = False

    def on_headers_complete(self) -> None:
        if not self.parser.should_keep_alive() or self.parser.get_http_version() != "1.1":
            self.is_plain = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ended += 1


def read_post(data: bytes, remote: str | None) -> Posted | None:
    """The request that `data` is; None for anything but one whole plain request with a body, of HTTP/1.1."""
    end = data.find(_END)
    spelling = _LENGTHS[0]
    at = data.find(spelling, 0, end)
    if at < 0:
        spelling = _LENGTHS[1]
        at = data.find(spelling, 0, end)
    if at < 0 or not 0 < end <= MAX_HEAD_BYTES:
        return None
    body = data[end + len(_END) :]
    after = data.find(b"\r\n", at + 2, end + 2)
    if not body or data[at + len(spelling) : after] != b"%d" % len(body):
        return None
    rest = data[:at] + data[after:end]
    head = _remembered_head(rest) if len(rest) <= REMEMBERED_BYTES else _read_head(rest)
    return None if head is None else Posted(head.headers, head.raw_path, remote, body)


def _read_head(lines: bytes) -> _Head | None:
    """What a head says in `lines`, of which the one about the body's length is missing; None if it is not plain."""
    found = _Found()
    try:
        found.parser.feed_data(b"%b%b%d%b%b" % (lines, _LENGTHS[0], len(_BODY), _END, _BODY))
        if found.is_plain and found.begun == found.ended == 1 and found.body == _BODY:
            return _Head(CIMultiDictProxy(CIMultiDict(found.headers)), found.target.decode("ascii"))
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
        pass
    return None


_remembered_head = lru_cache(REMEMBERED_HEADS)(_read_head)
