"""`/api/v1/profiles`: finding a person, what is known of them, why, what they did, and erasing them."""

from __future__ import annotations

from typing import Annotated

import structlog
from aiohttp import web
from msgspec import Meta, Struct

from collector.domain.confidence import last_visit_document
from collector.domain.explain import event_document, explain_document, profile_document
from collector.domain.identifiers import clean_cid, clean_email
from collector.domain.keys import Scope
from collector.domain.masking import mask_explanation, mask_profile, mask_value
from collector.store.database import DatabaseError
from collector.store.people import erase_profile, fetch_explanation, fetch_timeline, find_profile
from collector.store.standing import fetch_profile_standing
from collector.web.api.access import Problem, reply
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import EntityId, NoQuery, Page
from collector.web.api.shapes import Erased, EventPage, Explanation, Profile

NO_SUCH_PROFILE = "There is no such profile."

Cid = Annotated[
    str,
    Meta(description="A customer id.", extra={"read": clean_cid, "wanted": "a customer id that can be stored"}),
]
Email = Annotated[
    str, Meta(description="An e-mail address.", extra={"read": clean_email, "wanted": "an e-mail address"})
]

log = structlog.get_logger()


class Whom(Struct, frozen=True):
    """Exactly one of these."""

    cid: Cid | None = None
    email: Email | None = None
    uid: EntityId | None = None


async def find_one(call: Call[Whom]) -> web.Response:
    """The profile that `cid`, `email` or `uid` leads to."""
    by = {"cid": call.query.cid, "email": call.query.email, "uid": call.query.uid}
    given = [(kind, value) for kind, value in by.items() if value is not None]
    if len(given) != 1:
        raise Problem("invalid_parameter", given[1][0] if given else "cid", "Give exactly one of cid, email and uid.")
    profile_id = await call.read(find_profile, *given[0])
    return await _answer_profile(call, profile_id)


async def get_profile(call: Call[NoQuery]) -> web.Response:
    """One profile; the id of a merged one answers with its root."""
    return await _answer_profile(call, call.path["profile_id"])


async def _answer_profile(call: Call[Whom] | Call[NoQuery], profile_id: str | None) -> web.Response:
    found = await call.read(fetch_profile_standing, profile_id) if profile_id else None
    if found is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    profile, standing = found
    document = profile_document(profile) | {"visit": last_visit_document(standing, call.now())}
    return reply(document if call.may_see_pii else mask_profile(document))


async def get_events(call: Call[Page]) -> web.Response:
    """A page of the person's events, newest first; `next` is the `start` of the following page, null at the end."""
    limit, start = call.query.limit, read_cursor(call.query.start, (int, int))
    before = None if start is None else (start[0], start[1])
    rows = await call.read(fetch_timeline, call.path["profile_id"], limit + 1, before)
    if rows is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    page = rows[:limit]
    following = cursor(page[-1]["occurred_at"], page[-1]["row_id"]) if len(rows) > limit else None
    items = [event_document(row) for row in page]
    return reply({"items": items if call.may_see_pii else mask_value(None, items), "next": following})


async def get_explanation(call: Call[NoQuery]) -> web.Response:
    """Why the profile is one person: identifiers, bindings, merges and claims with rule, evidence, trust and time."""
    explanation = await call.read(fetch_explanation, call.path["profile_id"])
    if explanation is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    document = explain_document(explanation)
    return reply(document if call.may_see_pii else mask_explanation(document))


async def delete_profile(call: Call[NoQuery]) -> web.Response:
    """Erase the person (R16): rows deleted by table, and whether their bytes have left the database's files too."""
    parts, now = call.parts, call.now()
    erased = await parts.database.write_long(
        erase_profile, call.site.site_id, call.path["profile_id"], parts.erasures, now
    )
    if erased is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    try:
        is_scrubbed = await parts.scrubber.scrub()
    except DatabaseError as error:
        log.error("scrub_failed", reason=type(error).__name__)
        is_scrubbed = False
    return reply({"erased": erased, "bytes_removed": is_scrubbed})


ONE = {"profile_id": EntityId}
ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/profiles",
        find_one,
        "Find a person by customer id, e-mail address or UID",
        Scope.PROFILES_READ,
        query=Whom,
        reply=Profile,
        errors=("not_found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/profiles/{profile_id}",
        get_profile,
        "A person; the id of a merged profile answers with the person it belongs to",
        Scope.PROFILES_READ,
        path_types=ONE,
        reply=Profile,
        errors=("not_found",),
    ),
    Endpoint(
        "DELETE",
        "/api/v1/profiles/{profile_id}",
        delete_profile,
        "Erase a person",
        Scope.PROFILES_ERASE,
        path_types=ONE,
        reply=Erased,
        errors=("not_found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/profiles/{profile_id}/events",
        get_events,
        "What a person did, newest first",
        Scope.PROFILES_READ,
        query=Page,
        path_types=ONE,
        reply=EventPage,
        errors=("not_found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/profiles/{profile_id}/explain",
        get_explanation,
        "Why a profile is one person",
        Scope.PROFILES_READ,
        path_types=ONE,
        reply=Explanation,
        errors=("not_found",),
    ),
)
