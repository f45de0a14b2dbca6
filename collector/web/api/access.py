"""Who may use what is for servers, and the one shape of its replies and failures.

A secret key opens exactly its own site, and there what its scopes say. Keys are read from the database for each
request, so that one that was revoked is void at once. There is no CORS here: a browser must not hold a secret key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from aiohttp import hdrs, web

from collector.domain.keys import Key, Scope
from collector.domain.site import Site
from collector.recorder import QueueFull, StorageUnavailable
from collector.store.database import Database, DatabaseError
from collector.store.erasure import Erasures
from collector.store.keys import fetch_opened
from collector.web.api.scrubber import Scrubber
from collector.web.edge import EDGE
from collector.web.errors import MEANINGS, Meaning, Refusal
from collector.web.headers import JSON
from collector.web.replies import answer_refusal

HEADERS = {**JSON, "Cross-Origin-Resource-Policy": "same-origin"}
MORE_MEANINGS = {
    "invalid_parameter": Meaning(400, "A parameter is missing or wrong."),
    "scope_missing": Meaning(403, "The key lacks the scope that this needs."),
    "correction_needed": Meaning(409, "What was kept cannot be read as JSON; send a corrected version of it."),
    "name_taken": Meaning(409, "There is a valid key of this name already."),
    "last_admin_key": Meaning(409, "This is the last key that administers the site; make another one first."),
    "id_conflict": Meaning(409, "Another event has this id."),
    "visit_is_anonymous": Meaning(409, "Nobody is known to be in this visit."),
    "decision_not_awaited": Meaning(409, "Whom this interaction is with is not for an agent to decide."),
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


async def answer(request: web.Request, handle: Callable[[], Awaitable[web.Response]]) -> web.Response:
    """What `handle` answers, and what it raises as the reply that stands for it."""
    try:
        return await handle()
    except Problem as problem:
        return _failure(request, problem)
    except Refusal as refusal:
        return _without_cors(answer_refusal(request.app[EDGE], request, refusal, route=None))
    except (QueueFull, StorageUnavailable) as error:
        return _failure(request, Problem(error.code), {hdrs.RETRY_AFTER: str(error.retry_after_s)})
    except DatabaseError as error:
        log.error("storage_unavailable", reason=type(error).__name__)
        return _failure(request, Problem("storage_unavailable"), {hdrs.RETRY_AFTER: "5"})


async def authorise(request: web.Request, scope: Scope) -> tuple[Site, Key]:
    """The site that the secret key opens, and the key.

    Raises `Problem`: 401 for no key or one that opens nothing, 403 for a disabled site or a key without `scope`.
    """
    scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    opened = await request.app[ADMINISTRATION].database.read(fetch_opened, secret.strip())
    if scheme.lower() != "bearer" or opened is None:
        raise Problem("unauthorized")
    site, key = opened
    if site.disabled:
        raise Problem("site_disabled")
    if not key.opens(scope):
        raise Problem("scope_missing", message=f"The key lacks the scope {scope}.", more={"scope": str(scope)})
    return site, key


def reply(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON reply that nobody keeps."""
    return web.Response(status=status, body=orjson.dumps(document), headers={**HEADERS, **(headers or {})})


def empty(headers: Mapping[str, str] | None = None) -> web.Response:
    """204: there is nothing to say."""
    without_type = {name: value for name, value in HEADERS.items() if name != hdrs.CONTENT_TYPE}
    return web.Response(status=204, headers={**without_type, **(headers or {})})


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
