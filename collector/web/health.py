"""Whether the collector is alive, whether it can store, and what it has counted."""

from __future__ import annotations

from aiohttp import web

from collector import metrics
from collector.web.edge import EDGE
from collector.web.headers import JSON, UNCACHED


async def get_healthz(request: web.Request) -> web.Response:
    """200 as long as the process answers at all."""
    return web.Response(body=b'{"status":"alive"}', headers=JSON)


async def get_readyz(request: web.Request) -> web.Response:
    """200 when events can be stored, else 503. After a failure each look is an attempt."""
    recorder = request.app[EDGE].recorder
    if recorder.ready or await recorder.probe():
        return web.Response(body=b'{"status":"ready"}', headers=JSON)
    return web.Response(status=503, body=b'{"status":"cannot store"}', headers=JSON)


async def get_metrics(request: web.Request) -> web.Response:
    """The counters, for Prometheus."""
    return web.Response(body=metrics.expose(), headers={**UNCACHED, "Content-Type": metrics.CONTENT_TYPE})
