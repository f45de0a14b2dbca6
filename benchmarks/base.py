"""The base of every ratio: a bare aiohttp server on uvloop that reads a body and answers 204.

`python -m benchmarks.base PORT`. Nothing is parsed, nothing stored; `GET /readyz` says that it is up.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def post_batch(request: web.Request) -> web.Response:
    """Take everything that was sent and say so."""
    await request.read()
    return web.Response(status=204)


async def get_ready(_request: web.Request) -> web.Response:
    """Up."""
    return web.Response(text="ready")


async def serve(port: int) -> None:
    """Listen until the process ends."""
    app = web.Application()
    app.router.add_post("/v1/collect", post_batch)
    app.router.add_get("/readyz", get_ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
