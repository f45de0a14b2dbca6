"""An open loop: requests leave at fixed times, whether earlier ones were answered or not. wrk has none.

`python -m benchmarks.open_loop PORT PATH ORIGIN VISITORS RATE SECONDS` prints one line of JSON. A latency counts from
the moment at which the request should have left, so that a stall of either side is not hidden.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.events import make_body, make_event, make_headers, now_ms, uuid7

TICK_S = 0.001
WARM_UP_S = 0.5  # connections are opened, then latencies count
DRAIN_S = 10
MOST_CONNECTIONS = 2_000
SHARE_OF_NEW = 10


class Connection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self, loop: OpenLoop) -> None:
        self._loop = loop
        self._due = 0.0
        self._seen = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own kind

    def send(self, request: bytes, due: float) -> None:
        """Send a request that should have left at `due`."""
        assert self.transport is not None
        self._due, self._seen = due, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, separator, body = self._seen.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._loop.answered(self, head.split(b" ", 2)[1] == b"200", self._due)

    def connection_lost(self, _error: Exception | None) -> None:
        self._loop.failed += 1


class OpenLoop:
    """Sends at a fixed rate over as many connections as that needs."""

    def __init__(self, port: int, path: str, origin: str, visitors: list[list[str]]) -> None:
        self._port, self._path, self._origin, self._visitors = port, path, origin, visitors
        self._idle: list[Connection] = []
        self._made = 0
        self._connections = 0
        self.latencies: list[float] = []
        self.failed = 0
        self.answers = 0
        self.sent = 0
        self.over = False
        self._counts_from = 0.0
        self._all_answered = asyncio.Event()

    async def run(self, rate: float, seconds: float) -> int:
        """Send for `seconds`, then wait for what is on its way; returns how many were not answered with 200."""
        start = time.perf_counter()
        self._counts_from = start + WARM_UP_S
        waiting: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter()) < start + WARM_UP_S + seconds:
            if self._connections > MOST_CONNECTIONS:
                break  # the collector does not keep up; the latencies so far say it
            while (due := start + self.sent / rate) <= now:
                self.sent += 1
                if self._idle:
                    self._idle.pop().send(self._make_request(), due)
                else:
                    waiting.add(task := asyncio.create_task(self._send_on_new(due)))
                    task.add_done_callback(waiting.discard)
            await asyncio.sleep(TICK_S)
        await self._drain()
        return self.failed + self.sent - self.answers

    async def _drain(self) -> None:
        """Wait for the last answers, but not for ever."""
        self.over = True
        if self.answers < self.sent:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_answered.wait(), DRAIN_S)

    async def _send_on_new(self, due: float) -> None:
        self._connections += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
        connection.send(self._make_request(), due)

    def answered(self, connection: Connection, well: bool, due: float) -> None:
        """A connection has its answer and is free again."""
        self.answers += 1
        self.failed += not well
        if due >= self._counts_from:
            self.latencies.append(time.perf_counter() - due)
        self._idle.append(connection)
        if self.over and self.answers == self.sent:
            self._all_answered.set()

    def _make_request(self) -> bytes:
        ms = now_ms()
        self._made += 1
        if self._made % SHARE_OF_NEW == 0:
            uid, device, cookies = uuid7(ms), uuid7(ms), ""
        else:
            uid, device, cookies = self._visitors[self._made % len(self._visitors)]
        visit = device  # one visit for each browser
        body = make_body([make_event(self._origin, uid, visit, uuid7(ms), self._made, ms)], device, ms)
        headers = make_headers(self._origin, cookies) | {"Host": "127.0.0.1", "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self._path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def main(port: int, path: str, origin: str, visitors: Path, rate: float, seconds: float) -> None:
    """Measure and print."""
    loop = OpenLoop(port, path, origin, [line.split(" ", 2) for line in visitors.read_text().splitlines()])
    failed = uvloop.run(loop.run(rate, seconds))
    if failed or not loop.latencies:
        raise SystemExit(f"at {rate:.0f} requests/s {failed} of {loop.sent} requests were not answered with 200")
    ordered = sorted(loop.latencies)
    result = {
        "requests": loop.sent,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
        "max_ms": ordered[-1] * 1e3,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]))
