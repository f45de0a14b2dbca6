"""Accounts and the newsletter: everything in which a visitor says who they are.

Signing up and in is told to Regulars by the page that follows success, never by a form that may still be refused.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from demo_site.accounts import SHORTEST_PASSWORD, Account, looks_like_email
from demo_site.orders import ORDERS
from demo_site.pages import ACCOUNTS, go_to, page
from demo_site.sessions import SESSION, Notice, Session, keep


async def get_sign_up(request: web.Request) -> web.Response:
    """The form for a new account."""
    return page(request, "sign_up.html", typed={}, errors={})


async def post_sign_up(request: web.Request) -> web.Response:
    """Opens an account and signs in."""
    typed, password = await _read_credentials(request)
    errors = _sign_up_errors(typed, password)
    account = None
    if not errors:
        account = await request.app[ACCOUNTS].open(typed["email"], typed["name"], password)
        if account is None:
            errors = {"email": "There is an account with this address already. Sign in instead?"}
    if account is None:
        return page(request, "sign_up.html", status=422, typed=typed, errors=errors)
    _enter(request, account, Notice("signed_up", f"Welcome, {account.name}. Your account is ready."))
    return go_to("/account")


async def get_sign_in(request: web.Request) -> web.Response:
    """The form for an existing account."""
    return page(request, "sign_in.html", typed={}, errors={})


async def post_sign_in(request: web.Request) -> web.Response:
    """Signs in, or says that e-mail and password do not match."""
    typed, password = await _read_credentials(request)
    account = await request.app[ACCOUNTS].check(typed["email"], password)
    if account is None:
        errors = {"password": "E-mail and password do not match."}
        return page(request, "sign_in.html", status=422, typed=typed, errors=errors)
    _enter(request, account, Notice("signed_in", f"Good to see you, {account.name}."))
    return go_to("/account")


async def post_sign_out(request: web.Request) -> web.Response:
    """Ends the session. The page has told Regulars already: signOut(), or resetAnonymousUId() to be forgotten."""
    form = await request.post()
    if form.get("forget"):
        notice = Notice("forgotten", "You are signed out, and this device is nobody's again.")
    else:
        notice = Notice("signed_out", "You are signed out. See you soon.")
    keep(request, Session(notices=(notice,)))
    return go_to("/")


async def get_account(request: web.Request) -> web.Response:
    """The customer's orders."""
    account = _account_of(request)
    if account is None:
        return go_to("/sign-in")
    orders = request.app[ORDERS].of_account(account.email)
    return page(request, "account.html", facts={"identify": True}, orders=orders)


async def get_details(request: web.Request) -> web.Response:
    """The customer's name and town."""
    if _account_of(request) is None:
        return go_to("/sign-in")
    return page(request, "details.html", facts={"identify": True}, errors={})


async def post_details(request: web.Request) -> web.Response:
    """Changes name and town."""
    account = _account_of(request)
    if account is None:
        return go_to("/sign-in")
    form = await request.post()
    name, town = (str(form.get(key, "")).strip()[:80] for key in ("name", "town"))
    if not name:
        return page(request, "details.html", status=422, errors={"name": "Please enter your name."})
    request.app[ACCOUNTS].describe(account, name, town)
    keep(request, replace(request[SESSION], notices=(Notice("saved", "Your details are saved."),)))
    return go_to("/account/details")


async def get_newsletter(request: web.Request) -> web.Response:
    """The newsletter's own page."""
    return page(request, "newsletter.html", typed={}, errors={})


async def post_newsletter(request: web.Request) -> web.Response:
    """Subscribes an e-mail address; nothing is ever sent."""
    form = await request.post()
    email = str(form.get("email", "")).strip()[:254]
    if not looks_like_email(email):
        errors = {"email": "Please enter an e-mail address such as ada@example.com."}
        return page(request, "newsletter.html", status=422, typed={"email": email}, errors=errors)
    notice = Notice("subscribed", "You are on the list. The next letter comes with the first frost.")
    keep(request, replace(request[SESSION], notices=(notice,)))
    return go_to("/newsletter")


def _account_of(request: web.Request) -> Account | None:
    return request.app[ACCOUNTS].find(request[SESSION].email)


def _enter(request: web.Request, account: Account, notice: Notice) -> None:
    """Signs in: the basket of the anonymous session comes along, another customer's orders do not."""
    before = request[SESSION]
    order_ids = before.order_ids if before.email in (None, account.email) else ()
    keep(request, replace(before, email=account.email, order_ids=order_ids, notices=(notice,)))


async def _read_credentials(request: web.Request) -> tuple[dict[str, str], str]:
    form = await request.post()
    typed = {key: str(form.get(key, "")).strip()[:254] for key in ("name", "email")}
    return typed, str(form.get("password", ""))[:1024]


def _sign_up_errors(typed: dict[str, str], password: str) -> dict[str, str]:
    errors = {}
    if not typed["name"]:
        errors["name"] = "Please enter your name."
    if not looks_like_email(typed["email"]):
        errors["email"] = "Please enter an e-mail address such as ada@example.com."
    if len(password) < SHORTEST_PASSWORD:
        errors["password"] = f"At least {SHORTEST_PASSWORD} characters, please."
    return errors
