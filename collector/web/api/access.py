"""Who may use the administration, and the one shape of its replies and failures.

A secret key opens exactly its own site. Sites are read from the database for each request, so that a key that was
replaced is void at once. There is no CORS here: a browser must not hold a secret key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
import structlog
from aiohttp import hdrs, web

from collector.domain.keys import is_secret_of
from collector.domain.site import Site
from collector.recorder import QueueFull, StorageUnavailable
from collector.store.database import Database, DatabaseError
from collector.store.erasure import Erasures
from collector.store.sites import fetch_sites
from collector.web.api.scrubber import Scrubber
from collector.web.edge import EDGE
from collector.web.errors import MEANINGS, Meaning, Refusal
from collector.web.headers import JSON
from collector.web.replies import answer_refusal

HEADERS = {**JSON, "Cross-Origin-Resource-Policy": "same-origin"}
MORE_MEANINGS = {
    "invalid_parameter": Meaning(400, "A parameter is missing or wrong."),
    "correction_needed": Meaning(409, "What was kept cannot be read as JSON; send a corrected version of it."),
    "id_conflict": Meaning(409, "Another event has this id."),
    "already_reversed": Meaning(409, "This merge has been undone already."),
    "merge_has_dependents": Meaning(409, "Other merges rest on this one: undo those first, in the order given."),
    "identifier_taken": Meaning(409, "Somebody else has what undoing this merge would give back."),
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Administration:
    """What the handlers of the administration work with, beside the `Edge` that all handlers share."""

    database: Database
    erasures: Erasures
    scrubber: Scrubber


ADMINISTRATION: web.AppKey[Administration] = web.AppKey("administration", Administration)

SiteHandler = Callable[[web.Request, Site], Awaitable[web.Response]]
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Problem(Exception):
    """Ends a request with failure `code`. `field` names the parameter at fault, `message` says more than the code.

    `more` is answered beside the code: what a program needs to go on.
    """

    def __init__(
        self, code: str, field: str | None = None, message: str | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.message = message
        self.more = more or {}


def authorised(handler: SiteHandler) -> Handler:
    """Run `handler` for the site of the secret key, and turn what it raises into the reply."""

    @wraps(handler)
    async def guard(request: web.Request) -> web.Response:
        try:
            return await handler(request, await find_site(request))
        except Problem as problem:
            return _failure(request, problem)
        except Refusal as refusal:
            return _without_cors(answer_refusal(request.app[EDGE], request, refusal, route=None))
        except (QueueFull, StorageUnavailable) as error:
            return _failure(request, Problem(error.code), {hdrs.RETRY_AFTER: str(error.retry_after_s)})
        except DatabaseError as error:
            log.error("storage_unavailable", reason=type(error).__name__)
            return _failure(request, Problem("storage_unavailable"), {hdrs.RETRY_AFTER: "5"})

    return guard


async def find_site(request: web.Request) -> Site:
    """The site that the secret key opens. Raises `Problem`: 401 for no or an unknown key, 403 for a disabled site."""
    scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    sites = await request.app[ADMINISTRATION].database.read(fetch_sites)
    # All of them are compared, so that the time taken tells nothing.
    opened = [site for site in sites if is_secret_of(site, secret.strip())]
    if scheme.lower() != "bearer" or not secret or not opened:
        raise Problem("unauthorized")
    if opened[0].disabled:
        raise Problem("site_disabled")
    return opened[0]


def reply(document: Mapping[str, Any], status: int = 200) -> web.Response:
    """A JSON reply that nobody keeps."""
    return web.Response(status=status, body=orjson.dumps(document), headers=HEADERS)


def _without_cors(response: web.Response) -> web.Response:
    for name in [name for name in response.headers if name.startswith("Access-Control-")]:
        del response.headers[name]
    return response


def _failure(request: web.Request, problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    meaning = MORE_MEANINGS.get(problem.code) or MEANINGS[problem.code]
    error = {
        "code": problem.code,
        "message": problem.message or meaning.message,
        "request_id": request.app[EDGE].fresh_id(),
        "retryable": meaning.is_retryable,
        **problem.more,
    }
    if problem.field is not None:
        error["field"] = problem.field
    response = reply({"error": error}, meaning.status)
    response.headers.update(headers or {})
    response.headers["X-Request-Id"] = str(error["request_id"])
    if meaning.status == web.HTTPUnauthorized.status_code:
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response
