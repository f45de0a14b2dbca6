"""Browsers, the pages they open, and a slow line to the collector that counts what goes through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from benchmarks.server import ROOT, free_port

STUB = ROOT / "sdk_js" / "dist" / "stub.js"


@asynccontextmanager
async def serving_pages(port: int) -> AsyncIterator[None]:
    """`/` is an empty page, `/with?KEY@COLLECTOR` the same with the published tag of that collector."""

    async def get_page(request: web.Request) -> web.Response:
        key, _, collector = request.query.get("tag", "").partition("@")
        tag = f'<script>{STUB.read_text()}</script><script async src="{collector}/sdk.js?site={key}"></script>'
        head = f"<title>A page</title>{tag if collector else ''}"
        page = f'<!doctype html><html lang="en"><head><link rel="icon" href="data:,">{head}</head><body></body></html>'
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", get_page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Line:
    """A TCP proxy in front of the collector; `delay_s` each way. `uploads` holds what each connection sent."""

    target: int
    delay_s: float = 0.0
    port: int = field(default_factory=free_port)
    uploads: list[bytearray] = field(default_factory=list)

    def posts(self) -> list[bytes]:
        """Every POST request that was sent, as bytes with its headers."""
        return [request for upload in self.uploads for request in _split(bytes(upload)) if request.startswith(b"POST")]

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        upload = bytearray()
        self.uploads.append(upload)
        back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._pump(reader, forth, upload), self._pump(back, writer, bytearray()))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(65_536):
                seen += data
                loop.call_later(self.delay_s, writer.write, data)
        except ConnectionError:
            pass
        loop.call_later(self.delay_s, writer.close)


@asynccontextmanager
async def serving_line(target: int, delay_s: float = 0.0) -> AsyncIterator[Line]:
    """A `Line` to the port `target` of this machine."""
    line = Line(target, delay_s)
    server = await asyncio.start_server(line.carry, "127.0.0.1", line.port)
    try:
        yield line
    finally:
        server.close()


def _split(upload: bytes) -> list[bytes]:
    """The requests of one connection; all of their bodies have a Content-Length."""
    requests = []
    while b"\r\n\r\n" in upload:
        head = upload[: upload.index(b"\r\n\r\n")].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0]) if b"content-length:" in head else 0
        end = len(head) + 4 + length
        requests.append(upload[:end])
        upload = upload[end:]
    return requests
