"""Turns a template and its values into an answer, with what every page shows: tag, basket, account, notices, facts."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from demo_site.accounts import Accounts
from demo_site.catalogue import CATEGORIES
from demo_site.facts import Fact, customer_fact, item_fact
from demo_site.security import NONCE, SETTINGS
from demo_site.sessions import SESSION, Session, keep

CONSENT_COOKIE = "shop_consent"  # written by static/consent.js
ACCOUNTS = web.AppKey("accounts", Accounts)
TEMPLATES = web.AppKey("templates", Environment)


def create_templates() -> Environment:
    """The template environment: escaping always on, a missing value is an error."""
    templates = Environment(
        loader=PackageLoader("demo_site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["money"] = money
    templates.filters["item_fact"] = item_fact
    templates.globals["categories"] = CATEGORIES
    return templates


def money(cents: int) -> str:
    """1450 → €14.50; whole euros without cents."""
    return f"€{cents // 100}" if cents % 100 == 0 else f"€{cents / 100:.2f}"


def page(
    request: web.Request, template: str, *, facts: Fact | None = None, status: int = 200, **values: object
) -> web.Response:
    """An HTML page. Notices are shown once: showing them takes them out of the session."""
    session = request[SESSION]
    text = (
        request.app[TEMPLATES].get_template(template).render(**_shared_values(request, session, facts or {}), **values)
    )
    if session.notices:
        keep(request, replace(session, notices=()))
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def go_to(path: str) -> web.Response:
    """Sends the browser to another page of the shop after a form."""
    return web.Response(status=303, headers={"Location": path})


def _shared_values(request: web.Request, session: Session, facts: Fact) -> dict[str, object]:
    account = request.app[ACCOUNTS].find(session.email)
    just_happened = [notice.kind for notice in session.notices]
    customer = customer_fact(account) if account else None
    settings = request.app[SETTINGS]
    return {
        "path": request.path,
        "nonce": request[NONCE],
        "stub": settings.stub,
        "sdk_address": settings.sdk_address,
        "consent": settings.consent,
        "consent_decided": CONSENT_COOKIE in request.cookies,
        "account": account,
        "basket_count": sum(line.quantity for line in session.lines),
        "notices": session.notices,
        "facts": {"just_happened": just_happened, "customer": customer, "consent": settings.consent, **facts},
    }
