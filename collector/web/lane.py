"""The short way of a batch: from the bytes on a connection to the recorder and back, past aiohttp's machinery.

For each request aiohttp makes a request object, a task, and a response header by header, which takes as long as to
parse and record an event. Nearly all requests are batches that arrive whole, and of those no more is needed than
`posted` finds. Whatever is not plain goes the long way, as it came.

What connections bring in one turn of the loop is looked at together, in the next one: its code is warm then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache, partial
from typing import Protocol

from collector.domain.event import Receipt
from collector.recorder import Give
from collector.web.admission import admit, check_form, decode, known_site
from collector.web.asked import Asked
from collector.web.collect import Taken, receipt_body
from collector.web.edge import Edge
from collector.web.headers import header_block
from collector.web.posted import read_post
from collector.web.replies import answer_failure

LONGEST = 64 * 1024  # a longer one does not come in one piece


class Traveller(Protocol):
    """The connection that a batch came by. One of the two is called, once."""

    @property
    def remote(self) -> str | None:
        """The address at its other end."""

    def reply(self, data: bytes) -> None:
        """Send this as all of the reply."""

    def turn_away(self, data: bytes) -> None:
        """The batch was not plain: its bytes go the long way. Nothing has happened."""


class Lane:
    """Takes batches to `path`. One for all connections of a loop."""

    def __init__(self, edge: Edge, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._edge = edge
        self._start = f"POST {path}?".encode()
        self._loop = loop
        self._arrived: list[tuple[bytes, Traveller]] = []
        self._explaining: set[asyncio.Task[None]] = set()

    def enter(self, data: bytes, traveller: Traveller) -> bool:
        """Take `data` if it looks like a batch; `traveller` hears soon what becomes of it."""
        if not data.startswith(self._start) or len(data) > LONGEST:
            return False
        if not self._arrived:
            self._loop.call_soon(self._take_all)
        self._arrived.append((data, traveller))
        return True

    def _take_all(self) -> None:
        arrived, self._arrived = self._arrived, []
        for data, traveller in arrived:
            if not self._take(data, traveller):
                self._loop.call_soon(traveller.turn_away, data)  # by itself: what it raises is nobody else's

    def _take(self, data: bytes, traveller: Traveller) -> bool:
        asked = read_post(data, traveller.remote)
        entry = None if asked is None else known_site(self._edge, asked)
        if asked is None or entry is None:
            return False
        try:
            check_form(asked)
            now = self._edge.now()
            visitor = admit(self._edge, asked, entry, now)
            taken = Taken(self._edge, asked, visitor, decode(asked, asked.body), now)
            taken.enqueue(partial(self._answer, taken, traveller))
        except Exception as error:  # noqa: BLE001 - it is logged, and the page gets its answer
            self._refuse(asked, error, traveller)
        return True

    def _answer(self, taken: Taken, traveller: Traveller, outcome: Receipt | Exception) -> Give:
        if isinstance(outcome, Exception):
            return partial(self._explain_soon, taken, outcome, traveller)
        headers = taken.visitor.entry.headers[taken.visitor.origin]
        reply = write_reply(b"200 OK", headers, receipt_body(outcome), taken.now, taken.cookies_for(outcome))
        return partial(traveller.reply, reply)

    def _explain_soon(self, taken: Taken, error: Exception, traveller: Traveller) -> None:
        task = self._loop.create_task(self._explain(taken, error, traveller))
        self._explaining.add(task)
        task.add_done_callback(self._explaining.discard)

    async def _explain(self, taken: Taken, error: Exception, traveller: Traveller) -> None:
        try:
            await taken.fail(error)
        except Exception as failure:  # noqa: BLE001 - it is logged, and the page gets its answer
            self._refuse(taken.asked, failure, traveller)

    def _refuse(self, asked: Asked, error: Exception, traveller: Traveller) -> None:
        response = answer_failure(self._edge, asked, error, "collect")
        status = b"%d %b" % (response.status, response.reason.encode())
        assert isinstance(response.body, bytes)
        traveller.reply(write_reply(status, header_block(response.headers), response.body, self._edge.now()))


@lru_cache(1)
def _date_line(now_s: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(now_s, usegmt=True).encode()


def write_reply(status: bytes, headers: bytes, body: bytes, now: int, cookies: Sequence[str] = ()) -> bytes:
    """A reply in one piece; `headers` are lines, `cookies` whole Set-Cookie values, `now` is ms UTC."""
    lines = [b"HTTP/1.1 %b\r\n" % status, headers, _date_line(now // 1000), b"Content-Length: %d\r\n" % len(body)]
    lines += [b"Set-Cookie: %b\r\n" % cookie.encode("latin-1") for cookie in cookies]
    lines += [b"\r\n", body]
    return b"".join(lines)
