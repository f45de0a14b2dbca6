"""Undoing merges in random histories (R12), on a real database: exact, in any order, and lasting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from collector.domain.event import Trust
from collector.domain.identity import survivor
from collector.store import schema
from collector.store.database import Database
from collector.store.identifiers import fetch_merges, insert_merge, retire_email
from collector.store.people import find_profile
from collector.store.profiles import fetch_people, fetch_roots, point_at
from tests.store.test_identity_properties import Run, assert_sound, deliveries
from tests.store_transport import StoreTransport, add_site, read_visit, read_whole
from tests.unit.histories import Act, anybodys_acts

sites = itertools.count(1)

HISTORIES = st.lists(anybodys_acts(), min_size=1, max_size=3)
JOURNAL = ("merges", "apart")  # parts of an explanation that tell of a merge that was undone, too


def begin(database: Database) -> Run:
    run = Run(database)
    run.transport = StoreTransport(database, add_site(database, f"unmerging-{next(sites)}"))
    return run


def hear(run: Run, number: int, tracked: Any) -> None:
    """Deliver as `Run.deliver` does, without a world beside it: that one cannot undo anything."""
    jar = run.jars.setdefault(number, [None, None])
    if tracked.loss in ("device", "server", "all"):
        jar[0] = None
    if tracked.loss in ("contact", "server", "all"):
        jar[1] = None
    if tracked.event is not None:
        (receipt,) = run.transport.record(run.arrival(tracked, jar[0] or tracked.sdk_device, jar[1]))
        jar[:] = [receipt.device_id, receipt.contact_id]


def every_read(conn: Connection, site_id: int, without: Sequence[str] = JOURNAL) -> dict[str, Any]:
    """What every address answers about everybody, as a rule without the journal."""

    def column(name: str, table: str) -> list[Any]:
        column = schema.metadata.tables[table].c[name]
        return sorted(set(conn.scalars(select(column).where(column.table.c.site_id == site_id))))

    whole = {leaf: read_whole(conn, site_id, leaf) for leaf in column("profile_id", "profiles")}
    for read in whole.values():
        read["explain"] = {name: part for name, part in read["explain"].items() if name not in without}
    by_uid = {uid: find_profile(conn, site_id, "uid", uid) for uid in column("uid", "uids")}
    values = {*column("value", "identifiers"), *column("value", "retirements"), *column("value", "claims")}
    found = {(kind, value): find_profile(conn, site_id, kind, value) for kind in ("cid", "email") for value in values}
    seen = {visit: read_visit(conn, site_id, visit) for visit in column("visit_id", "visits")}
    return {"whole": whole, "uids": by_uid, "found": found, "visits": seen}


def pointers(conn: Connection, site_id: int) -> dict[str, str | None]:
    table = schema.profiles
    rows = conn.execute(select(table.c.profile_id, table.c.merged_into).where(table.c.site_id == site_id))
    return {row[0]: row[1] for row in rows}


def standing(conn: Connection, site_id: int) -> list[int]:
    """The merges that hold, newest first."""
    return [row["merge_id"] for row in fetch_merges(conn, site_id, None, 10_000) if row["reversed_at"] is None]


def fetch_replacing(conn: Connection, site_id: int) -> set[str]:
    """The events that replaced an e-mail."""
    table = schema.retirements
    return set(conn.scalars(select(table.c.retired_by).where(table.c.site_id == site_id)))


def merge_two(conn: Connection, site_id: int, roots: list[str], rule: str, event_id: str) -> int:
    """Merge two roots as the recorder does, and for R5e retire the e-mail of one of them before; the merge."""
    first, second = fetch_people(conn, site_id, roots).values()
    evidence = (event_id, Trust.SECRET_KEY, 1)
    if rule == "R5e" and first.email and second.email:
        retire_email(conn, site_id, first.email, evidence)
    winner, loser = survivor(first, second)
    followers = point_at(conn, site_id, winner.profile_id, loser.profile_id)
    insert_merge(conn, site_id, winner.profile_id, loser.profile_id, rule, followers, evidence)
    return standing(conn, site_id)[0]


@settings(max_examples=60)
@given(st.data(), HISTORIES)
def test_merge_then_unmerge_restores_every_read_exactly(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = begin(quick_database)
    database, site_id = quick_database, run.transport.site.site_id
    for number, tracked in data.draw(st.permutations(deliveries(acts)), "order of delivery"):
        hear(run, number, tracked)
    before = database.read_now(every_read, site_id)
    roots = sorted(set(database.read_now(fetch_roots, site_id, before["whole"]).values()))
    if len(roots) < 2:
        return
    two = data.draw(st.permutations(roots), "who is merged")[:2]
    stored = {event["event_id"] for read in before["whole"].values() for event in read["events"]}
    rule = data.draw(st.sampled_from(["R4b", "R5b", "R5e", "R7"]), "rule")
    if rule != "R7":
        # An event is decided on once: only a late back-fill rests on one whose other merges and e-mails are history.
        stored -= database.read_now(fetch_replacing, site_id)
    event_id = data.draw(st.sampled_from(sorted(stored)), "evidence")
    merge_id = database.transact(merge_two, site_id, two, rule, event_id)
    assert database.read_now(every_read, site_id) != before, "the merge changed nothing"
    announced = run.transport.unmerge_now(merge_id, dry_run=True)
    assert database.read_now(standing, site_id)[0] == merge_id, "a dry run changes nothing"
    done = run.transport.unmerge_now(merge_id)
    assert done.document == {**(announced.document or {}), "dry_run": False}
    assert database.read_now(every_read, site_id) == before
    assert run.transport.unmerge_now(merge_id).code == "already_reversed"


@settings(max_examples=60)
@given(st.data(), HISTORIES)
def test_undoing_all_merges_newest_first_retraces_every_pointer(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = begin(quick_database)
    database, site_id = quick_database, run.transport.site.site_id
    history: dict[int, dict[str, str | None]] = {}  # pointers by the number of merges
    for number, tracked in data.draw(st.permutations(deliveries(acts)), "order of delivery"):
        hear(run, number, tracked)
        history[len(database.read_now(standing, site_id))] = database.read_now(pointers, site_id)
    merges = database.read_now(standing, site_id)
    for left, merge_id in zip(range(len(merges) - 1, -1, -1), merges, strict=True):
        done = run.transport.unmerge_now(merge_id)
        assert done.code in (None, "identifier_taken"), done
        if done.code:
            return
        now = database.read_now(pointers, site_id)
        was = history.get(left, {})
        assert {leaf: now[leaf] for leaf in was} == was
        assert_sound(run.rows())
    assert not any(database.read_now(pointers, site_id).values()), "everybody is alone"


@settings(max_examples=80)
@given(st.data(), HISTORIES)
def test_whom_an_operator_keeps_apart_no_history_joins(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = begin(quick_database)
    database, site_id = quick_database, run.transport.site.site_id
    for number, tracked in data.draw(st.permutations(deliveries(acts)), "order of delivery"):
        hear(run, number, tracked)
        merges = database.read_now(standing, site_id)
        if merges and data.draw(st.booleans(), "undo one"):
            wanted = data.draw(st.sampled_from(merges), "which")
            first = run.transport.unmerge_now(wanted)
            for merge_id in (*first.merges, *([wanted] if first.merges else [])):
                assert run.transport.unmerge_now(merge_id).code in (None, "identifier_taken")
        rows = database.read_now(fetch_merges, site_id, None, 10_000)
        apart = {row["merge_id"]: (row["winner_id"], row["loser_id"]) for row in rows if row["reversed_at"]}
        roots = database.read_now(fetch_roots, site_id, {leaf for pair in apart.values() for leaf in pair})
        together = {merge_id for merge_id, (a, b) in apart.items() if roots[a] == roots[b]}
        assert not together, "kept apart and yet joined"
        assert_sound(run.rows())
