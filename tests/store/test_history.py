"""What the History API reads, on both engines: every list against all rows, in pages of any size, as more arrives."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from collector.domain.history import Agent, EventFilter, EventType, Included, VisitFilter
from collector.domain.visit import State
from collector.store import history_views as views
from collector.store import schema
from collector.store.history_identifications import fetch_identified, fetch_system_page
from collector.store.history_identities import Narrowed, fetch_contacts, fetch_identities
from collector.store.history_views import Paging
from tests.stage import Browser, Stage, mint_uuid7
from tests.store_transport import StoreTransport

ALL = Included(pages=True, events=True, sessions=True, identities=True)
ANYTHING = VisitFilter()
PATHS = ("/", "/tea", "/tea/green", "/cart")
PEOPLE = ("ada", "bob", None)


async def acts(browser: Browser, chance: random.Random) -> None:
    """One act of a visitor."""
    page = mint_uuid7(browser.clock, chance)
    url = "https://shop.example" + chance.choice(PATHS)
    deed = chance.randrange(9)
    if deed < 3:
        await browser.tracks("page", "view", page=page, url=url, title="A page")
        if chance.random() < 0.6:
            await browser.tracks("page", "exit", page=page, url=url, extra={"active_ms": 500})
    elif deed == 3:
        name = chance.choice(PEOPLE)
        await browser.says(name, f"{name or 'carol'}@example.com")
    elif deed == 4:
        await browser.signs_out()
    elif deed == 5:
        await browser.informs(chance.choice(("ada", "dora")))
    elif deed == 6:
        await browser.resets()
    else:
        await browser.tracks("product", chance.choice(("view", "buy")), url=url, page=page)


async def live(stage: Stage, chance: random.Random, acts_in_all: int) -> list[Browser]:
    """A few browsers over some days, with late deliveries."""
    browsers = [stage.browser() for _ in range(3)]
    for _ in range(acts_in_all):
        browser = chance.choice(browsers)
        if chance.random() < 0.2:
            stage.passes(minutes=45)
            browser.arrives()
        browser.offline = chance.random() < 0.4
        await acts(browser, chance)
        if not browser.offline:
            await browser.sends()
    for browser in browsers:
        if browser.outbox:
            await browser.sends()
    return browsers


class Book:
    """Reads lists, whole and in pages."""

    def __init__(self, transport: StoreTransport, now: int) -> None:
        self.database, self.site_id, self.now = transport.database, transport.site.site_id, now

    def read(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.database.read_now(function, self.site_id, *args, **kwargs)

    def rows(self, table: Any, **by: Any) -> list[Any]:
        mine = [table.c.site_id == self.site_id, *(table.c[name] == value for name, value in by.items())]
        return self.database.read_now(lambda conn: list(conn.execute(select(table).where(*mine))))

    def whole(self, fetch: Callable[[Paging], tuple[list[Any], Any]], key: Callable[[Any], Any]) -> list[Any]:
        """The keys of a list, the same in pages of each size."""
        items, following = fetch(Paging(500))
        assert following is None
        wanted = [key(item) for item in items]
        assert len(set(wanted)) == len(wanted)
        for size in (2, 7):
            found, start = [], None
            while True:
                page, start = fetch(Paging(size, start))
                assert len(page) <= size
                found += [key(item) for item in page]
                if start is None:
                    break
            assert found == wanted, f"in pages of {size}"
        return wanted


@pytest.fixture(params=[1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    """Of the history; it is part of the test's name."""
    return int(request.param)


@pytest.fixture
async def book(transport: StoreTransport, seed: int) -> Book:
    chance = random.Random(seed)
    stage = Stage(transport, seed=seed)
    await live(stage, chance, 45)
    stage.passes(minutes=10)
    return Book(transport, stage.now)


def by_arrival(rows: list[Any]) -> list[str]:
    return [row.visit_id for row in sorted(rows, key=lambda row: (row.arrived_at, row.visit_id), reverse=True)]


