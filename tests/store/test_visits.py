"""Visits, sessions and states end the same in whatever order, and however often, their events are delivered."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from collector.domain.site import Site
from collector.domain.visit import MarkerKind
from collector.recorder.memory import Memory
from collector.store import schema
from collector.store.database import Database
from collector.store.marks import fetch_markers
from tests.stage import Browser, Stage
from tests.store_transport import StoreTransport, add_site

Events = list[dict[str, Any]]


async def _signs_in_and_out(p: Browser) -> None:
    await p.tracks()
    await p.says("x")
    await p.signs_out()
    await p.tracks()


async def _two_customers(p: Browser) -> None:
    await p.says("x")
    await p.says("x", action="identify")
    await p.says("y")
    await p.tracks()


async def _hint_and_reset(p: Browser) -> None:
    await p.says("x")
    await p.resets()
    await p.informs("y")
    await p.tracks()


async def _only_a_hint(p: Browser) -> None:
    await p.tracks()
    await p.informs("x")
    await p.signs_out()


async def _signs_in_after_a_reset(p: Browser) -> None:
    await p.says("x")
    await p.resets()
    await p.says("y")


STORIES = {
    _signs_in_and_out: ("Recognized", [("x", False)]),
    _two_customers: ("Authenticated", [("x", False), ("y", True)]),
    _hint_and_reset: ("Recognized", [("x", False)]),
    _only_a_hint: ("Recognized", []),
    _signs_in_after_a_reset: ("Authenticated", [("x", False), ("y", True)]),
}

sites = itertools.count(1)


def look_at(database: Database, site: Site, visit_id: str) -> tuple[Any, ...]:
    """The span of the visit, and times of its sessions."""
    visits, sessions = schema.visits, schema.sessions
    span = select(visits.c.started_at, visits.c.last_event_at, visits.c.state).where(visits.c.site_id == site.site_id)
    times = select(sessions.c.session_id, sessions.c.identity_id, sessions.c.started_at, sessions.c.ended_at).where(
        sessions.c.site_id == site.site_id, sessions.c.visit_id == visit_id
    )
    return database.transact(
        lambda conn: (
            tuple(conn.execute(span.where(visits.c.visit_id == visit_id)).one()),
            tuple(sorted(tuple(row) for row in conn.execute(times))),
        )
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
async def test_order_and_repetition_of_deliveries_do_not_matter(story: Any, quick_database: Database) -> None:
    seen = set()
    for order in itertools.permutations(range(4)):
        transport = StoreTransport(quick_database, add_site(quick_database, f"site-{next(sites)}"))
        p = Browser(Stage(transport), offline=True)
        await story(p)
        places = [place for place in order if place < len(p.outbox)]
        await p.sends([*places, places[0]], one_by_one=True)
        assert await transport.look_at_visit(p.visit) == STORIES[story], f"delivered as {places}"
        seen.add(look_at(quick_database, transport.site, p.visit))
    assert len(seen) == 1, "spans or session times depend on the order"


async def test_late_events_widen_a_visit_at_both_ends(database: Database, transport: StoreTransport) -> None:
    stage = Stage(transport)
    p = Browser(stage, offline=True)
    for _ in range(3):
        await p.tracks()
        stage.passes(minutes=1)
    first, last = p.outbox[0]["at"], p.outbox[2]["at"]
    await p.sends([1, 2, 0], one_by_one=True)
    (span, _) = look_at(database, transport.site, p.visit)
    assert span == (first, last, "Anonymous")


async def test_visits_of_a_device_are_kept_apart(stage: Stage, transport: StoreTransport) -> None:
    p = stage.browser()
    await p.says("x")
    morning = p.visit
    stage.passes(minutes=90)
    p.arrives()
    await p.tracks()
    assert await transport.look_at_visit(morning) == ("Authenticated", [("x", True)])
    assert await transport.look_at_visit(p.visit) == ("WM-Recognized", []), "the cookies still name them"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
async def test_all_that_a_newcomer_did_may_come_at_once(
    stage: Stage, transport: StoreTransport, order: tuple[int, ...]
) -> None:
    p = stage.browser()
    p.offline = True
    await p.tracks()
    before = p.visit
    stage.passes(minutes=90)
    p.arrives()
    await p.says("x")
    stage.passes(minutes=90)
    p.arrives()
    await p.tracks()
    await p.sends(order)
    assert await transport.look_at_visit(before) == ("Anonymous", []), "nobody knew yet"
    assert await transport.look_at_visit(p.visit) == ("WM-Recognized", [])


@pytest.mark.parametrize(("customers", "state"), [(3, "WM-Recognized"), (4, "Anonymous")])
async def test_sign_in_that_comes_late_may_show_that_the_device_was_shared_when_a_visit_began(
    stage: Stage, transport: StoreTransport, customers: int, state: str
) -> None:
    p = stage.browser()
    p.offline = True
    for number in range(customers):
        await p.says(f"customer {number}")
    late = p.outbox.pop(1)
    p.offline = False
    await p.sends()
    stage.passes(minutes=90)
    p.arrives()
    await p.tracks()
    assert await transport.look_at_visit(p.visit) == ("WM-Recognized", [])
    p.outbox = [late]
    await p.sends()
    assert await transport.look_at_visit(p.visit) == (state, [])


async def test_reset_whose_event_was_lost_still_ends_the_session(stage: Stage, transport: StoreTransport) -> None:
    p = stage.browser()
    await p.says("x")
    p.offline = True
    p.drops(await p.resets())
    p.offline = False
    await p.tracks()
    assert await transport.look_at_visit(p.visit) == ("Anonymous", [("x", False)])


async def test_reset_that_arrives_after_the_next_visit_ends_the_session_of_its_own(
    stage: Stage, transport: StoreTransport
) -> None:
    p = stage.browser()
    await p.says("x")
    earlier = p.visit
    p.offline = True
    await p.resets()
    kept, p.outbox = p.outbox, []
    p.offline = False
    stage.passes(minutes=90)
    p.arrives()
    await p.tracks()
    p.outbox = kept
    await p.sends()
    assert await transport.look_at_visit(earlier) == ("Anonymous", [("x", False)])
    assert await transport.look_at_visit(p.visit) == ("Anonymous", [])


async def test_of_two_that_speak_in_the_same_millisecond_the_counter_says_who_began_the_visit(
    stage: Stage, transport: StoreTransport
) -> None:
    p = stage.browser()
    p.offline = True
    await p.says("v")
    stage.passes(minutes=60)
    p.arrives()
    in_question = p.visit
    await p.tracks()
    await p.tracks()
    p.outbox[2]["at"] = p.outbox[1]["at"]
    stage.passes(minutes=60)
    p.arrives()
    await p.says("w")
    signs_in, first, second, other = range(4)
    kept = p.outbox
    await p.sends([first, other, signs_in], one_by_one=True)  # the visitor is w, and then v speaks from the sign-in on
    transport.memory = Memory()
    p.outbox = kept
    await p.sends([second])
    assert await transport.look_at_visit(in_question) == ("Anonymous", []), "w was not known yet, and spoke first"


async def test_it_is_looked_up_again_when_one_of_those_two_is_heard_again(
    stage: Stage, transport: StoreTransport
) -> None:
    p = stage.browser()
    await p.says("v")
    stage.passes(minutes=60)
    p.arrives()
    p.offline = True
    await p.tracks()
    await p.says("w")
    await p.tracks()
    for event in p.outbox:
        event["at"] = p.outbox[0]["at"]
    first, signs_in, last = range(3)
    await p.sends([last, signs_in, first], one_by_one=True)
    marks = transport.database.transact(fetch_markers, transport.site.site_id, p.visit)
    assert {(mark.kind, mark.identity_id) for mark in marks} == {
        (MarkerKind.ASSUMPTION, "v"),
        (MarkerKind.SIGN_IN, "w"),
    }


async def test_a_stranger_who_turns_out_to_have_spoken_first_is_not_taken_for_a_customer(
    stage: Stage, transport: StoreTransport
) -> None:
    for is_remembered in (True, False):
        p = stage.browser()
        await p.says(f"x{is_remembered}")
        customer, customers_cookie = p.script, p.contact_cookie
        stage.passes(minutes=60)
        p.arrives()
        p.loses("script", "contact")
        p.offline = True
        await p.tracks()
        late, p.outbox, p.offline = p.outbox, [], False
        p.script, p.contact_cookie = customer, customers_cookie
        await p.tracks()
        assert await transport.look_at_visit(p.visit) == ("WM-Recognized", [])
        if not is_remembered:
            transport.memory = Memory()
        p.outbox, p.contact_cookie, p.device_cookie, p.script = late, None, None, None
        await p.sends()
        assert await transport.look_at_visit(p.visit) == ("Anonymous", [])


async def test_a_visit_that_is_not_remembered_is_looked_at_again_when_it_begins_earlier(
    stage: Stage, transport: StoreTransport
) -> None:
    p = stage.browser()
    await p.says("z")
    stage.passes(minutes=90)
    p.arrives()
    p.offline = True
    await p.tracks()
    assert p.script is not None
    before = p.script
    p.script = replace(before)
    p.drops(await p.resets())
    after, p.script = p.script, before
    await p.tracks()  # of another tab, say, that has not heard of it
    p.script = after
    await p.tracks()
    begins, *others = range(3)
    kept = p.outbox
    await p.sends(others, one_by_one=True)
    assert await transport.look_at_visit(p.visit) == ("WM-Recognized", []), "the reset was before the visit"
    transport.memory = Memory()
    p.outbox = kept
    await p.sends([begins])
    assert await transport.look_at_visit(p.visit) == ("Anonymous", []), "the reset was in it"


async def test_who_is_left_of_a_visit_after_an_erasure_spoke_first_in_it(
    stage: Stage, transport: StoreTransport, database: Database
) -> None:
    await stage.browser().says("z")
    p = stage.browser()
    await p.says("x")
    await p.says("z")
    await transport.erase((await stage.person(cid="x")).profile_id, stage.now)
    markers = database.read_now(fetch_markers, transport.site.site_id, p.visit)
    assert {(marker.kind, marker.identity_id) for marker in markers} == {
        (MarkerKind.ASSUMPTION, "z"),
        (MarkerKind.SIGN_IN, "z"),
    }


async def test_a_visit_in_which_somebody_else_spoke_outlives_the_browser_that_began_it(
    stage: Stage, transport: StoreTransport
) -> None:
    p, q = stage.browser(), stage.browser()
    await p.says("x")
    q.visit = p.visit
    await q.says("z")
    await transport.erase((await stage.person(cid="x")).profile_id, stage.now)
    assert await transport.look_at_visit(q.visit) == ("Authenticated", [("z", True)])
