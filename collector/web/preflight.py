"""CORS preflights. The SDK never causes one; other clients of the browser surface may."""

from __future__ import annotations

from aiohttp import hdrs, web

from collector.web.admission import find_site, origin_of
from collector.web.edge import EDGE
from collector.web.errors import Refusal
from collector.web.headers import UNCACHED, cors


async def answer_preflight(request: web.Request) -> web.Response:
    """204 with what a listed origin may send; 403 for any other."""
    edge = request.app[EDGE]
    entry = await find_site(edge, request)
    origin = origin_of(request, entry)
    if origin is None:
        raise Refusal("origin_not_allowed")
    headers = {
        **UNCACHED,
        **cors(origin),
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST",
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type, Content-Encoding",
        hdrs.ACCESS_CONTROL_MAX_AGE: "7200",
    }
    return web.Response(status=204, headers=headers)
