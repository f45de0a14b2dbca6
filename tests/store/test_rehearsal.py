"""A dry run of identifying says what recording would do, and changes no row."""

from __future__ import annotations

import itertools
import random
import uuid
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from collector.domain.event import Arrival, Assertion, Event, Trust
from collector.recorder.rehearsal import Rehearsal, rehearse
from collector.store import schema
from collector.store.database import Database
from collector.store.identifiers import fetch_merges
from collector.store.people import erase_profile, fetch_recorded, find_profile
from tests.stage import START_MS, mint_uuid7
from tests.store.test_identity_properties import Run, deliveries
from tests.store.test_unmerging_properties import begin, hear
from tests.store_transport import StoreTransport
from tests.unit.histories import Act, anybodys_acts

CIDS = st.none() | st.sampled_from(["v", "x", "z"])
EMAILS = st.none() | st.sampled_from(["e@x.org", "f@x.org"])
numbers = itertools.count(1)


def every_row(conn: Connection) -> dict[str, list[Any]]:
    tables = schema.metadata.sorted_tables
    return {table.name: [tuple(row) for row in conn.exec_driver_sql(f"SELECT * FROM {table.name}")] for table in tables}


def said(transport: StoreTransport, uid: str | None, cid: str | None, email: str | None, at: int) -> Arrival:
    """What a server says, as an arrival."""
    event_id = str(uuid.UUID(int=next(numbers), version=4))
    event = Event(
        event_id=event_id,
        category="user",
        action="identify",
        uid=uid,
        uid_origin="first",
        seq=0,
        occurred_at=at,
        tracked_at=at,
        visit_id=None,
        page_id=None,
        url=None,
        body=b"{}",
        assertion=Assertion(cid, email),
    )
    return Arrival(transport.site, at, None, None, (event,), trust=Trust.SECRET_KEY)


def rehearsed(transport: StoreTransport, arrival: Arrival) -> Rehearsal:
    return transport.database.read_now(rehearse, arrival, arrival.received_at, transport.fresh_id, transport.erasures)


def newest_merges(conn: Connection, site_id: int) -> list[tuple[str, str, str]]:
    """(winner, loser, rule) of every merge, oldest first."""
    rows = fetch_merges(conn, site_id, None, 10_000)
    return [(row["winner_id"], row["loser_id"], row["rule"]) for row in reversed(rows)]


def assert_foretold(run: Run, arrival: Arrival) -> None:
    """Recording does what the rehearsal said, whoever is not yet known being nobody in it."""
    transport, (event,) = run.transport, arrival.events
    database, site_id = transport.database, transport.site.site_id
    known = database.read_now(every_row)
    foretold = rehearsed(transport, arrival)
    assert database.read_now(every_row) == known
    before = database.read_now(newest_merges, site_id)
    (receipt,) = transport.record(arrival)
    profiles = {row[1] for row in known["profiles"] if row[0] == site_id}

    def as_foretold(profile_id: str | None) -> str | None:
        return profile_id if profile_id and bytes(schema.id_bytes(profile_id)) in profiles else None

    made = database.read_now(newest_merges, site_id)[len(before) :]
    assert [(m.winner, m.loser, m.rule) for m in foretold.merges] == [
        (as_foretold(winner), as_foretold(loser), rule) for winner, loser, rule in made
    ]
    if receipt.suppressed:
        assert foretold.status == "suppressed"
        return
    stored = database.read_now(fetch_recorded, site_id, event.event_id)
    assert stored is not None
    root, warnings = stored
    assert list(foretold.warnings) == warnings
    assert foretold.status == "accepted"
    assert foretold.profile_id == as_foretold(root)
    assert rehearsed(transport, arrival).status == "duplicate"


@settings(max_examples=100)
@given(
    st.data(),
    st.lists(anybodys_acts(), min_size=1, max_size=3),
    st.lists(st.tuples(CIDS, EMAILS), min_size=1, max_size=3),
)
def test_what_is_rehearsed_is_what_recording_does(
    quick_database: Database,
    data: st.DataObject,
    acts: list[list[Act]],
    assertions: list[tuple[str | None, str | None]],
) -> None:
    run = begin(quick_database)
    sent = deliveries(acts)
    for number, tracked in data.draw(st.permutations(sent), "order of delivery"):
        hear(run, number, tracked)
    spoken = sorted({str(tracked.event.uid) for _, tracked in sent if tracked.event})
    unknown = mint_uuid7(START_MS + 5, random.Random(1))
    for cid, email in assertions:
        uid = data.draw(st.sampled_from([None, unknown, *spoken]), "uid")
        if cid or email:
            at = data.draw(st.integers(START_MS, START_MS + 100 * 3_600_000), "at")
            assert_foretold(run, said(run.transport, uid, cid, email, at))


def test_whoever_was_erased_is_suppressed_in_a_rehearsal_too(transport: StoreTransport) -> None:
    transport.record(said(transport, None, "x", None, START_MS))
    root = transport.database.read_now(find_profile, transport.site.site_id, "cid", "x")
    assert root is not None
    transport.database.transact(erase_profile, transport.site.site_id, root, transport.erasures, START_MS + 10)
    assert rehearsed(transport, said(transport, None, "x", None, START_MS + 5)).status == "suppressed"
    assert rehearsed(transport, said(transport, None, "x", None, START_MS + 15)).rules == ("R4a",)


def test_another_event_under_a_used_id_is_a_conflict_in_a_rehearsal_too(transport: StoreTransport) -> None:
    arrival = said(transport, None, "x", None, START_MS)
    transport.record(arrival)
    (event,) = arrival.events
    other = Event(**{name: getattr(event, name) for name in event.__struct_fields__} | {"body": b'{"a":1}'})
    assert rehearsed(transport, Arrival(transport.site, START_MS, None, None, (other,))).status == "id_conflict"
