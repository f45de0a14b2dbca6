"""Connections that do not get to the point: a deadline for headers, and no echo of what could not be parsed.

aiohttp has no deadline for headers of its own. Bodies have theirs in `body`, idle connections in aiohttp.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector import metrics
from collector.web.errors import MEANINGS, error_body
from collector.web.headers import JSON


class ImpatientHandler(RequestHandler):
    """aiohttp's protocol, which closes a connection whose headers are not complete `header_timeout_s` after they began.

    Two attributes of aiohttp are read that it does not document: how many requests the connection has brought, and
    whether it waits for the next one.
    """

    __slots__ = ("_header_timeout_s", "_header_timer")

    def __init__(self, manager: web.Server, *, header_timeout_s: float, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._header_timeout_s = header_timeout_s
        self._header_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Watch whether the data completes the headers of a request."""
        requests = self._request_count
        super().data_received(data)
        if self._request_count != requests:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None
        elif self._header_timer is None and (self._waiter is not None or not requests):
            self._header_timer = self._loop.call_later(self._header_timeout_s, self._cut)

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
    """A TCPSite whose connections are impatient. `settings` are aiohttp's own for a connection.

    It listens on `listening`, where that is given, instead of opening a socket of its own.
    """

    __slots__ = ("_header_timeout_s", "_listening", "_settings")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        header_timeout_s: float,
        settings: dict[str, Any],
        listening: socket.socket | None = None,
    ) -> None:
        super().__init__(runner, host, port, backlog=1024)
        self._header_timeout_s = header_timeout_s
        self._settings = settings
        self._listening = listening

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()

        def connect() -> ImpatientHandler:
            return ImpatientHandler(server, loop=loop, header_timeout_s=self._header_timeout_s, **self._settings)

        place: dict[str, Any] = {"host": self._host, "port": self._port}
        if self._listening is not None:
            place = {"sock": self._listening}
        self._server = await loop.create_server(connect, **place, backlog=self._backlog)
        self._bound_port = self._server.sockets[0].getsockname()[1]
