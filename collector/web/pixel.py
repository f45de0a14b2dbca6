"""`GET /v1/pixel.gif`: one event in the query string, for pages without scripts and for e-mails."""

from __future__ import annotations

import base64

from aiohttp import web
from multidict import CIMultiDict

from collector.web.admission import admit, find_site
from collector.web.collect import make_arrival, record
from collector.web.edge import EDGE
from collector.web.headers import EMBEDDED, UNCACHED, cors
from collector.wire.pixel import parse_pixel

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_HEADERS = CIMultiDict({**EMBEDDED, **UNCACHED, "Content-Type": "image/gif"})


async def get_pixel(request: web.Request) -> web.Response:
    """Record the event and answer with one transparent pixel, after the commit. Cookies are neither read nor set."""
    edge = request.app[EDGE]
    now = edge.now()
    entry = await find_site(edge, request)
    visitor = admit(edge, request, entry, now)
    batch = parse_pixel(request.query, now, edge.fresh_id(), entry.site.settings.purchases_assert)
    arrival = make_arrival(edge, request, visitor.without_cookies(), batch, now)
    await record(edge, request, arrival)
    headers = _HEADERS.copy()
    if visitor.origin is not None:
        headers.update(cors(visitor.origin))
    return web.Response(body=_GIF, headers=headers)
