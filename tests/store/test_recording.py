"""What one transaction makes of requests beyond identity: sites, bots, clients without ids, refused events, devices."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from collector.domain.event import Arrival, Assertion, Event, EventCode, Rejection
from collector.domain.site import SiteSettings
from collector.store import schema
from collector.store.database import Database
from collector.store.driver import driver_of
from collector.store.schema import metadata
from tests.stage import Browser, Stage
from tests.store.engines import only_on_sqlite
from tests.store_transport import StoreTransport, add_site


def count(database: Database, table: str, site_id: int | None = None) -> int:
    rows = metadata.tables[table]
    query = select(rows) if site_id is None else select(rows).where(rows.c.site_id == site_id)
    return len(database.transact(lambda conn: conn.execute(query).all()))


async def arrival_of(browser: Browser, transport: StoreTransport, *cids: str | None) -> Arrival:
    """A request that was not delivered: a page view for each None, a sign-in for each CID."""
    browser.offline = True
    for cid in cids:
        await (browser.tracks("page", "view") if cid is None else browser.says(cid))
    sent, browser.outbox = browser.outbox, []
    return transport.arrival(browser.letter(sent))


async def test_sites_share_nothing(database: Database, transport: StoreTransport, stage: Stage) -> None:
    other = StoreTransport(database, add_site(database, "other"))
    p = stage.browser()
    arrival = await arrival_of(p, transport, None, "x")
    for shop in (transport, other):
        shop.record(replace(arrival, site=shop.site))
    here, there = transport.look_now("cid", "x"), other.look_now("cid", "x")
    assert here is not None
    assert there is not None
    assert here.events == there.events
    assert count(database, "profiles", transport.site.site_id) == count(database, "profiles", other.site.site_id) == 1


@only_on_sqlite
async def test_sqlite_keeps_no_copies_of_pages_to_undo_an_insert_alone(
    database: Database, transport: StoreTransport, stage: Stage
) -> None:
    said: list[str] = []
    transport.record(await arrival_of(stage.browser(), transport, None))
    database.transact(lambda conn: driver_of(conn).set_trace_callback(said.append))
    transport.record(*[await arrival_of(stage.browser(), transport, *[None] * 20, "x", None) for _ in range(3)])
    inserts = [text for text in said if text.startswith("INSERT")]
    assert len(inserts) > 10
    assert [text for text in inserts if not text.startswith("INSERT OR FAIL INTO")] == []


async def test_contact_of_another_site_is_not_adopted(
    database: Database, transport: StoreTransport, stage: Stage
) -> None:
    other = StoreTransport(database, add_site(database, "other"), transport.fresh_id)
    (receipt,) = other.record(replace(await arrival_of(stage.browser(), transport, "x"), site=other.site))
    p = stage.browser()
    arrival = await arrival_of(p, transport, None)
    transport.record(replace(arrival, contact_id=receipt.contact_id))
    person = transport.look_now("uid", p.uid)
    assert person is not None
    assert person.profile_id != receipt.contact_id
    assert person.cid is None


async def test_requests_of_several_sites_in_one_group_get_their_own_receipts(
    database: Database, transport: StoreTransport, stage: Stage
) -> None:
    other = StoreTransport(database, add_site(database, "other"), transport.fresh_id)
    arrivals = [await arrival_of(stage.browser(), transport, *([None] * events)) for events in (1, 2, 3)]
    arrivals[1] = replace(arrivals[1], site=other.site)
    assert [receipt.accepted for receipt in transport.record(*arrivals)] == [1, 2, 3]
    assert count(database, "events", other.site.site_id) == 2


async def test_bot_is_stored_outside_profiles(database: Database, transport: StoreTransport, stage: Stage) -> None:
    arrival = await arrival_of(stage.browser(), transport, None, "x")
    (receipt,) = transport.record(replace(arrival, bot=True))
    assert receipt.accepted == 2
    assert receipt.contact_id is None
    assert count(database, "events") == 2
    assert all(count(database, table) == 0 for table in ("profiles", "uids", "identifiers", "visits"))


class TestSiteThatIncludesBots:
    @pytest.fixture
    def site_settings(self) -> SiteSettings:
        return SiteSettings(bots="include")

    async def test_bot_is_a_visitor(self, transport: StoreTransport, stage: Stage) -> None:
        transport.record(replace(await arrival_of(stage.browser(), transport, "x"), bot=True))
        assert transport.look_now("cid", "x") is not None


def view_without_uid(event_id: str) -> Event:
    return Event(event_id, "page", "view", None, "first", 0, 1_000, 1_000, None, None, None, b"{}")


async def test_event_without_a_uid_is_stored_without_a_profile(database: Database, transport: StoreTransport) -> None:
    event = view_without_uid(transport.fresh_id())
    (receipt,) = transport.record(Arrival(transport.site, 1_000, None, None, (event,)))
    assert (receipt.accepted, receipt.contact_id, receipt.device_id) == (1, None, None)
    assert count(database, "events") == 1
    assert count(database, "profiles") == 0


async def test_reset_without_a_uid_is_an_ordinary_event(database: Database, transport: StoreTransport) -> None:
    event = replace(
        view_without_uid(transport.fresh_id()),
        category="user",
        action="reset_anonymous_uid",
        uid_origin="reset",
        visit_id=transport.fresh_id(),
        assertion=Assertion(email="e@example.com"),
    )
    (receipt,) = transport.record(Arrival(transport.site, 1_000, None, None, (event,)))
    assert (receipt.accepted, receipt.quarantined) == (1, 0)


async def test_visitor_without_cookies_and_device_is_known_by_the_uid(transport: StoreTransport, stage: Stage) -> None:
    """No Origin header: cookies are neither read nor set."""
    p = stage.browser()
    for _ in range(2):
        arrival = replace(await arrival_of(p, transport, None), device_id=None)
        (receipt,) = transport.record(arrival)
        assert (receipt.accepted, receipt.contact_id, receipt.device_id) == (1, None, None)
    person = transport.look_now("uid", p.uid)
    assert person is not None
    assert len(person.events) == 2


async def test_refused_events_are_quarantined_with_their_neighbours(
    database: Database, transport: StoreTransport, stage: Stage
) -> None:
    arrival = await arrival_of(stage.browser(), transport, None, None)
    rejection = Rejection(1, EventCode.INVALID_FIELD, "dims.x", b'{"bad": true}')
    (receipt,) = transport.record(replace(arrival, indexes=(0, 2), rejections=(rejection,)))
    assert (receipt.accepted, receipt.quarantined) == (2, 1)
    assert [(outcome.index, outcome.code, outcome.field) for outcome in receipt.outcomes] == [
        (1, "invalid_field", "dims.x")
    ]
    rows = database.transact(lambda conn: conn.execute(select(schema.quarantine)).mappings().all())
    assert [(row["code"], row["field"], row["raw"]) for row in rows] == [("invalid_field", "dims.x", b'{"bad": true}')]


async def test_known_uid_brings_its_device_back(transport: StoreTransport, stage: Stage) -> None:
    p = stage.browser()
    (first,) = transport.record(await arrival_of(p, transport, None))
    arrival = replace(await arrival_of(p, transport, None), device_id=transport.fresh_id())
    (again,) = transport.record(arrival)
    assert again.device_id == first.device_id
    assert again.contact_id == first.contact_id


async def test_unknown_cookies_without_a_script_cookie_begin_a_device(
    database: Database, transport: StoreTransport, stage: Stage
) -> None:
    transport.record(await arrival_of(stage.browser(), transport, None))
    transport.record(await arrival_of(stage.browser(), transport, None))
    assert count(database, "devices") == 2


@pytest.mark.parametrize("in_one_request", [True, False])
async def test_two_switches_at_one_moment_are_one(
    in_one_request: bool, transport: StoreTransport, stage: Stage
) -> None:
    """Two tabs may count alike: events of one millisecond and one counter. The first one to arrive counts."""
    p = stage.browser()
    transport.record(await arrival_of(p, transport, "x"))
    switches = await arrival_of(p, transport, "y", "z")
    y, z = switches.events
    twins = replace(switches, events=(y, replace(z, seq=y.seq, tracked_at=y.tracked_at)))
    later = await arrival_of(p, transport, None)
    if in_one_request:
        transport.record(twins, later)
    else:
        for event in twins.events:
            transport.record(replace(twins, events=(event,), indexes=(0,)))
        transport.record(later)
    y_person, z_person = transport.look_now("cid", "y"), transport.look_now("cid", "z")
    assert y_person is not None
    assert z_person is not None
    assert later.events[0].event_id in y_person.events
    assert z_person.events.keys() == {z.event_id}


async def test_nothing_of_a_failed_transaction_remains(
    database: Database, transport: StoreTransport, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = await arrival_of(stage.browser(), transport, None, "x")
    with monkeypatch.context() as patch:
        patch.setattr("collector.store.identifiers.insert_identifier", _fail)
        with pytest.raises(RuntimeError):
            transport.record(arrival)
    assert all(count(database, table) == 0 for table in ("events", "profiles", "uids", "devices", "visits"))
    assert transport.record(arrival)[0].accepted == 2


def _fail(*_: object) -> None:
    raise RuntimeError("the disk is gone")


async def test_trait_with_an_endless_name_costs_neither_its_event_nor_the_other_traits(stage: Stage) -> None:
    browser = stage.browser()
    chance = random.Random(4)
    endless = "".join(chance.choices("abcdefghijklmnopqrstuvwxyzäß€", k=5000))
    longest = "x" * 1024
    event_id = await browser.says("ada", **{endless: 1, longest: 2, "first_name": "Ada"})
    person = await stage.person(cid="ada")
    assert event_id in person.events
    assert person.traits == {longest: 2, "first_name": "Ada"}
