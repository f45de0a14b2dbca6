"""From exceptions to replies, in one place."""

from __future__ import annotations

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from collector.recorder import QueueFull, StorageUnavailable
from collector.web.edge import EDGE
from collector.web.errors import Refusal
from collector.web.replies import answer_refusal

log = structlog.get_logger()


@web.middleware
async def answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into its reply."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return answer_refusal(request.app[EDGE], request, refusal)
    except (QueueFull, StorageUnavailable) as error:
        unable = Refusal(error.code, retry_after_s=error.retry_after_s)
        return answer_refusal(request.app[EDGE], request, unable)
    except web.HTTPMethodNotAllowed as error:
        response = answer_refusal(request.app[EDGE], request, Refusal("method_not_allowed"))
        response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
        return response
    except web.HTTPException as error:
        code = {404: "not_found", 413: "body_too_large"}.get(error.status)
        if code is None:
            raise
        return answer_refusal(request.app[EDGE], request, Refusal(code))
    except Exception:
        edge = request.app[EDGE]
        request_id = edge.fresh_id()
        log.exception("request_failed", request_id=request_id, route=request.match_info.route.name)
        return answer_refusal(edge, request, Refusal("internal"), request_id)
