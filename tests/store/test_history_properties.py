"""Late, repeated and reordered events end in the same history (spec/visits-and-history.md, System events)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from collector.store import schema
from collector.store.database import Database
from tests.store.test_identity_properties import Run, Sent, deliveries
from tests.unit.histories import Act, anybodys_acts, honest_acts

HISTORY = {
    "visits": ("visit_id", "device_id", "started_at", "last_event_at", "state", "identity_id"),
    "sessions": (
        "session_id",
        "visit_id",
        "identity_id",
        "started_at",
        "ended_at",
        "since_at",
        "since_seq",
        "until_at",
    ),
    "contacts": ("contact_id", "visit_id", "device_id", "session_id", "identity_id", "occurred_at"),
    "identities": ("identity_id", "first_at", "last_at"),
    "user_identifications": ("event_id", "kind", "visit_id", "at", "seq", "identity_id"),
}


def fetch_history(conn: Connection, site_id: int) -> dict[str, set[tuple[Any, ...]]]:
    """All that is told of visits, without the ids of profiles, which depend on the order, and times of recording."""
    found = {}
    for name, columns in HISTORY.items():
        table = schema.metadata.tables[name]
        query = select(*(table.c[column] for column in columns)).where(table.c.site_id == site_id)
        found[name] = {tuple(row) for row in conn.execute(query)}
    # Which event brought a reset, and whether two did, depends on the order; what it does to the visit does not.
    found["user_identifications"] = {row for row in found["user_identifications"] if row[1] != "Reset"}
    spoken, mine = schema.visit_profiles, schema.visit_profiles.c.site_id == site_id
    found["speakers"] = {(visit,) for visit in conn.scalars(select(spoken.c.visit_id).where(mine))}
    return found


def tell(database: Database, order: list[Sent]) -> dict[str, set[tuple[Any, ...]]]:
    run = Run(database)
    for _, tracked in order:
        if tracked.event is not None:
            run.transport.record(run.arrival(tracked, tracked.sdk_device))
    return database.transact(fetch_history, run.transport.site.site_id)


@settings(max_examples=30)
@given(st.data(), st.lists(honest_acts(one_uid_per_stretch=True), min_size=1, max_size=3))
def test_order_of_arrival_does_not_change_the_history(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    # Whether two browsers that share an e-mail were known to be one when a visit began is said by whichever assertion
    # joined them, and that is the one that arrived last.
    sent = deliveries([[act for act in browser if act.what != "submits"] for browser in acts])
    repeated = data.draw(st.lists(st.sampled_from(sent), max_size=3), "repeated") if sent else []
    shuffled = data.draw(st.permutations([*sent, *repeated]), "order of arrival")
    assert tell(quick_database, shuffled) == tell(quick_database, sent)


@settings(max_examples=20)
@given(st.data(), st.lists(anybodys_acts(), min_size=1, max_size=2))
def test_visits_hold_together_whatever_is_claimed(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    sent = [(number, replace(tracked, loss=None)) for number, tracked in deliveries(acts)]
    told = tell(quick_database, data.draw(st.permutations(sent), "order of arrival"))
    visits = {visit: state for visit, _, _, _, state, _ in told["visits"]}
    assert told["speakers"] == {(visit,) for visit in visits}, "somebody speaks in every visit"
    open_in = [visit for _, visit, _, _, ended_at, *_ in told["sessions"] if ended_at is None]
    assert sorted(open_in) == sorted(visit for visit, state in visits.items() if state == "Authenticated")
    assert {(session, visit) for session, visit, *_ in told["sessions"]} == {
        (session, visit) for _, visit, _, session, *_ in told["contacts"] if session
    }
    named = {identity for *_, identity in told["visits"] if identity} - {
        identity for _, kind, *_, identity in told["user_identifications"] if kind == "Assumption"
    }
    assert named <= {identity for identity, _, _ in told["identities"]}
