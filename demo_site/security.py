"""Headers of every answer, and the refusal of forms that another site submits.

The policy is as strict as a careful shop's: no inline handlers, no eval, no HTML from strings; inline scripts by nonce
alone. The collector's origin is all that has to be added for Regulars.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from demo_site.settings import ShopSettings

NONCE = web.RequestKey("nonce", str)
SETTINGS = web.AppKey("settings", ShopSettings)


def content_security_policy(collector_origin: str, nonce: str) -> str:
    """The policy of one page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' {collector_origin}",
            f"connect-src 'self' {collector_origin}",
            f"img-src 'self' {collector_origin}",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


@web.middleware
async def security_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuses cross-site posts (beside the cookie's SameSite=Lax) and sets the headers."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="This form was not sent by the shop.")
    request[NONCE] = secrets.token_urlsafe(16)
    response = await handler(request)
    policy = content_security_policy(request.app[SETTINGS].collector_origin, request[NONCE])
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    response.headers["Cache-Control"] = "no-cache" if request.path.startswith("/static/") else "no-store"
    return response
