"""`/api/v1/profiles`: finding a person, what is known of them, why, what they did, and erasing them."""

from __future__ import annotations

import structlog
from aiohttp import web

from collector.domain.explain import event_document, explain_document, profile_document
from collector.domain.site import Site
from collector.store.database import DatabaseError
from collector.store.people import erase_profile, fetch_explanation, fetch_profile, fetch_timeline, find_profile
from collector.web.api.access import ADMINISTRATION, Problem, authorised, reply
from collector.web.api.parameters import cursor, read_identifier, read_limit, read_profile_id, read_start
from collector.web.edge import EDGE

NO_SUCH_PROFILE = "There is no such profile."

log = structlog.get_logger()


@authorised
async def find_one(request: web.Request, site: Site) -> web.Response:
    """The profile that `cid`, `email` or `uid` leads to."""
    kind, value = read_identifier(request)
    database = request.app[ADMINISTRATION].database
    profile_id = await database.read(find_profile, site.site_id, kind, value)
    profile = await database.read(fetch_profile, site.site_id, profile_id) if profile_id else None
    if profile is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    return reply(profile_document(profile))


@authorised
async def get_profile(request: web.Request, site: Site) -> web.Response:
    """One profile; the id of a merged one answers with its root."""
    profile_id = read_profile_id(request)
    profile = await request.app[ADMINISTRATION].database.read(fetch_profile, site.site_id, profile_id)
    if profile is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    return reply(profile_document(profile))


@authorised
async def get_events(request: web.Request, site: Site) -> web.Response:
    """A page of the person's events, newest first; `next` is the `start` of the following page, null at the end."""
    profile_id, limit = read_profile_id(request), read_limit(request)
    start = read_start(request, parts=2)
    before = None if start is None else (start[0], start[1])
    database = request.app[ADMINISTRATION].database
    rows = await database.read(fetch_timeline, site.site_id, profile_id, limit + 1, before)
    if rows is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    page = rows[:limit]
    following = cursor(page[-1]["occurred_at"], page[-1]["row_id"]) if len(rows) > limit else None
    return reply({"items": [event_document(row) for row in page], "next": following})


@authorised
async def get_explanation(request: web.Request, site: Site) -> web.Response:
    """Why the profile is one person: identifiers, bindings, merges and claims with rule, evidence, trust and time."""
    profile_id = read_profile_id(request)
    explanation = await request.app[ADMINISTRATION].database.read(fetch_explanation, site.site_id, profile_id)
    if explanation is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    return reply(explain_document(explanation))


@authorised
async def delete_profile(request: web.Request, site: Site) -> web.Response:
    """Erase the person (R16): rows deleted by table, and whether their bytes have left the database's files too."""
    profile_id = read_profile_id(request)
    parts = request.app[ADMINISTRATION]
    erased = await parts.database.write_long(
        erase_profile, site.site_id, profile_id, parts.erasures, request.app[EDGE].now()
    )
    if erased is None:
        raise Problem("not_found", message=NO_SUCH_PROFILE)
    try:
        is_scrubbed = await parts.scrubber.scrub()
    except DatabaseError as error:
        log.error("scrub_failed", reason=type(error).__name__)
        is_scrubbed = False
    return reply({"erased": erased, "bytes_removed": is_scrubbed})
