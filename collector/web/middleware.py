"""From exceptions to replies, in one place."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from collector.web.edge import EDGE
from collector.web.errors import Refusal
from collector.web.replies import answer_failure, answer_refusal


@web.middleware
async def answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into its reply."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        response = answer_refusal(request.app[EDGE], request, Refusal("method_not_allowed"), None)
        response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
        return response
    except web.HTTPException as error:
        code = {404: "not_found", 413: "body_too_large"}.get(error.status)
        if code is None:
            raise
        return answer_refusal(request.app[EDGE], request, Refusal(code), None)
    except Exception as error:  # noqa: BLE001 - it is logged, and the page gets its answer
        return answer_failure(request.app[EDGE], request, error, request.match_info.route.name)
