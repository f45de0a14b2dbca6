"""What holds for every history (spec/identity.md, Properties), on a real SQLite file.

The same history goes through the world in memory and through the database, each event with the same cookies. Both mint
ids by counting, so they must end with the same rows, not only with the same people.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from collector.domain.event import Arrival, Event
from collector.store import schema
from collector.store.database import Database
from tests.store_transport import StoreTransport, add_site
from tests.unit.histories import Act, Tracked, act_out, anybodys_acts, honest_acts
from tests.unit.world import World, counting_ids

Rows = dict[str, set[tuple[Any, ...]]]
Sent = tuple[int, Tracked]

site_numbers = itertools.count(1)


@dataclass
class Run:
    """One history through a site of its own in the database, and through a world that must agree with it."""

    database: Database
    world: World = field(default_factory=lambda: World(counting_ids()))
    jars: dict[int, list[str | None]] = field(default_factory=dict)  # device, contact

    def __post_init__(self) -> None:
        self.transport = StoreTransport(self.database, add_site(self.database, f"site-{next(site_numbers)}"))

    def play(self, order: Sequence[Sent]) -> None:
        for number, tracked in order:
            self.deliver(number, tracked)

    def deliver(self, number: int, tracked: Tracked) -> None:
        jar = self.jars.setdefault(number, [None, None])
        if tracked.loss in ("device", "server", "all"):
            jar[0] = None
        if tracked.loss in ("contact", "server", "all"):
            jar[1] = None
        if tracked.event is not None:
            device_id = jar[0] or tracked.sdk_device
            (receipt,) = self.transport.record(self.arrival(tracked, device_id, jar[1]))
            expected = self.world.hear((tracked.event,), device_id, jar[1], tracked.trust)
            assert (receipt.device_id, receipt.contact_id) == expected
            jar[:] = [receipt.device_id, receipt.contact_id]

    def arrival(self, tracked: Tracked, device_id: str, contact_id: str | None = None) -> Arrival:
        assert tracked.event is not None
        received_at, events = tracked.event.occurred_at, (tracked.event,)
        return Arrival(self.transport.site, received_at, device_id, contact_id, events, trust=tracked.trust)

    def rows(self) -> Rows:
        return self.database.transact(fetch_rows, self.transport.site.site_id)

    def places(self) -> set[tuple[Any, ...]]:
        """In which visit and on which page each event is."""
        table = schema.events.c
        query = select(table.event_id, table.visit_id, table.page_id)
        mine = query.where(table.site_id == self.transport.site.site_id)
        return self.database.transact(lambda conn: {tuple(row) for row in conn.execute(mine)})


def fetch_rows(conn: Connection, site_id: int) -> Rows:
    """Everything about people, without the times of recording."""
    tables = {
        "profiles": ("profile_id", "merged_into"),
        "identifiers": ("kind", "value", "profile_id"),
        "bindings": ("uid", "since_at", "since_seq", "profile_id"),
        "boundaries": ("device_id", "at", "seq"),
        "devices": ("device_id", "youngest_uid"),
        "claims": ("profile_id", "kind", "value", "reason"),
        "events": ("event_id", "profile_id"),
        "user_identifications": ("event_id", "kind", "visit_id", "at", "seq", "identity_id", "profile_id"),
        "visits": ("visit_id", "started_at", "last_event_at", "state"),
        "sessions": ("session_id", "identity_id", "profile_id", "started_at", "ended_at"),
        "merges": ("winner_id", "loser_id", "rule", "event_id"),
    }
    found: Rows = {}
    for name, columns in tables.items():
        table = schema.metadata.tables[name]
        query = select(*(table.c[column] for column in columns)).where(table.c.site_id == site_id)
        found[name] = {tuple(row) for row in conn.execute(query)}
    old = schema.retirements
    history = conn.execute(select(old.c.profile_id, old.c.kind, old.c.value).where(old.c.site_id == site_id))
    found["claims"] |= {(*row, "replaced") for row in history}
    return found


def rows_of(world: World) -> Rows:
    """The same, as far as the world keeps it."""
    return {
        "profiles": {(profile, world.merged_into.get(profile)) for profile in world.first_seen},
        "identifiers": {(kind, value, leaf) for (kind, value), (leaf, _) in world.identifiers.items()},
        "bindings": {(uid, *b.since, b.profile_id) for uid, known in world.uids.items() for b in known.bindings},
        "boundaries": {(device, *moment) for device, moments in world.boundaries.items() for moment in moments},
        "devices": {(device.device_id, device.youngest_uid) for device in world.devices.values()},
        "claims": set(world.claims),
        "events": set(world.events.items()),
    }


def assert_sound(rows: Rows) -> None:
    """No person holds two CIDs or two e-mails; depth 1, no cycles; every event reaches exactly one root."""
    merged_into: dict[Any, Any] = dict(rows["profiles"])
    roots = {profile for profile, target in merged_into.items() if target is None}
    assert {target for target in merged_into.values() if target} <= roots
    held = [(merged_into[leaf] or leaf, kind) for kind, _, leaf in rows["identifiers"]]
    assert len(held) == len(set(held)), "a person holds two identifiers of one kind"
    assert {leaf for _, leaf in rows["events"]} <= merged_into.keys()


def deliveries(acts: Sequence[Sequence[Act]]) -> list[Sent]:
    return [(number, tracked) for number, browser in enumerate(acts) for tracked in act_out(browser, number)]


@settings(max_examples=80)
@given(st.data(), st.lists(anybodys_acts(), min_size=1, max_size=3))
def test_database_and_rules_agree_whatever_is_claimed(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = Run(quick_database)
    run.play(data.draw(st.permutations(deliveries(acts)), "order of delivery"))
    rows = run.rows()
    assert {name: rows[name] for name in rows_of(run.world)} == rows_of(run.world)
    assert_sound(rows)


@settings(max_examples=50)
@given(st.data(), st.lists(honest_acts(one_uid_per_stretch=False), min_size=2, max_size=3))
def test_database_and_rules_agree_about_honest_people(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = Run(quick_database)
    run.play(data.draw(st.permutations(deliveries(acts)), "order of delivery"))
    rows = run.rows()
    assert {name: rows[name] for name in rows_of(run.world)} == rows_of(run.world)


@settings(max_examples=50)
@given(st.data(), st.lists(anybodys_acts(), min_size=1, max_size=3))
def test_repeating_what_was_delivered_changes_no_row(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    run = Run(quick_database)
    order = data.draw(st.permutations(deliveries(acts)), "order of delivery")
    run.play(order)
    before = run.rows()
    for number, tracked in order:
        run.deliver(number, replace(tracked, loss=None))
    assert run.rows() == before


@settings(max_examples=40)
@given(st.data(), st.lists(anybodys_acts(), min_size=1, max_size=3))
def test_what_shares_a_transaction_does_not_matter(
    quick_database: Database, data: st.DataObject, acts: list[list[Act]]
) -> None:
    sent = [tracked for _, tracked in data.draw(st.permutations(deliveries(acts)), "order") if tracked.event]
    apart, together = Run(quick_database), Run(quick_database)
    for tracked in sent:
        apart.transport.record(apart.arrival(tracked, tracked.sdk_device))
    while sent:
        size = data.draw(st.integers(1, len(sent)), "requests in this transaction")
        together.transport.record(*(together.arrival(tracked, tracked.sdk_device) for tracked in sent[:size]))
        sent = sent[size:]
    assert together.rows() == apart.rows()


@settings(max_examples=80)
@given(st.data(), anybodys_acts())
def test_what_shares_a_request_does_not_matter(quick_database: Database, data: st.DataObject, acts: list[Act]) -> None:
    tracked = [each for each in act_out(acts, 0) if each.event]
    views = data.draw(st.lists(st.sampled_from(tracked), max_size=8), "more like these") if tracked else []
    views = [replace(each, event=_view_like(each.event, n)) for n, each in enumerate(views) if each.event]
    sent = data.draw(st.permutations(tracked + views), "order")
    sent += data.draw(st.lists(st.sampled_from(sent), max_size=4), "repeats") if sent else []
    apart, together = Run(quick_database), Run(quick_database)
    for each in sent:
        apart.transport.record(apart.arrival(each, each.sdk_device))
    for (device, trust), those in itertools.groupby(sent, lambda each: (each.sdk_device, each.trust)):
        events = tuple(each.event for each in those if each.event)
        arrival = Arrival(together.transport.site, events[-1].occurred_at, device, None, events, trust=trust)
        together.transport.record(arrival)
    assert together.rows() == apart.rows()
    assert together.places() == apart.places()


def _view_like(event: Event, number: int) -> Event:
    """A page view with everything else of `event`, or the view of a product some moments away from it."""
    event_id = f"{event.event_id[:-4]}{number + 0xF000:04x}"
    category = "page" if number % 3 == 0 else "product"
    at = event.occurred_at + (number % 5 - 2) * 400
    return msgspec.structs.replace(
        event, event_id=event_id, category=category, action="view", assertion=None, occurred_at=at, tracked_at=at
    )
