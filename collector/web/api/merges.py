"""`/api/v1/merges` and `/api/v1/apart`: the journal of merges of a site, undoing one, and whom that keeps apart."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.domain.explain import apart_document, merge_document
from collector.domain.keys import Scope
from collector.domain.masking import mask_unmerged
from collector.domain.unmerge import Refused, unmerge_document
from collector.store.merges import fetch_apart, lift_apart, reverse_merge
from collector.store.people import fetch_journal
from collector.web.api.access import Problem, reply
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import DryRun, NoQuery, Number, Page
from collector.web.api.shapes import ApartPage, Merge, MergePage, Unmerged


async def get_merges(call: Call[Page]) -> web.Response:
    """A page of the journal, newest first; `next` is the `start` of the following page, null at the end."""
    limit = call.query.limit
    merges = await call.read(fetch_journal, limit + 1, _read_before(call))
    page = merges[:limit]
    following = cursor(page[-1].merge_id) if len(merges) > limit else None
    return reply({"items": [merge_document(merge) for merge in page], "next": following})


async def post_reversal(call: Call[DryRun]) -> web.Response:
    """Undo a merge (R12), or with `dry_run` only say what that comes to. 409 says why it is refused."""
    is_dry_run = call.query.dry_run
    run = call.read if is_dry_run else call.write
    done = await run(reverse_merge, call.path["merge_id"], call.now(), dry_run=is_dry_run)
    if done is None:
        raise Problem("not_found", message="There is no such merge.")
    if isinstance(done, Refused):
        raise Problem(done.code, more=_refusal(done))
    document = unmerge_document(done)
    return reply({"dry_run": is_dry_run, **(document if call.may_see_pii else mask_unmerged(document))})


async def get_apart(call: Call[Page]) -> web.Response:
    """A page of the pairs that are kept apart, by the newest merge first, paged like the journal."""
    limit = call.query.limit
    pairs = await call.read(fetch_apart, limit + 1, _read_before(call))
    page = pairs[:limit]
    following = cursor(page[-1].merge.merge_id) if len(pairs) > limit else None
    return reply({"items": [apart_document(pair) for pair in page], "next": following})


async def delete_apart(call: Call[NoQuery]) -> web.Response:
    """Lift what an undone merge keeps apart; answers with the merge."""
    lifted = await call.write(lift_apart, call.path["merge_id"], call.now())
    if lifted is None:
        raise Problem("not_found", message="This merge keeps nobody apart.")
    return reply(merge_document(lifted))


def _read_before(call: Call[Page]) -> int | None:
    start = read_cursor(call.query.start, (int,))
    return None if start is None else int(start[0])


def _refusal(refused: Refused) -> dict[str, Any]:
    """What helps to go on: the merges to undo first, or who has which kind of identifier."""
    if refused.merges:
        return {"merges": list(refused.merges)}
    return {"kind": refused.kind, "profile_id": refused.profile_id} if refused.profile_id else {}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/merges",
        get_merges,
        "The journal of merges, newest first",
        Scope.PROFILES_READ,
        query=Page,
        reply=MergePage,
    ),
    Endpoint(
        "POST",
        "/api/v1/merges/{merge_id}/reverse",
        post_reversal,
        "Undo a merge",
        Scope.PROFILES_WRITE,
        query=DryRun,
        path_types={"merge_id": Number},
        reply=Unmerged,
        errors=("not_found", "already_reversed", "merge_has_dependents", "identifier_taken"),
    ),
    Endpoint(
        "GET",
        "/api/v1/apart",
        get_apart,
        "Whom undone merges keep apart, by the newest merge first",
        Scope.PROFILES_READ,
        query=Page,
        reply=ApartPage,
    ),
    Endpoint(
        "DELETE",
        "/api/v1/apart/{merge_id}",
        delete_apart,
        "Let automatic rules join a pair again",
        Scope.PROFILES_WRITE,
        path_types={"merge_id": Number},
        reply=Merge,
        errors=("not_found",),
    ),
)
