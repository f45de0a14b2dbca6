"""The reply to a batch: its headers are known beforehand, so it is written to the connection in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest


@lru_cache(1)
def _date_line(now_s: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(now_s, usegmt=True).encode()


class Verdict(web.StreamResponse):
    """200 with a JSON `body`, the prepared `headers` of the site and some `cookies` (whole Set-Cookie values).

    aiohttp makes a response header by header, which costs a quarter of a bare request; here the parts are joined. Of a
    `StreamResponse` only what aiohttp asks of a handler's result is kept, hence no call of its constructor.
    """

    _status = 200
    _reason = "OK"

    def __init__(self, headers: bytes, body: bytes, cookies: Sequence[str], now: int) -> None:
        lines = [headers, _date_line(now // 1000), b"Content-Length: %d\r\n" % len(body)]
        lines += [b"Set-Cookie: %b\r\n" % cookie.encode("latin-1") for cookie in cookies]
        self._head = b"".join(lines)
        self._content = body

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it. Raises `ConnectionResetError` when nobody is there any more."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._keep_alive = request.keep_alive
        connection = b""
        if not self._keep_alive:
            connection = b"Connection: close\r\n"
        elif request.version == HttpVersion10:
            connection = b"Connection: keep-alive\r\n"
        version = b"HTTP/%d.%d 200 OK\r\n" % request.version
        transport.write(b"".join((version, self._head, connection, b"\r\n", self._content)))
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's
        """Nothing is left to write."""
        self._eof_sent = True
