"""The shop's own session: who is signed in, the basket, and notices for the next page. Nothing of Regulars is in it.

A session is a frozen value; a handler puts a changed one in its place with `keep`, and the middleware stores it.
Visitors who only look around get no cookie.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from demo_site.basket import Lines

COOKIE = "shop_session"
MOST_SESSIONS = 10_000

NoticeKind = Literal["signed_up", "signed_in", "signed_out", "forgotten", "subscribed", "ordered", "added", "saved"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What has just happened, told once on the next page (and by its scripts to Regulars)."""

    kind: NoticeKind
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """State of one browser in the shop; `email` is the signed-in account's."""

    email: str | None = None
    lines: Lines = ()
    order_ids: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


SESSION = web.RequestKey("session", Session)
EMPTY = Session()


class Sessions:
    """Sessions of this run by token; the one used longest ago leaves when there are MOST_SESSIONS."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[str, Session] = OrderedDict()

    def find(self, token: str | None) -> Session | None:
        """The session of a token, or None for a token that this run never gave out."""
        if token is None or token not in self._by_token:
            return None
        self._by_token.move_to_end(token)
        return self._by_token[token]

    def put(self, token: str, session: Session) -> None:
        """Stores a session."""
        self._by_token[token] = session
        self._by_token.move_to_end(token)
        if len(self._by_token) > MOST_SESSIONS:
            self._by_token.popitem(last=False)

    def drop(self, token: str) -> None:
        """Forgets a session."""
        self._by_token.pop(token, None)


SESSIONS = web.AppKey("sessions", Sessions)


def keep(request: web.Request, session: Session) -> None:
    """Puts a changed session in the place of the request's; the middleware stores it."""
    request[SESSION] = session


@web.middleware
async def session_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Loads the session before the handler and stores it afterwards, if it changed."""
    sessions = request.app[SESSIONS]
    token = request.cookies.get(COOKIE)
    before = sessions.find(token) or EMPTY
    request[SESSION] = before
    response = await handler(request)
    after = request[SESSION]
    if after != before:
        _store(request, response, token, before, after)
    return response


def _store(
    request: web.Request, response: web.StreamResponse, token: str | None, before: Session, after: Session
) -> None:
    """Whoever signs in or out gets a new token, so that a token known from before is worth nothing."""
    sessions = request.app[SESSIONS]
    known = token if sessions.find(token) else None
    if known and after.email != before.email:
        sessions.drop(known)
        known = None
    fresh = known or secrets.token_urlsafe(24)
    sessions.put(fresh, after)
    if fresh != token:
        response.set_cookie(COOKIE, fresh, httponly=True, samesite="Lax", secure=request.secure, path="/")
