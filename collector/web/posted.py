"""One plain request from its bytes: whole, of the usual shape, and nothing else with it.

llhttp decides what is HTTP, as it does in aiohttp; httptools hands over what it finds without building what only other
requests need. Whoever is in doubt says None, and aiohttp looks at the same bytes again.
"""

from __future__ import annotations

from typing import NamedTuple

import httptools
from aiohttp import hdrs
from multidict import CIMultiDict, MultiMapping, istr
from yarl import URL

MAX_HEAD_BYTES = 8190  # a longer one may break a limit of aiohttp's

# What the checks look at. Whoever uses another header of a batch adds it here; in doubt, the long way has them all.
_KEPT = {
    name.lower().encode(): istr(name)
    for name in (
        hdrs.CONTENT_ENCODING,
        hdrs.CONTENT_LENGTH,
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


class _Found:
    """What httptools tells of the bytes it is given; the names of the methods are its own."""

    __slots__ = ("begun", "body", "ended", "headers", "is_plain", "parser", "target")

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def forget(self) -> None:
        self.begun = self.ended = 0
        self.is_plain = True
        self.target = self.body = b""
        self.headers: list[tuple[str, str]] = []

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


class PostReader:
    """Reads requests that arrive whole, one after the other, of any connections."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found = _Found()

    def read(self, data: bytes, remote: str | None) -> Posted | None:
        """The request that `data` is; None for anything but one whole plain request with a body, of HTTP/1.1."""
        found = self._found
        found.forget()
        try:
            found.parser.feed_data(data)
            is_one = found.is_plain and found.begun == found.ended == 1
            if is_one and found.body and len(data) - len(found.body) <= MAX_HEAD_BYTES:
                return Posted(CIMultiDict(found.headers), found.target.decode("ascii"), remote, found.body)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
            pass
        self._found = _Found()  # this one may wait for more
        return None
