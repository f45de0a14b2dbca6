"""Connections: batches take the short way, and who does not get to the point is cut off.

aiohttp has no deadline for headers of its own. Bodies have theirs in `body`, idle connections in aiohttp.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector import metrics
from collector.web.errors import MEANINGS, error_body
from collector.web.headers import JSON
from collector.web.lane import Lane


class Connection(RequestHandler):
    """aiohttp's protocol with two additions: batches go through the `lane`, where there is one, and a connection is
    closed whose headers are not complete `header_timeout_s` after they began.

    Attributes of aiohttp are used that it does not document: how many requests the connection has brought, whether it
    waits for the next one, whether it is being closed, and when an idle one is.
    """

    __slots__ = ("_answered", "_header_timeout_s", "_header_timer", "_is_in_lane", "_kept", "_lane", "remote")

    def __init__(self, manager: web.Server, *, header_timeout_s: float, lane: Lane | None, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._header_timeout_s = header_timeout_s
        self._header_timer: asyncio.TimerHandle | None = None
        self._lane = lane
        self.remote: str | None = None
        self._is_in_lane = False  # a batch is, and waits for its reply
        self._kept = b""  # what came meanwhile
        self._answered: asyncio.Future[None] | None = None  # somebody waits for the reply to be written

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note whom we talk to."""
        super().connection_made(transport)
        peer = self.peername
        self.remote = str(peer[0]) if isinstance(peer, tuple) else peer

    def data_received(self, data: bytes) -> None:
        """Send a batch through the lane; else watch whether the data completes the headers of a request."""
        if self._is_in_lane:
            self._kept += data
            assert self.transport is not None
            self.transport.pause_reading()
            return
        if self._lane is not None and self._is_idle() and self._lane.enter(data, self):
            self._is_in_lane = True
            self._put_off_idleness()
        else:
            self._receive_request(data)

    def _is_idle(self) -> bool:
        """Whether it stands before its first request or between two, and the next one is welcome.

        The first one may be here before aiohttp waits for it.
        """
        is_waiting = not self._request_count if self._waiter is None else not self._waiter.done()
        return is_waiting and self._header_timer is None and not self._close and not self._force_close

    def _put_off_idleness(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def reply(self, data: bytes) -> None:
        """Write the reply to the batch in the lane; then go on with what has come since."""
        kept = self._leave_lane()
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(data)
        self._put_off_idleness()
        if kept:
            self.transport.resume_reading()
            self.data_received(kept)

    def turn_away(self, data: bytes) -> None:
        """Give what came to aiohttp, as if there were no lane."""
        kept = self._leave_lane()
        if self.transport is None or self.transport.is_closing():
            return
        if kept:
            self.transport.resume_reading()
        self._receive_request(data + kept)

    def _leave_lane(self) -> bytes:
        """Be no longer in the lane; what came meanwhile."""
        self._is_in_lane = False
        if self._answered is not None:
            self._answered.set_result(None)
            self._answered = None
        kept, self._kept = self._kept, b""
        return kept

    def _receive_request(self, data: bytes) -> None:
        requests = self._request_count
        super().data_received(data)
        if self._request_count != requests:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None
        elif self._header_timer is None and (self._waiter is not None or not requests):
            self._header_timer = self._loop.call_later(self._header_timeout_s, self._cut)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Let the batch in the lane have its reply first."""
        if self._is_in_lane:
            self._answered = self._loop.create_future()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._answered, timeout)
        await super().shutdown(timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        if self._header_timer is not None:
            self._header_timer.cancel()
        super().connection_lost(exc)

    def _cut(self) -> None:
        metrics.CONNECTIONS_CUT.inc()
        self.force_close()

    def handle_error(  # the arguments are aiohttp's
        self,
        request: web.BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The reply to what is no HTTP, in the shape of all failures; aiohttp's own would repeat what was sent."""
        code = "malformed_request" if status < 500 else "internal"
        if status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
        response = web.Response(status=MEANINGS[code].status, body=error_body(code, ""), headers=JSON)
        response.force_close()
        return response


class Listener(web.TCPSite):
    """A TCPSite of such connections. `settings` are aiohttp's own for a connection.

    It listens on `listening`, where that is given, instead of opening a socket of its own.
    """

    __slots__ = ("_header_timeout_s", "_lane", "_listening", "_settings")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        header_timeout_s: float,
        settings: dict[str, Any],
        listening: socket.socket | None = None,
        lane: Lane | None = None,
    ) -> None:
        super().__init__(runner, host, port, backlog=1024)
        self._lane = lane
        self._header_timeout_s = header_timeout_s
        self._settings = settings
        self._listening = listening

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            deadline = self._header_timeout_s
            return Connection(server, loop=loop, header_timeout_s=deadline, lane=self._lane, **self._settings)

        place: dict[str, Any] = {"host": self._host, "port": self._port}
        if self._listening is not None:
            place = {"sock": self._listening}
        self._server = await loop.create_server(connect, **place, backlog=self._backlog)
        self._bound_port = self._server.sockets[0].getsockname()[1]
