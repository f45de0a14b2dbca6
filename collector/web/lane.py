"""The short way of a batch: from the bytes on a connection to the recorder and back, past aiohttp's machinery.

For each request aiohttp makes a request object, a task, and a response header by header, which takes as long as to
parse and record an event. Nearly all requests are batches that arrive whole, and of those no more is needed than what
aiohttp's own parser says. Whatever is not plain goes the long way, as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import lru_cache, partial
from typing import NamedTuple

from aiohttp import HttpVersion11, hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy, MultiMapping
from yarl import URL

from collector.domain.event import Receipt
from collector.web.admission import admit, check_form, decode, known_site
from collector.web.asked import Asked
from collector.web.collect import Taken, receipt_body
from collector.web.edge import Edge
from collector.web.headers import header_block
from collector.web.replies import answer_failure

LONGEST = 64 * 1024  # a longer one does not come in one piece

Reply = Callable[[bytes], None]


class Posted(NamedTuple):
    """A batch as it was sent."""

    headers: CIMultiDictProxy[str]
    raw_path: str
    remote: str | None
    url: URL
    body: bytes

    @property
    def query(self) -> MultiMapping[str]:
        """The query, decoded."""
        return self.url.query


class Lane:
    """Takes batches to `path`. One for all connections of a loop: it is done with a request's bytes when it returns."""

    def __init__(self, edge: Edge, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._edge = edge
        self._start = f"POST {path}?".encode()
        self._loop = loop
        self._parser = self._fresh_parser()
        self._explaining: set[asyncio.Task[None]] = set()

    def enter(self, data: bytes, remote: str | None, reply: Reply) -> bool:
        """Take `data` if that is one plain batch; `reply` is then called once with all of the reply.

        Nothing has happened where this is False.
        """
        if not data.startswith(self._start) or len(data) > LONGEST:
            return False
        asked = self._parse(data, remote)
        entry = None if asked is None else known_site(self._edge, asked)
        if asked is None or entry is None:
            return False
        try:
            check_form(asked)
            now = self._edge.now()
            visitor = admit(self._edge, asked, entry, now)
            taken = Taken(self._edge, asked, visitor, decode(asked, asked.body), now)
            stored = taken.enqueue()
        except Exception as error:  # noqa: BLE001 - it is logged, and the page gets its answer
            self._refuse(asked, error, reply)
        else:
            stored.add_done_callback(partial(self._answer, taken, reply))
        return True

    def _parse(self, data: bytes, remote: str | None) -> Posted | None:
        """The request that `data` is, None for anything but one whole plain request."""
        try:
            messages, _, tail = self._parser.feed_data(data)
        except HttpProcessingError:
            messages, tail = [], b""
        if len(messages) == 1 and not tail:
            ((message, payload),) = messages
            length = int(message.headers.get(hdrs.CONTENT_LENGTH, 0))
            is_plain = message.version == HttpVersion11 and not message.should_close and not message.upgrade
            if is_plain and length and payload.is_eof() and hdrs.EXPECT not in message.headers:
                return Posted(message.headers, message.path, remote, message.url, data[-length:])
        self._parser = self._fresh_parser()  # this one may wait for more
        return None

    def _fresh_parser(self) -> HttpRequestParser:
        return HttpRequestParser(BaseProtocol(self._loop), self._loop, LONGEST, auto_decompress=False)

    def _answer(self, taken: Taken, reply: Reply, stored: asyncio.Future[Receipt]) -> None:
        error = stored.exception()
        if error is None:
            receipt = stored.result()
            headers = taken.visitor.entry.headers[taken.visitor.origin]
            reply(write_reply(b"200 OK", headers, receipt_body(receipt), taken.now, taken.cookies_for(receipt)))
        else:
            task = self._loop.create_task(self._explain(taken, error, reply))
            self._explaining.add(task)
            task.add_done_callback(self._explaining.discard)

    async def _explain(self, taken: Taken, error: BaseException, reply: Reply) -> None:
        try:
            await taken.fail(error)
        except Exception as failure:  # noqa: BLE001 - it is logged, and the page gets its answer
            self._refuse(taken.asked, failure, reply)

    def _refuse(self, asked: Asked, error: Exception, reply: Reply) -> None:
        response = answer_failure(self._edge, asked, error, "collect")
        status = b"%d %b" % (response.status, response.reason.encode())
        assert isinstance(response.body, bytes)
        reply(write_reply(status, header_block(response.headers), response.body, self._edge.now()))


@lru_cache(1)
def _date_line(now_s: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(now_s, usegmt=True).encode()


def write_reply(status: bytes, headers: bytes, body: bytes, now: int, cookies: Sequence[str] = ()) -> bytes:
    """A reply in one piece; `headers` are lines, `cookies` whole Set-Cookie values, `now` is ms UTC."""
    lines = [b"HTTP/1.1 %b\r\n" % status, headers, _date_line(now // 1000), b"Content-Length: %d\r\n" % len(body)]
    lines += [b"Set-Cookie: %b\r\n" % cookie.encode("latin-1") for cookie in cookies]
    lines += [b"\r\n", body]
    return b"".join(lines)
