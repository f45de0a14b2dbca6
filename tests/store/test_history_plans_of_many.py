"""The first page of every list of the History API is served by indexes, however much is stored, on both engines.

A statement may read what belongs to somebody (a visit, a device, a person …) and sort it. What is read of a whole site
has to come in the order of an index, and only as far as a page goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, event, select

from benchmarks.data import fill
from benchmarks.population import LEAVES, Population, cid_of
from benchmarks.server import Installation
from collector.domain.history import EventFilter, EventType, Included, VisitFilter
from collector.domain.visit import State
from collector.store import history_views as views
from collector.store import prepared
from collector.store.database import Database
from collector.store.history_identifications import fetch_identified, fetch_system_page
from collector.store.history_identities import Narrowed, fetch_contacts, fetch_identities
from collector.store.history_views import Paging
from collector.store.schema import contacts, id_text, metadata
from tests.postgresql import Cluster
from tests.store.engines import ENGINES

SITE = 1
EVENTS = 20_000
# PostgreSQL plans as if there were 10 million events, in so many more visits; a few it would rather read whole.
BEFORE = "ALTER TABLE events ALTER COLUMN visit_id SET (n_distinct = -0.1)"
AS_OF_MANY = """
    UPDATE pg_class SET reltuples = 500 * reltuples
    WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace AND reltuples > 0
