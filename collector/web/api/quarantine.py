"""`/api/v1/quarantine`: what was refused and why, trying it again, and dropping it."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from collector.domain.event import EventCode
from collector.domain.keys import Scope
from collector.domain.masking import mask_raw
from collector.domain.quarantine import WHOLE_REQUEST, Replayed, quarantined_document, replayed_document
from collector.recorder.replay import replay_alone
from collector.store.quarantine import (
    Wanted,
    delete_quarantine,
    delete_quarantined,
    fetch_quarantine,
    fetch_quarantine_ids,
    fetch_quarantined,
)
from collector.web.api.access import Problem, reply
from collector.web.api.body import AnyBody
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import DEFAULT_LIMIT, Limit, Moment, NoQuery, Number, Start
from collector.web.api.shapes import Deleted, Quarantined, QuarantinePage, ReplayedOne, ReplayedPage

CODES = sorted(frozenset(EventCode) | WHOLE_REQUEST)
NO_SUCH_ROW = "There is no such row in the quarantine."

Code = Annotated[
    str,
    Meta(
        description="Why it was refused.",
        extra={"read": {str(code): str(code) for code in CODES}.get, "wanted": f"one of {', '.join(CODES)}"},
        extra_json_schema={"enum": [str(code) for code in CODES]},
    ),
]


class Rows(Struct, frozen=True):
    """Which rows, and which part of the list of them."""

    code: Code | None = None
    since: Moment | None = None
    limit: Limit = DEFAULT_LIMIT
    start: Start | None = None


class Dropped(Struct, frozen=True):
    """Which rows to drop; `all` instead of both others."""

    code: Code | None = None
    since: Moment | None = None
    all: bool = False


async def get_quarantine(call: Call[Rows]) -> web.Response:
    """A page of what was refused, newest first; `next` is the `start` of the following page, null at the end."""
    limit, start = call.query.limit, read_cursor(call.query.start, (int,))
    rows = await call.read(fetch_quarantine, _wanted(call.query), limit + 1, None if start is None else start[0])
    page = rows[:limit]
    following = cursor(page[-1].quarantine_id) if len(rows) > limit else None
    return reply({"items": [quarantined_document(kept) for kept in page], "next": following})


async def get_quarantined(call: Call[NoQuery]) -> web.Response:
    """One row with what was sent."""
    kept = await call.read(fetch_quarantined, call.path["quarantine_id"])
    if kept is None:
        raise Problem("not_found", message=NO_SUCH_ROW)
    document = quarantined_document(kept)
    return reply(document if call.may_see_pii else document | {"raw": mask_raw(document["raw"])})


async def post_replay(call: Call[NoQuery]) -> web.Response:
    """Record one row, or the corrected event (or request) in the body; answers what became of it."""
    replayed = await _replay(call, call.path["quarantine_id"], call.body)
    if replayed is None:
        raise Problem("not_found", message=NO_SUCH_ROW)
    if replayed.status == "unreadable":
        raise Problem("correction_needed" if call.body is None else replayed.code)
    return reply(replayed_document(replayed))


async def post_replays(call: Call[Rows]) -> web.Response:
    """Record a page of rows, oldest first; `next` is the `start` of the following page, null at the end."""
    limit, start = call.query.limit, read_cursor(call.query.start, (int,))
    ids = await call.read(fetch_quarantine_ids, _wanted(call.query), limit + 1, 0 if start is None else start[0])
    page = ids[:limit]
    results = [await _replay(call, quarantine_id) for quarantine_id in page]
    following = cursor(page[-1]) if len(ids) > limit else None
    return reply({"items": [replayed_document(each) for each in results if each is not None], "next": following})


async def delete_row(call: Call[NoQuery]) -> web.Response:
    """Drop one row."""
    if not await call.write(delete_quarantined, call.path["quarantine_id"]):
        raise Problem("not_found", message=NO_SUCH_ROW)
    return reply({"deleted": 1})


async def delete_rows(call: Call[Dropped]) -> web.Response:
    """Drop what `code` and `since` select; `all=true` instead of both drops everything."""
    wanted = _wanted(call.query)
    if call.query.all != (wanted == Wanted()):
        raise Problem("invalid_parameter", "all", "Give code, since, or all=true to drop everything.")
    return reply({"deleted": await call.write(delete_quarantine, wanted)})


def _wanted(query: Rows | Dropped) -> Wanted:
    return Wanted(query.code, query.since)


async def _replay(call: Call[Any], quarantine_id: int, corrected: bytes | None = None) -> Replayed | None:
    parts = call.parts
    return await replay_alone(
        parts.database, call.site, quarantine_id, call.now(), call.edge.fresh_id, parts.erasures, corrected
    )


ONE = {"quarantine_id": Number}
ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/quarantine",
        get_quarantine,
        "What was refused, newest first",
        Scope.QUARANTINE,
        query=Rows,
        reply=QuarantinePage,
    ),
    Endpoint(
        "DELETE",
        "/api/v1/quarantine",
        delete_rows,
        "Drop all rows that are meant",
        Scope.QUARANTINE,
        query=Dropped,
        reply=Deleted,
    ),
    Endpoint(
        "POST",
        "/api/v1/quarantine/replay",
        post_replays,
        "Record many rows again, oldest first",
        Scope.QUARANTINE,
        query=Rows,
        reply=ReplayedPage,
    ),
    Endpoint(
        "GET",
        "/api/v1/quarantine/{quarantine_id}",
        get_quarantined,
        "One row, with what was sent",
        Scope.QUARANTINE,
        path_types=ONE,
        reply=Quarantined,
        errors=("not_found",),
    ),
    Endpoint(
        "DELETE",
        "/api/v1/quarantine/{quarantine_id}",
        delete_row,
        "Drop one row",
        Scope.QUARANTINE,
        path_types=ONE,
        reply=Deleted,
        errors=("not_found",),
    ),
    Endpoint(
        "POST",
        "/api/v1/quarantine/{quarantine_id}/replay",
        post_replay,
        "Record one row again, or the corrected event or request in the body",
        Scope.QUARANTINE,
        path_types=ONE,
        body=AnyBody,
        reply=ReplayedOne,
        errors=("not_found", "correction_needed", "too_many_events"),
    ),
)
