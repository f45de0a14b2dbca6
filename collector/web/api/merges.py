"""`/api/v1/merges` and `/api/v1/apart`: the journal of merges of a site, undoing one, and whom that keeps apart."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.domain.explain import apart_document, merge_document
from collector.domain.site import Site
from collector.domain.unmerge import Refused, unmerge_document
from collector.store.merges import fetch_apart, lift_apart, reverse_merge
from collector.store.people import fetch_journal
from collector.web.api.access import ADMINISTRATION, Problem, authorised, reply
from collector.web.api.parameters import cursor, read_dry_run, read_limit, read_merge_id, read_start
from collector.web.edge import EDGE


@authorised
async def get_merges(request: web.Request, site: Site) -> web.Response:
    """A page of the journal, newest first; `next` is the `start` of the following page, null at the end."""
    limit, before = read_limit(request), _read_before(request)
    merges = await request.app[ADMINISTRATION].database.read(fetch_journal, site.site_id, limit + 1, before)
    page = merges[:limit]
    following = cursor(page[-1].merge_id) if len(merges) > limit else None
    return reply({"items": [merge_document(merge) for merge in page], "next": following})


@authorised
async def post_reversal(request: web.Request, site: Site) -> web.Response:
    """Undo a merge (R12), or with `dry_run` only say what that comes to. 409 says why it is refused."""
    merge_id, is_dry_run = read_merge_id(request), read_dry_run(request)
    database, now = request.app[ADMINISTRATION].database, request.app[EDGE].now()
    run = database.read if is_dry_run else database.write
    done = await run(reverse_merge, site.site_id, merge_id, now, dry_run=is_dry_run)
    if done is None:
        raise Problem("not_found", message="There is no such merge.")
    if isinstance(done, Refused):
        raise Problem(done.code, more=_refusal(done))
    return reply({"dry_run": is_dry_run, **unmerge_document(done)})


@authorised
async def get_apart(request: web.Request, site: Site) -> web.Response:
    """A page of the pairs that are kept apart, by the newest merge first, paged like the journal."""
    limit, before = read_limit(request), _read_before(request)
    pairs = await request.app[ADMINISTRATION].database.read(fetch_apart, site.site_id, limit + 1, before)
    page = pairs[:limit]
    following = cursor(page[-1].merge.merge_id) if len(pairs) > limit else None
    return reply({"items": [apart_document(pair) for pair in page], "next": following})


@authorised
async def delete_apart(request: web.Request, site: Site) -> web.Response:
    """Lift what an undone merge keeps apart; answers with the merge."""
    merge_id = read_merge_id(request)
    lifted = await request.app[ADMINISTRATION].database.write(
        lift_apart, site.site_id, merge_id, request.app[EDGE].now()
    )
    if lifted is None:
        raise Problem("not_found", message="This merge keeps nobody apart.")
    return reply(merge_document(lifted))


def _read_before(request: web.Request) -> int | None:
    start = read_start(request, parts=1)
    return None if start is None else start[0]


def _refusal(refused: Refused) -> dict[str, Any]:
    """What helps to go on: the merges to undo first, or who has which kind of identifier."""
    if refused.merges:
        return {"merges": list(refused.merges)}
    return {"kind": refused.kind, "profile_id": refused.profile_id} if refused.profile_id else {}