"""
PAGE = Paging(50)
NOTHING, ALL = Included(), Included(pages=True, events=True, sessions=True, identities=True)
ANY = EventFilter()
OF_MANY = {"site_id", "state", "kind", "category", "action"}  # columns that do not say whose a row is
PASSED_THROUGH = {"Limit", "Nested Loop", "Result", "Subquery Scan", "LockRows"}
STEP = re.compile(
    r"(SCAN|SEARCH) (\w+)(?: AS \w+)?(?: USING (?:INTEGER PRIMARY KEY|(?:COVERING )?INDEX (\w+)))?(?: \((.*)\))?"
)


class Asked(NamedTuple):
    """What the lists are asked about: a customer, where they said who they are; `since` is an age; `now`."""

    visit: str
    session: str
    device: str
    identity: str
    since: int
    now: int


List = Callable[[Connection, Asked], Any]


def visits(wanted: Callable[[Asked], VisitFilter]) -> List:
    """The visits of a site, with all that can be inside of them."""
    return lambda conn, a: views.fetch_visit_page(conn, SITE, a.now, wanted(a), PAGE, ALL)


def contacts_by(wanted: Callable[[Asked], Narrowed]) -> List:
    return lambda conn, a: fetch_contacts(conn, SITE, wanted(a), 51)


def named(wanted: Callable[[Asked], Narrowed]) -> List:
    """User identifications that say whom they are about."""
    return lambda conn, a: fetch_identified(conn, SITE, wanted(a), 50)


def system(wanted: Callable[[Asked], Narrowed]) -> List:
    """User identifications, whether or not they do."""
    return lambda conn, a: fetch_system_page(conn, SITE, wanted(a), 50)


LISTS: dict[str, tuple[List, str]] = {  # and the index by which its rows are found
    "visits": (visits(lambda _: VisitFilter()), "visits_by_arrival"),
    "visits by state": (visits(lambda _: VisitFilter(state=State.AUTHENTICATED)), "visits_by_state"),
    "visits by a state of nobody": (visits(lambda _: VisitFilter(state=State.RECOGNIZED)), "visits_by_state"),
    "visits by device": (visits(lambda a: VisitFilter(device_id=a.device)), "visits_by_device"),
    "visits by age": (visits(lambda a: VisitFilter(a.since)), "visits_by_arrival"),
    "visits by state and age": (visits(lambda a: VisitFilter(a.since, State.AUTHENTICATED)), "visits_by_state"),
    "pages of visit": (
        lambda conn, a: views.fetch_pages_of_visit(conn, SITE, a.now, a.visit, ANY, PAGE),
        "events_by_visit",
    ),
    "events of visit": (lambda conn, a: views.fetch_events_of_visit(conn, SITE, a.visit, ANY, PAGE), "events_by_visit"),
    "sessions of visit": (
        lambda conn, a: views.fetch_sessions_of_visit(conn, SITE, a.now, a.visit, None, PAGE, ALL),
        "sessions_by_visit",
    ),
    "identities of visit": (
        lambda conn, a: views.fetch_identities_of_visit(conn, SITE, a.visit, None, PAGE),
        "contacts_by_visit",
    ),
    "identities": (lambda conn, a: fetch_identities(conn, SITE, 50), "identities_by_arrival"),
    "identities by device": (
        lambda conn, a: fetch_identities(conn, SITE, 50, device_id=a.device),
        "contacts_by_device",
    ),
    "identities by age": (lambda conn, a: fetch_identities(conn, SITE, 50, since=a.since), "identities_by_arrival"),
    "visits of identity": (
        lambda conn, a: views.fetch_visits_of_identity(conn, SITE, a.now, a.identity, VisitFilter(), PAGE, NOTHING),
        "contacts_by_identity",
    ),
    "events of identity": (
        lambda conn, a: views.fetch_events_of_identity(conn, SITE, a.identity, ANY, PAGE),
        "events_by_profile",
    ),
    "business events of identity": (
        lambda conn, a: views.fetch_events_of_identity(
            conn, SITE, a.identity, EventFilter(kind=EventType.BUSINESS), PAGE
        ),
        "events_by_profile",
    ),
    "sessions of identity": (
        lambda conn, a: views.fetch_sessions_of_identity(conn, SITE, a.now, a.identity, VisitFilter(), PAGE, ALL),
        "sessions_by_profile",
    ),
    "events of session": (
        lambda conn, a: views.fetch_events_of_session(conn, SITE, a.session, ANY, PAGE),
        "events_by_visit",
    ),
    "pages of session": (
        lambda conn, a: views.fetch_pages_of_session(conn, SITE, a.now, a.session, ANY, PAGE),
        "events_by_visit",
    ),
    "contacts": (contacts_by(lambda _: Narrowed()), "contacts_by_time"),
    "contacts by identity": (contacts_by(lambda a: Narrowed(identity_id=a.identity)), "contacts_by_identity"),
    "contacts by session": (contacts_by(lambda a: Narrowed(session_id=a.session)), "contacts_by_visit"),
    "contacts by visit": (contacts_by(lambda a: Narrowed(visit_id=a.visit)), "contacts_by_visit"),
    "contacts by device": (contacts_by(lambda a: Narrowed(device_id=a.device)), "contacts_by_device"),
    "contacts by age": (contacts_by(lambda a: Narrowed(since=a.since)), "contacts_by_time"),
    "identifications": (system(lambda _: Narrowed()), "events_of_system"),
    "identifications by session": (system(lambda a: Narrowed(session_id=a.session)), "events_by_visit"),
    "identifications by visit": (system(lambda a: Narrowed(visit_id=a.visit)), "events_by_visit"),
    "identifications by device": (system(lambda a: Narrowed(device_id=a.device)), "events_by_visit"),
    "identifications by age": (system(lambda a: Narrowed(since=a.since)), "events_of_system"),
    "identified": (named(lambda _: Narrowed()), "user_identifications_by_time"),
    "identified by identity": (named(lambda a: Narrowed(identity_id=a.identity)), "user_identifications_by_identity"),
    "identified by session": (named(lambda a: Narrowed(session_id=a.session)), "user_identifications_by_visit"),
    "identified by visit": (named(lambda a: Narrowed(visit_id=a.visit)), "user_identifications_by_visit"),
    "identified by device": (named(lambda a: Narrowed(device_id=a.device)), "user_identifications_by_device"),
    "identified by age": (named(lambda a: Narrowed(since=a.since)), "user_identifications_by_time"),
}


class Step(NamedTuple):
    """One access to a table. `index` is "" without one; `is_bounded`: no more is read than belongs to somebody, or than
    a page needs.
    """

    table: str
    index: str
    is_bounded: bool


def steps_of_sqlite(statement: str, plan: list[str]) -> Iterator[Step]:
    """What SQLite does, by its EXPLAIN QUERY PLAN."""
    in_order = (
        "ORDER BY" in statement
        and "LIMIT" in statement
        and not any(step.startswith("USE TEMP B-TREE") for step in plan)
    )
    for step in plan:
        found = STEP.match(step)
        if found is None or found[2] not in metadata.tables:
            continue
        equal = set(re.findall(r"(\w+)=\?", found[4] or ""))
        is_ordered = in_order and found[3] is not None and "site_id" in equal
        yield Step(found[2], found[3] or "", bool(equal - OF_MANY) or "rowid" in equal or is_ordered)


def steps_of_postgresql(node: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[Step]:
    """What PostgreSQL does, by its EXPLAIN (FORMAT JSON)."""
    kind = node["Node Type"]
    if "Scan" in kind and ("Relation Name" in node or "Index Name" in node) and kind != "Bitmap Heap Scan":
        said = node.get("Index Cond", "")
        equal, compared = (set(re.findall(rf"\(+(\w+) {operator} ", said)) for operator in ("=", "[<>]=?"))
        is_ordered = kind != "Bitmap Index Scan" and "Limit" in above and set(above) <= PASSED_THROUGH
        is_filtered = "Filter" in node and not compared
        is_bounded = bool(equal - OF_MANY) or (bool(equal) and is_ordered and not is_filtered)
        yield Step(node.get("Relation Name", ""), node.get("Index Name", ""), is_bounded)
    for inner in node.get("Plans", ()):
        # A subplan begins anew: what is above of it is asked for one row, or for a list.
        yield from steps_of_postgresql(inner, (*above, kind))


class Plans:
    """Notes how every statement on a connection is carried out, those that go past SQLAlchemy too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: dict[str, list[Step]] = {}
        self.said: dict[str, Any] = {}
        self._execute, self._await_rows = prepared._execute, prepared.await_rows
        monkeypatch.setattr(prepared, "_execute", self._on_sqlite)
        monkeypatch.setattr(prepared, "await_rows", self._on_postgresql)

    def watch(self, conn: Connection) -> None:
        """From now on."""
        event.listen(conn, "before_cursor_execute", self._before)

    def _on_sqlite(self, conn: Connection, statement: str, values: tuple[object, ...]) -> Any:
        if conn.dialect.name == "sqlite":
            self._note(conn, statement, values)
        return self._execute(conn, statement, values)

    def _on_postgresql(self, conn: Connection, statement: str, values: tuple[object, ...] = ()) -> Any:
        self._note(conn, statement, values)
        return self._await_rows(conn, statement, values)

    def _before(self, conn: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            self._note(conn, statement, values)

    def _note(self, conn: Connection, statement: str, values: Any) -> None:
        if conn.dialect.name == "sqlite":
            rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            self.said[statement] = plan = [row[3] for row in rows]
            self.steps[statement] = list(steps_of_sqlite(statement, plan))
        else:
            said = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
            (found,) = json.loads(said) if isinstance(said, str) else said
            self.said[statement] = found["Plan"]
            self.steps[statement] = list(steps_of_postgresql(found["Plan"]))

    def unbounded(self) -> str:
        """The statements that read of a site what no page needs, with their plans; "" if there are none."""
        poor = [text for text, steps in self.steps.items() if not all(step.is_bounded for step in steps)]
        return "\n".join(f"{text}\n{json.dumps(self.said[text], indent=1)}" for text in poor)


@pytest.fixture(scope="module", params=ENGINES)
def past(
    request: pytest.FixtureRequest, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Asked]]:
    """A made-up past of some size, and a customer in it."""
    folder = tmp_path_factory.mktemp("past")
    if request.param == "sqlite":
        url = f"sqlite:///{(folder / 'regulars.db')}"
        (folder / "regulars.db").write_bytes(migrated_file.read_bytes())
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        name = cluster.new_database()
        cluster.command(BEFORE, database=name)
        url = cluster.url(name)
    population = Population(SITE)
    fill(Installation(url, folder, ""), population, EVENTS)
    if request.param == "postgresql":
        cluster.command(AS_OF_MANY, database=name)
    database = Database(url)
    yield database, database.read_now(_choose, population)
    database.close_now()


