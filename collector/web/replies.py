"""The reply to a refused request: one shape, a request id, and CORS headers so that the page can read it."""

from __future__ import annotations

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from collector import metrics
from collector.recorder import QueueFull, StorageUnavailable
from collector.web.admission import write_key_of
from collector.web.asked import Asked
from collector.web.edge import Edge
from collector.web.errors import MEANINGS, Refusal, error_body
from collector.web.headers import JSON, cors

RECORDING_ROUTES = frozenset({"collect", "pixel"})  # names of routes: their requests bring events

LINGER_S = 0.5

log = structlog.get_logger()


def answer_failure(edge: Edge, request: Asked, error: Exception, route: str | None) -> web.Response:
    """The reply to whatever a handler raised. `route` is the name of its route."""
    if isinstance(error, Refusal):
        return answer_refusal(edge, request, error, route)
    if isinstance(error, QueueFull | StorageUnavailable):
        return answer_refusal(edge, request, Refusal(error.code, retry_after_s=error.retry_after_s), route)
    request_id = edge.fresh_id()
    log.error("request_failed", request_id=request_id, route=route, exc_info=error)
    return answer_refusal(edge, request, Refusal("internal"), route, request_id)


def answer_refusal(
    edge: Edge, request: Asked, refusal: Refusal, route: str | None, request_id: str | None = None
) -> web.Response:
    """The reply to a refused request; its events are counted here."""
    meaning = MEANINGS[refusal.code]
    if route in RECORDING_ROUTES:
        metrics.count_refused(refusal.code, refusal.events)
    request_id = request_id or edge.fresh_id()
    headers: CIMultiDict[str] = CIMultiDict({**JSON, "X-Request-Id": request_id, "Vary": "Origin"})
    headers.update(_cors_of(edge, request))
    if refusal.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(refusal.retry_after_s)
    if meaning.status == 401:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    response = web.Response(status=meaning.status, body=error_body(refusal.code, request_id), headers=headers)
    if refusal.closes and isinstance(request, web.BaseRequest):
        response.force_close()
        # aiohttp would wait for the rest of a body that was given up because it does not come; a moment is enough for
        # the reply to be read before the connection is reset under what is still being sent.
        request.protocol._lingering_time = LINGER_S
    return response


def _cors_of(edge: Edge, request: Asked) -> dict[str, str]:
    """CORS headers of a failure: for origins of the site; where the key is unknown, for those of any site.

    A page must be able to read that its key is wrong, or it would take the failure for a broken network and try again.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return {}
    entry = edge.sites.get(write_key_of(request))
    is_known = edge.sites.knows_origin(origin) if entry is None else origin in entry.origins
    return {**cors(origin), "Access-Control-Expose-Headers": "Retry-After, X-Request-Id"} if is_known else {}