async def test_visits_are_listed_by_arrival_whatever_narrows_them(book: Book) -> None:
    stored = book.rows(schema.visits)
    devices = {row.device_id for row in stored}
    since = sorted(row.started_at for row in stored)[len(stored) // 2]

    def wanted(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> Any:
            return book.read(views.fetch_visit_page, book.now, VisitFilter(**by), paging, Included())

        return book.whole(fetch, lambda view: view.visit.visit_id)

    assert len(stored) > 5
    assert wanted() == by_arrival(stored)
    assert wanted(since=since) == by_arrival([row for row in stored if row.started_at >= since])
    for state in State:
        assert wanted(state=state) == by_arrival([row for row in stored if row.state == state])
    for device in devices:
        mine = [row for row in stored if row.device_id == device]
        assert wanted(device_id=device) == by_arrival(mine)
        assert wanted(device_id=device, since=since) == by_arrival([row for row in mine if row.started_at >= since])
    assert wanted(agent=Agent(None, "nothing like it")) == []


async def test_events_of_a_visit_are_all_that_was_said_in_it(book: Book) -> None:
    stored = [row for row in book.rows(schema.events) if row.profile_id is not None]
    for visit_id in {row.visit_id for row in stored}:
        check_events_of_visit(book, visit_id, [row for row in stored if row.visit_id == visit_id])


def check_events_of_visit(book: Book, visit_id: str, stored: list[Any]) -> None:
    mine = sorted(stored, key=lambda row: (row.occurred_at, row.row_id))

    def told(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> tuple[list[str], Any]:
            found = book.read(views.fetch_events_of_visit, visit_id, EventFilter(**by), paging)
            return [visit_id] * found.with_start + [e.event_id for e in found.events], found.following

        return book.whole(fetch, lambda key: key)

    def those(fits: Callable[[Any], bool]) -> list[str]:
        return [row.event_id for row in mine if fits(row)]

    assert told() == [visit_id, *those(lambda row: True)]
    assert told(name="VisitStarted") == told(category="visit") == [visit_id]
    assert told(name="product/buy") == those(lambda row: row.action == "buy")
    assert told(name="SignIn") == those(lambda row: row.action == "sign_in")
    assert told(category="product") == those(lambda row: row.category == "product")
    business = ("product", "reset_anonymous_uid")
    assert told(kind=EventType.BUSINESS) == those(lambda row: row.category in business or row.action in business)
    assert told(kind=EventType.SYSTEM, category="user") == those(
        lambda row: row.action in ("sign_in", "sign_out", "info")
    )
    tea = "https://shop.example/tea"
    assert told(url=tea) == those(lambda row: row.url == tea)
    assert told(url=f"{tea}*") == those(lambda row: row.url.startswith(tea))
    half = mine[len(mine) // 2].occurred_at
    assert told(since=half, kind=EventType.BUSINESS) == [
        row.event_id for row in mine if row.occurred_at >= half and (row.category in business or row.action in business)
    ]


async def test_pages_sessions_and_identities_of_visits_fit_their_events(book: Book) -> None:
    for row in book.rows(schema.visits):
        view = book.read(views.fetch_visit_view, book.now, row.visit_id, ALL)
        said = book.rows(schema.events, visit_id=row.visit_id)
        entered = {event.page_id for event in said if (event.category, event.action) == ("page", "view")}
        listed = book.whole(
            lambda paging, id_=row.visit_id: book.read(
                views.fetch_pages_of_visit, book.now, id_, EventFilter(), paging
            )[2:],
            lambda page: page.page_id,
        )
        assert set(listed) == entered
        assert listed == [page.page_id for page in view.pages]
        stored = sorted(book.rows(schema.sessions, visit_id=row.visit_id), key=lambda s: (s.since_at, s.since_seq))
        assert [session.session_id for session in view.sessions] == [session.session_id for session in stored]
        assert [s.session_id for s in view.sessions] == book.whole(
            lambda paging, id_=row.visit_id: book.read(
                views.fetch_sessions_of_visit, book.now, id_, None, paging, Included()
            ),
            lambda each: each.session.session_id,
        )
        named = {contact.identity_id for contact in book.rows(schema.contacts, visit_id=row.visit_id)}
        assert {identity.identity_id for identity in view.identities} == named | ({row.identity_id} - {None})
        for session in view.sessions:
            inside = book.read(views.fetch_events_of_session, session.session_id, EventFilter(), Paging(500)).events
            until = session.until or (2**62, 0)
            assert {event.event_id for event in inside} == {
                event.event_id for event in said if session.since <= (event.tracked_at, event.seq) < until
            }


async def test_people_answer_with_all_that_their_profiles_did(book: Book) -> None:
    stored = book.rows(schema.identities)
    assert len(stored) > 2
    for identity in stored:
        of = book.read(views.find_whom, identity.identity_id)
        spoken = {row.visit_id for row in book.rows(schema.visit_profiles) if row.profile_id in of.leaves}
        named = {
            row.visit_id
            for table in (schema.contacts, schema.user_identifications)
            for row in book.rows(table, identity_id=identity.identity_id)
        }
        visits = [row for row in book.rows(schema.visits) if row.visit_id in spoken | named]
        found = book.whole(
            lambda paging, x=identity.identity_id: book.read(
                views.fetch_visits_of_identity, book.now, x, ANYTHING, paging, Included()
            ),
            lambda view: view.visit.visit_id,
        )
        assert found == by_arrival(visits)
        events = [row for row in book.rows(schema.events) if row.profile_id in of.leaves]
        events.sort(key=lambda row: (row.occurred_at, row.row_id), reverse=True)

        def told(x: str = identity.identity_id, **by: Any) -> list[str]:
            def fetch(paging: Paging) -> Any:
                return book.read(views.fetch_events_of_identity, x, EventFilter(**by), paging)[::2]

            return book.whole(fetch, lambda event: event.event_id)

        assert told() == [row.event_id for row in events]
        assert told(category="product") == [row.event_id for row in events if row.category == "product"]
        device = next(row.device_id for row in visits) if visits else None
        there = {row.visit_id for row in visits if row.device_id == device}
        assert told(device_id=device) == [row.event_id for row in events if device is None or row.visit_id in there]
        sessions = [row for row in book.rows(schema.sessions) if row.profile_id in of.leaves]
        sessions.sort(key=lambda row: (row.started_at, row.session_id), reverse=True)
        if of.leaves:
            assert [row.session_id for row in sessions] == book.whole(
                lambda paging, x=identity.identity_id: book.read(
                    views.fetch_sessions_of_identity, book.now, x, ANYTHING, paging, Included()
                ),
                lambda view: view.session.session_id,
            )


async def test_identities_and_contacts_are_listed_whatever_narrows_them(book: Book) -> None:
    stored = sorted(book.rows(schema.identities), key=lambda row: (row.arrived_at, row.identity_id), reverse=True)

    def named(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> Any:
            return book.read(fetch_identities, paging.limit, paging.start, **by)

        return book.whole(fetch, lambda identity: identity.identity_id)

    assert named() == [row.identity_id for row in stored]
    contacts = sorted(book.rows(schema.contacts), key=lambda row: (row.occurred_at, row.contact_id), reverse=True)
    for device in {row.device_id for row in contacts}:
        seen = {row.identity_id for row in contacts if row.device_id == device}
        assert named(device_id=device) == [row.identity_id for row in stored if row.identity_id in seen]
    assert named(agent=Agent(None, "nothing like it")) == []

    def met(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> tuple[list[Any], Any]:
            found = book.read(fetch_contacts, Narrowed(**by), paging.limit + 1, paging.start)
            page = found[: paging.limit]
            return page, (page[-1].occurred_at, page[-1].contact_id) if len(found) > paging.limit else None

        return book.whole(fetch, lambda contact: contact.contact_id)

    assert met() == [row.contact_id for row in contacts]
    for name in ("identity_id", "session_id", "visit_id", "device_id"):
        for value in {getattr(row, name) for row in contacts} - {None}:
            assert met(**{name: value}) == [row.contact_id for row in contacts if getattr(row, name) == value]
    half = contacts[len(contacts) // 2].occurred_at
    assert met(since=half) == [row.contact_id for row in contacts if row.occurred_at >= half]


SYSTEM = {("page", "view"), ("page", "exit"), ("user", "sign_in"), ("user", "sign_out"), ("user", "info")}


async def test_system_events_and_beginnings_of_visits_are_all_there_once(book: Book) -> None:
    visits = book.rows(schema.visits)
    stored = [row for row in book.rows(schema.events) if (row.category, row.action) in SYSTEM]

    def told(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> Any:
            return book.read(fetch_system_page, Narrowed(**by), paging.limit, paging.start)

        return book.whole(fetch, lambda each: getattr(each, "visit_id", None) or each.event.event_id)

    def ids(visit_ids: set[str]) -> set[str]:
        return visit_ids | {row.event_id for row in stored if row.visit_id in visit_ids}

    assert set(told()) == ids({row.visit_id for row in visits})
    for visit in visits:
        assert set(told(visit_id=visit.visit_id)) == ids({visit.visit_id})
    for device in {row.device_id for row in visits}:
        assert set(told(device_id=device)) == ids({row.visit_id for row in visits if row.device_id == device})
    for session in book.rows(schema.sessions):
        inside = book.read(views.fetch_events_of_session, session.session_id, EventFilter(), Paging(500)).events
        wanted = [event.event_id for event in inside if (event.category, event.action) in SYSTEM]
        assert told(session_id=session.session_id) == wanted[::-1]


async def test_system_events_that_name_somebody_are_all_there_once(book: Book) -> None:
    markers = [
        row
        for row in book.rows(schema.user_identifications)
        if row.identity_id and row.visit_id and row.kind in ("SignIn", "SignOut", "UserInfo")
    ]
    markers.sort(key=lambda row: (row.occurred_at, row.event_id), reverse=True)

    def identified(**by: Any) -> list[str]:
        def fetch(paging: Paging) -> Any:
            return book.read(fetch_identified, Narrowed(**by), paging.limit, paging.start)

        return book.whole(fetch, lambda each: each.event.event_id)

    assert identified() == [row.event_id for row in markers]
    for name in ("identity_id", "visit_id", "device_id"):
        for value in {getattr(row, name) for row in markers}:
            assert identified(**{name: value}) == [row.event_id for row in markers if getattr(row, name) == value]


async def test_lists_neither_repeat_nor_skip_while_events_arrive_and_visits_move(
    stage: Stage, transport: StoreTransport, seed: int
) -> None:
    chance = random.Random(seed)
    browsers = await live(stage, chance, 40)
    late = browsers[0]
    late.offline = True
    book = Book(transport, stage.now)
    lists: dict[str, tuple[Callable[[Paging], tuple[list[Any], Any]], Callable[[Any], Any]]] = {
        "visits": (
            lambda paging: book.read(views.fetch_visit_page, book.now, ANYTHING, paging, Included()),
            lambda view: view.visit.visit_id,
        ),
        "identities": (
            lambda paging: book.read(fetch_identities, paging.limit, paging.start),
            lambda identity: identity.identity_id,
        ),
        "system": (
            lambda paging: book.read(fetch_system_page, Narrowed(), paging.limit, paging.start),
            lambda each: getattr(each, "visit_id", None) or each.event.event_id,
        ),
    }
    before = {name: book.whole(*wanted) for name, wanted in lists.items()}
    starts: dict[str, Any] = {}
    found: dict[str, list[Any]] = {name: [] for name in lists}
    while len(starts) < len(lists) or any(starts.values()):
        for name, (fetch, key) in lists.items():
            if name not in starts or starts[name] is not None:
                page, starts[name] = fetch(Paging(3, starts.get(name)))
                found[name] += [key(item) for item in page]
        for browser in browsers[1:]:
            await acts(browser, chance)
        moved = late.stamp("product", "view")
        moved["at"] -= 5 * 60_000  # the start of its visit moves back
        late.outbox.append(moved)
        await late.sends()
    for name, keys in found.items():
        assert len(set(keys)) == len(keys), f"{name} repeats"
        assert set(before[name]) <= set(keys), f"{name} skips"