def _choose(conn: Connection, population: Population) -> Asked:
    customer = population.visitors[LEAVES + 10]
    mine = (contacts.c.site_id == SITE, contacts.c.profile_id == id_text(customer.profile_id))
    visit, session = conn.execute(select(contacts.c.visit_id, contacts.c.session_id).where(*mine)).one()
    now = population.now
    return Asked(visit, session, id_text(customer.device_id), cid_of(customer.number), now - 100_000, now + 10**8)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_by_an_index_and_no_further_than_its_page(
    name: str, past: tuple[Database, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, asked = past
    read, index = LISTS[name]
    plans = Plans(monkeypatch)

    def run(conn: Connection) -> Any:
        plans.watch(conn)
        return read(conn, asked)

    found = database.read_now(run)
    assert found is not None
    assert not plans.unbounded(), plans.unbounded()
    used = {step.index for steps in plans.steps.values() for step in steps}
    assert index in used, used


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM events WHERE url = 'x' LIMIT 1",
        "SELECT * FROM visits WHERE site_id = 1 ORDER BY last_event_at LIMIT 50",
        "SELECT count(*) FROM visits WHERE site_id = 1",
        "SELECT * FROM events WHERE site_id = 1 AND profile_id IS NOT NULL AND url = 'x' ORDER BY seq LIMIT 50",
    ],
)
def test_the_check_would_notice_what_reads_a_site(
    statement: str, past: tuple[Database, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = Plans(monkeypatch)

    def run(conn: Connection) -> None:
        plans.watch(conn)
        conn.exec_driver_sql(statement)

    past[0].read_now(run)
    assert plans.unbounded()
