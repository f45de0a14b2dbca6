"""Visits and pages of clients that send no ids for them: other dialects, hand-made requests, e-mail readers."""

from __future__ import annotations

import itertools
import random
import uuid
from typing import Any

from sqlalchemy import select

from collector.domain.event import Arrival, Assertion, Event, Trust
from collector.store import schema
from tests.stage import START_MS, mint_uuid7
from tests.store_transport import StoreTransport

MINUTE_MS = 60_000
numbers = itertools.count(1)


def an_id() -> str:
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | next(numbers)))


def event(uid: str | None, minute: float, category: str = "product", action: str = "view", **fields: Any) -> Event:
    at = START_MS + int(minute * MINUTE_MS)
    empty = {"visit_id": None, "page_id": None, "url": None, "body": b"{}"}
    return Event(an_id(), category, action, uid, "first", next(numbers), at, at, **{**empty, **fields})


def record(transport: StoreTransport, *events: Event, device: str | None = None, trust: Trust = Trust.BROWSER) -> None:
    for each in events:
        transport.record(Arrival(transport.site, each.occurred_at, device, None, (each,), trust=trust))


def placed(transport: StoreTransport, *events: Event) -> list[tuple[str | None, str | None]]:
    """The visit and the page with which each was stored."""
    table = schema.events
    query = select(table.c.event_id, table.c.visit_id, table.c.page_id).where(table.c.site_id == transport.site.site_id)
    rows = {
        row.event_id: (row.visit_id, row.page_id)
        for row in transport.database.read_now(lambda c: c.execute(query).all())
    }
    return [rows[each.event_id] for each in events]


def visits(transport: StoreTransport) -> dict[str, tuple[int, int]]:
    table = schema.visits
    query = select(table).where(table.c.site_id == transport.site.site_id)
    rows = transport.database.read_now(lambda c: c.execute(query).all())
    return {
        row.visit_id: ((row.started_at - START_MS) // MINUTE_MS, (row.last_event_at - START_MS) // MINUTE_MS)
        for row in rows
    }


def a_uid() -> str:
    return mint_uuid7(START_MS, random.Random(next(numbers)))


async def test_events_within_half_an_hour_of_each_other_are_one_visit(transport: StoreTransport) -> None:
    uid = a_uid()
    first, second, third = (event(uid, minute) for minute in (0, 29, 60))
    record(transport, first, second, third)
    assert [visit for visit, _ in placed(transport, first, second, third)] == [
        first.event_id,
        first.event_id,
        third.event_id,
    ]
    assert visits(transport) == {first.event_id: (0, 29), third.event_id: (60, 60)}


async def test_a_late_event_joins_the_visit_that_went_on(transport: StoreTransport) -> None:
    uid = a_uid()
    later, earlier = event(uid, 20), event(uid, 0)
    record(transport, later, earlier)
    assert visits(transport) == {later.event_id: (0, 20)}


async def test_a_visit_without_an_id_ends_after_a_day(transport: StoreTransport) -> None:
    uid = a_uid()
    record(transport, *(event(uid, minute) for minute in range(0, 25 * 60, 25)))
    spans = sorted(visits(transport).values())
    assert len(spans) == 2
    assert all(end - start <= 24 * 60 for start, end in spans)


async def test_two_visitors_never_share_a_visit(transport: StoreTransport) -> None:
    mine, theirs = event(a_uid(), 0), event(a_uid(), 0)
    record(transport, mine, theirs)
    assert len(visits(transport)) == 2


async def test_a_visit_that_is_named_is_joined_and_not_renamed(transport: StoreTransport) -> None:
    uid, named = a_uid(), an_id()
    own, bare = event(uid, 0, visit_id=named), event(uid, 5)
    record(transport, own, bare)
    assert [visit for visit, _ in placed(transport, own, bare)] == [named, named]


async def test_a_page_view_without_a_page_begins_one(transport: StoreTransport) -> None:
    uid = a_uid()
    view, other = event(uid, 0, "page", "view"), event(uid, 1)
    record(transport, view, other)
    assert [page for _, page in placed(transport, view, other)] == [view.event_id, None]


async def test_what_nobody_or_a_server_says_is_in_no_visit(transport: StoreTransport) -> None:
    uid = a_uid()
    said = event(uid, 0, "user", "identify", assertion=Assertion("customer-1"))
    record(transport, said, trust=Trust.SECRET_KEY)
    nobody = event(None, 0)
    record(transport, nobody)
    assert [visit for visit, _ in placed(transport, said, nobody)] == [None, None]
    assert visits(transport) == {}


async def test_a_repeat_is_a_repeat_in_whichever_visit_it_was_put(transport: StoreTransport) -> None:
    once = event(a_uid(), 0)
    record(transport, once, once)
    assert visits(transport) == {once.event_id: (0, 0)}


async def test_signing_in_on_a_shared_device_begins_a_session_in_a_visit_that_nobody_named(
    transport: StoreTransport,
) -> None:
    uid, device = a_uid(), an_id()
    signing_in = [
        event(uid, 40 * n, "user", "sign_in", assertion=Assertion(cid, None)) for n, cid in enumerate("vwxyz")
    ]
    again = event(uid, 240, "user", "sign_in", assertion=Assertion("z", None))
    record(transport, *signing_in, again, device=device)
    for each, cid in zip([*signing_in, again], "vwxyzz", strict=True):
        assert await transport.look_at_visit(each.event_id) == ("Authenticated", [(cid, True)])
