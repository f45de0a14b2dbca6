"""The first page of each list of History is served by an index on both engines: no table is read, no site is sorted.

The plans are those for a site with some thousand rows in each table; PostgreSQL counts them, SQLite never does.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, Table, event, insert, select, text

from collector.domain.history import Agent, EventFilter, EventType, Included, VisitFilter, Whom
from collector.domain.visit import State
from collector.store import history_views as views
from collector.store import prepared, schema
from collector.store.history_events import fetch_events_of_person
from collector.store.history_identifications import fetch_identified, fetch_system_page
from collector.store.history_identities import Narrowed, fetch_contacts, fetch_identities
from collector.store.history_views import Paging
from tests.store_transport import StoreTransport

VISITS = 3000  # on a tenth as many devices, of a tenth as many people; two events in each
NOW = 1_800_000_000_000
START = NOW - 1000 * VISITS
MANY = VISITS // 3  # rows that no page may sort
ALL = Included(pages=True, events=True, sessions=True, identities=True)

Explained = list[tuple[str, Any]]  # statements with their plans
Look = Callable[[Connection, int], object]


def named(kind: int, number: int) -> str:
    return str(uuid.UUID(int=(kind << 64) + number + 1))


def visit_id(number: int) -> str:
    return named(1, number)


def device_id(number: int) -> str:
    return named(2, number % (VISITS // 10))


def leaf_id(number: int) -> str:
    return named(3, number % (VISITS // 10))


def who(number: int) -> str:
    return f"customer-{number % (VISITS // 10)}"


def rows(site: int) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """What some thousand visits with a sign-in each come to."""
    every, people = range(VISITS), range(VISITS // 10)
    at = [START + 1000 * number for number in every]
    yield schema.profiles, [  # the last of them is one with somebody whom the lists are about
        {
            "site_id": site, "profile_id": leaf_id(n), "first_seen_at": at[n],
            "merged_into": leaf_id(7) if n == len(people) - 1 else None,
        }
        for n in people
    ]  # fmt: skip
    yield schema.identifiers, [
        {
            "site_id": site, "kind": "cid", "value": who(n), "profile_id": leaf_id(n), "trust": 0, "rule": "R4a",
            "event_id": named(4, n), "assigned_at": at[n],
        }
        for n in people
    ]  # fmt: skip
    yield (
        schema.identities,
        [
            {"site_id": site, "identity_id": who(n), "first_at": at[n], "last_at": at[n], "arrived_at": at[n]}
            for n in people
        ],
    )
    yield schema.user_agents, [{"site_id": site, "user_agent_id": named(7, 0), "text": "Mozilla"}]
    yield schema.visits, [
        {
            "site_id": site, "visit_id": visit_id(n), "device_id": device_id(n), "started_at": at[n],
            "last_event_at": at[n] + 1, "since_at": at[n], "arrived_at": at[n], "user_agent_id": named(7, 0),
            "state": list(State)[n % 4], "identity_id": who(n),
        }
        for n in every
    ]  # fmt: skip
    yield schema.visit_profiles, [{"site_id": site, "profile_id": leaf_id(n), "visit_id": visit_id(n)} for n in every]
    where = [{"site_id": site, "visit_id": visit_id(n), "profile_id": leaf_id(n), "identity_id": who(n)} for n in every]
    yield (
        schema.contacts,
        [
            row
            | {"contact_id": named(4, n), "device_id": device_id(n), "session_id": named(4, n), "occurred_at": at[n]}
            for n, row in enumerate(where)
        ],
    )
    yield (
        schema.sessions,
        [
            row | {"session_id": named(4, n), "started_at": at[n], "since_at": at[n], "since_seq": 0}
            for n, row in enumerate(where)
        ],
    )
    yield (
        schema.user_identifications,
        [
            row
            | {"event_id": named(4, n), "kind": "SignIn", "device_id": device_id(n), "at": at[n], "seq": 0}
            | {"occurred_at": at[n]}
            for n, row in enumerate(where)
        ],
    )
    what = (("user", "sign_in", 4), ("page", "view", 5), ("product", "view", 6))
    yield schema.events, [
        {
            "site_id": site, "event_id": named(kind, n), "profile_id": leaf_id(n), "uid": named(8, n),
            "visit_id": visit_id(n), "page_id": named(9, n), "category": category, "action": action,
            "occurred_at": at[n], "tracked_at": at[n], "received_at": at[n], "seq": 0, "bot": False,
            "url": "https://shop.example/", "body": "{}",
        }
        for n in every
        for category, action, kind in what
    ]  # fmt: skip


@pytest.fixture
def busy_site(transport: StoreTransport) -> StoreTransport:
    def fill(conn: Connection) -> None:
        for table, listed in rows(transport.site.site_id):
            conn.execute(insert(table), listed)

    transport.database.transact(fill)
    if transport.database.has_rivals:
        transport.database.transact(lambda conn: conn.execute(text("ANALYZE")))
    return transport


@pytest.fixture
def explain(busy_site: StoreTransport, monkeypatch: pytest.MonkeyPatch) -> Callable[[Look], Explained]:
    """Runs a query function; its statements with their plans."""
    said: list[tuple[str, Any]] = []

    def noting(name: str) -> None:
        original = getattr(prepared, name)

        def note(conn: Any, statement: str, values: Any) -> Any:
            said.append((statement, values))
            return original(conn, statement, values)

        monkeypatch.setattr(prepared, name, note)

    for name in ("execute", "await_rows"):
        noting(name)

    def note_core(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        said.append((statement, parameters))

    def explained(look: Look) -> Explained:
        def run(conn: Connection) -> Explained:
            said.clear()
            event.listen(conn, "before_cursor_execute", note_core)
            look(conn, busy_site.site.site_id)
            event.remove(conn, "before_cursor_execute", note_core)
            asked = dict(said)
            return [(statement, plan_of(conn, statement, parameters)) for statement, parameters in asked.items()]

        return busy_site.database.transact(run)

    return explained


def plan_of(conn: Connection, statement: str, parameters: Any) -> Any:
    if conn.dialect.name == "sqlite":
        return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))]
    (document,) = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", tuple(parameters)).one()
    return (orjson.loads(document) if isinstance(document, str) else document)[0]["Plan"]


WHOLE_SITE = re.compile(
    r"WHERE \w+\.site_id = \?( AND events\.category IN \('page', 'user'\))?\s+ORDER BY .* LIMIT", re.S
)


def faults_of(plan: Any, statement: str) -> list[str]:
    """What in a plan grows with the site."""
    if isinstance(plan, list):
        # In order of an index, as far as the page goes; with any other condition it might go on and on.
        is_whole = WHOLE_SITE.search(statement) is not None and not any("TEMP B-TREE" in step for step in plan)
        return [
            step
            for step in plan
            if (step.startswith("SCAN ") and "SCAN (" not in step and "CONSTANT" not in step)
            or (step.endswith("(site_id=?)") and not is_whole)
            or re.search(r"\(site_id=\? AND \w+_id>\?\)", step)  # IS NOT NULL taken for a range
        ]
    faults = []
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] not in ("user_agents", "profiles", "sites"):
        faults.append(f"Seq Scan of {plan['Relation Name']}")
    if plan["Node Type"] == "Sort" and max(part["Plan Rows"] for part in plan["Plans"]) > MANY:
        faults.append(f"Sort of {plan['Plans'][0]['Plan Rows']} rows")
    return faults + [fault for part in plan.get("Plans", ()) for fault in faults_of(part, statement)]


def a_visit_page(**by: Any) -> Look:
    return lambda conn, site: views.fetch_visit_page(conn, site, NOW, VisitFilter(**by), Paging(50), Included())


def of_ada(function: Callable[..., Any], *rest: Any) -> Look:
    return lambda conn, site: function(conn, site, *rest)


ADA = Whom(who(7), (leaf_id(7),))
AGENT = Agent(None, "zilla")
PAGE = Paging(50)
LATER = Paging(50, (START + 500_000, visit_id(500)))
SINCE = START + 1_000_000

LOOKS: dict[str, Look] = {
    "visits": a_visit_page(),
    "visits by state": a_visit_page(state=State.ANONYMOUS),
    "visits by age": a_visit_page(since=SINCE),
    "visits by state and age": a_visit_page(state=State.ANONYMOUS, since=SINCE),
    "visits of a device": a_visit_page(device_id=device_id(7)),
    "visits of a device in a state": a_visit_page(device_id=device_id(7), state=State.ANONYMOUS, since=SINCE),
    "a later page of visits": lambda conn, site: views.fetch_visit_page(
        conn, site, NOW, VisitFilter(), LATER, Included()
    ),
    "visits with all lists": lambda conn, site: views.fetch_visit_page(conn, site, NOW, VisitFilter(), Paging(3), ALL),
    "a visit with all lists": of_ada(views.fetch_visit_view, NOW, visit_id(7), ALL),
    "pages of a visit": of_ada(views.fetch_pages_of_visit, NOW, visit_id(7), EventFilter(), PAGE),
    "events of a visit": of_ada(views.fetch_events_of_visit, visit_id(7), EventFilter(), PAGE),
    "system events of a visit": of_ada(
        views.fetch_events_of_visit, visit_id(7), EventFilter(kind=EventType.SYSTEM, category="page"), PAGE
    ),
    "identities of a visit": of_ada(views.fetch_identities_of_visit, visit_id(7), None, PAGE),
    "events of a session": of_ada(views.fetch_events_of_session, named(4, 7), EventFilter(), PAGE),
    "visits of a person": of_ada(views.fetch_visits_of_identity, NOW, who(7), VisitFilter(), PAGE, Included()),
    "visits of a person by agent": of_ada(
        views.fetch_visits_of_identity, NOW, who(7), VisitFilter(agent=AGENT), PAGE, Included()
    ),
    "sessions of a person": of_ada(views.fetch_sessions_of_identity, NOW, who(7), VisitFilter(), PAGE, Included()),
    "events of a person": of_ada(fetch_events_of_person, ADA.leaves, EventFilter(), 50),
    "events of a person by name and device": of_ada(
        fetch_events_of_person, ADA.leaves, EventFilter(name="SignIn", device_id=device_id(7), agent=AGENT), 50
    ),
    "an identity": of_ada(views.fetch_identity_view, who(7)),
    "identities": of_ada(fetch_identities, 50),
    "identities by agent": lambda conn, site: fetch_identities(conn, site, 50, agent=AGENT),
    "identities on a device": lambda conn, site: fetch_identities(conn, site, 50, device_id=device_id(7)),
    "contacts": of_ada(fetch_contacts, Narrowed(), 50),
    "contacts of an identity": of_ada(fetch_contacts, Narrowed(identity_id=who(7)), 50),
    "contacts on a device": of_ada(fetch_contacts, Narrowed(device_id=device_id(7), since=SINCE), 50),
    "contacts in a visit": of_ada(fetch_contacts, Narrowed(visit_id=visit_id(7)), 50),
    "contacts in a session": of_ada(fetch_contacts, Narrowed(session_id=named(4, 7)), 50),
    "identifications": of_ada(fetch_system_page, Narrowed(), 50),
    "identifications by age": of_ada(fetch_system_page, Narrowed(since=SINCE), 50),
    "identifications in a visit": of_ada(fetch_system_page, Narrowed(visit_id=visit_id(7)), 50),
    "identifications in a session": of_ada(fetch_system_page, Narrowed(session_id=named(4, 7)), 50),
    "identifications on a device": of_ada(fetch_system_page, Narrowed(device_id=device_id(7)), 50),
    "identified": of_ada(fetch_identified, Narrowed(), 50),
    "identified by name": of_ada(fetch_identified, Narrowed(identity_id=who(7)), 50),
    "identified on a device": of_ada(fetch_identified, Narrowed(device_id=device_id(7)), 50),
    "identified in a visit": of_ada(fetch_identified, Narrowed(visit_id=visit_id(7)), 50),
}


def test_no_list_reads_or_sorts_what_grows_with_the_site(explain: Callable[[Look], Explained]) -> None:
    poor = {}
    for name, look in LOOKS.items():
        explained = explain(look)
        assert explained, f"{name} asked nothing"
        for statement, plan in explained:
            if faults_of(plan, statement):
                poor[name, statement] = faults_of(plan, statement)
    assert not poor, "\n".join(f"{name}: {faults}\n  {statement}" for (name, statement), faults in poor.items())


@pytest.mark.parametrize(
    "statement",
    [
        select(schema.visits.c.visit_id).where(schema.visits.c.last_event_at == 1),
        select(schema.visits.c.visit_id)
        .where(schema.visits.c.site_id == 1)
        .order_by(schema.visits.c.last_event_at)
        .limit(50),
    ],
    ids=["a scan", "a sort"],
)
def test_the_check_would_notice(statement: Any, explain: Callable[[Look], Explained]) -> None:
    ((said, plan),) = explain(lambda conn, _: conn.execute(statement).all())
    assert faults_of(plan, said)
