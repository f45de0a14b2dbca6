"""`/api/v1/quarantine`: what was refused and why, trying it again, and dropping it."""

from __future__ import annotations

from aiohttp import web

from collector.domain.event import EventCode
from collector.domain.quarantine import WHOLE_REQUEST, Replayed, quarantined_document, replayed_document
from collector.domain.site import Site
from collector.recorder.replay import replay_alone
from collector.store.quarantine import (
    Wanted,
    delete_quarantine,
    delete_quarantined,
    fetch_quarantine,
    fetch_quarantine_ids,
    fetch_quarantined,
)
from collector.web.admission import check_form, read_payload
from collector.web.api.access import ADMINISTRATION, Problem, authorised, reply
from collector.web.api.parameters import MAX_INTEGER, cursor, read_limit, read_moment, read_start, refuse_others
from collector.web.edge import EDGE

CODES = frozenset(EventCode) | WHOLE_REQUEST
NO_SUCH_ROW = "There is no such row in the quarantine."


@authorised
async def get_quarantine(request: web.Request, site: Site) -> web.Response:
    """A page of what was refused, newest first; `next` is the `start` of the following page, null at the end."""
    refuse_others(request, "code", "since", "limit", "start")
    wanted, limit = read_wanted(request), read_limit(request)
    start = read_start(request, parts=1)
    before = None if start is None else start[0]
    rows = await request.app[ADMINISTRATION].database.read(fetch_quarantine, site.site_id, wanted, limit + 1, before)
    page = rows[:limit]
    following = cursor(page[-1].quarantine_id) if len(rows) > limit else None
    return reply({"items": [quarantined_document(kept) for kept in page], "next": following})


@authorised
async def get_quarantined(request: web.Request, site: Site) -> web.Response:
    """One row with what was sent."""
    quarantine_id = read_quarantine_id(request)
    kept = await request.app[ADMINISTRATION].database.read(fetch_quarantined, site.site_id, quarantine_id)
    if kept is None:
        raise Problem("not_found", message=NO_SUCH_ROW)
    return reply(quarantined_document(kept))


@authorised
async def post_replay(request: web.Request, site: Site) -> web.Response:
    """Record one row, or the corrected event (or request) in the body; answers what became of it."""
    refuse_others(request)
    quarantine_id = read_quarantine_id(request)
    corrected: bytes | None = None
    if request.can_read_body:
        check_form(request)
        corrected = await read_payload(request.app[EDGE], request) or None
    replayed = await _replay(request, site, quarantine_id, corrected)
    if replayed is None:
        raise Problem("not_found", message=NO_SUCH_ROW)
    if replayed.status == "unreadable":
        raise Problem("correction_needed" if corrected is None else replayed.code)
    return reply(replayed_document(replayed))


@authorised
async def post_replays(request: web.Request, site: Site) -> web.Response:
    """Record a page of rows, oldest first; `next` is the `start` of the following page, null at the end."""
    refuse_others(request, "code", "since", "limit", "start")
    wanted, limit = read_wanted(request), read_limit(request)
    start = read_start(request, parts=1)
    after = 0 if start is None else start[0]
    database = request.app[ADMINISTRATION].database
    ids = await database.read(fetch_quarantine_ids, site.site_id, wanted, limit + 1, after)
    page = ids[:limit]
    results = [await _replay(request, site, quarantine_id) for quarantine_id in page]
    following = cursor(page[-1]) if len(ids) > limit else None
    return reply({"items": [replayed_document(each) for each in results if each is not None], "next": following})


@authorised
async def delete_row(request: web.Request, site: Site) -> web.Response:
    """Drop one row."""
    quarantine_id = read_quarantine_id(request)
    if not await request.app[ADMINISTRATION].database.write(delete_quarantined, site.site_id, quarantine_id):
        raise Problem("not_found", message=NO_SUCH_ROW)
    return reply({"deleted": 1})


@authorised
async def delete_rows(request: web.Request, site: Site) -> web.Response:
    """Drop what `code` and `since` select; `all=true` instead of both drops everything."""
    refuse_others(request, "code", "since", "all")
    wanted = read_wanted(request)
    is_all = request.query.get("all") == "true"
    if is_all != (wanted == Wanted()):
        raise Problem("invalid_parameter", "all", "Give code, since, or all=true to drop everything.")
    return reply({"deleted": await request.app[ADMINISTRATION].database.write(delete_quarantine, site.site_id, wanted)})


def read_quarantine_id(request: web.Request) -> int:
    """The row of the path. Raises `Problem`."""
    text = request.match_info["quarantine_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INTEGER)) and int(text) <= MAX_INTEGER):
        raise Problem("invalid_parameter", "quarantine_id", "quarantine_id is not a number.")
    return int(text)


def read_wanted(request: web.Request) -> Wanted:
    """The filter of the query. Raises `Problem`."""
    code = request.query.get("code")
    if code is not None and code not in CODES:
        raise Problem("invalid_parameter", "code", f"code is none of {', '.join(sorted(CODES))}.")
    return Wanted(code, read_moment(request, "since"))


async def _replay(
    request: web.Request, site: Site, quarantine_id: int, corrected: bytes | None = None
) -> Replayed | None:
    edge, parts = request.app[EDGE], request.app[ADMINISTRATION]
    return await replay_alone(parts.database, site, quarantine_id, edge.now(), edge.fresh_id, parts.erasures, corrected)
