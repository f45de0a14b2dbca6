"""Puts the shop together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from demo_site.accounts import Accounts
from demo_site.orders import ORDERS, Orders
from demo_site.pages import ACCOUNTS, TEMPLATES, create_templates, page
from demo_site.routes import add_routes
from demo_site.security import SETTINGS, security_middleware
from demo_site.sessions import SESSIONS, Sessions, session_middleware
from demo_site.settings import ShopSettings

LARGEST_FORM_BYTES = 16 * 1024


def create_shop(settings: ShopSettings) -> web.Application:
    """The shop as an application, with accounts, baskets and orders of its own that live as long as it does."""
    app = web.Application(
        middlewares=[security_middleware, session_middleware, _not_found_middleware],
        client_max_size=LARGEST_FORM_BYTES,
    )
    app[SETTINGS] = settings
    app[ACCOUNTS] = Accounts()
    app[SESSIONS] = Sessions()
    app[ORDERS] = Orders()
    app[TEMPLATES] = create_templates()
    add_routes(app)
    return app


@web.middleware
async def _not_found_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """An address that leads nowhere gets a page of the shop, with ways out."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return page(request, "not_found.html", status=404)
