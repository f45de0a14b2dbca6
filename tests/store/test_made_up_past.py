"""The past that benchmarks make up is the one that recording would have stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, select

from benchmarks.data import fill
from benchmarks.population import Population
from benchmarks.server import Installation
from collector.domain.event import Arrival, Assertion, Event
from collector.domain.site import Site
from collector.recorder.group import record_group
from collector.recorder.memory import Memory
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.schema import id_text, metadata
from tests.store_transport import add_site

EVENTS = 1_500  # all leaves of the regular, and some who come back
TOLD = ("visits", "visit_profiles", "user_agents", "user_identifications", "sessions", "contacts", "identities")
GROUP = 100  # requests in one transaction


def fetch_told(conn: Connection, site_id: int) -> dict[str, set[tuple[Any, ...]]]:
    """All that the History API has to tell but the events."""
    found = {}
    for name in TOLD:
        table = metadata.tables[name]
        not_told = {"site_id", "arrived_at"} if name == "identities" else {"site_id"}  # it came when its group did
        columns = [column for column in table.columns if column.name not in not_told]
        found[name] = {tuple(row) for row in conn.execute(select(*columns).where(table.c.site_id == site_id))}
    return found


def fetch_arrivals(conn: Connection, made_up: Site, site: Site) -> list[list[Arrival]]:
    """The events as they would arrive at `site`, each in a request of its own, in groups."""
    events, visits, agents = metadata.tables["events"].c, metadata.tables["visits"].c, metadata.tables["user_agents"].c
    browser = {
        visit_id: (device_id, text)
        for visit_id, device_id, text in conn.execute(
            select(visits.visit_id, visits.device_id, agents.text).where(agents.user_agent_id == visits.user_agent_id)
        )
    }
    arrivals = []
    rows = conn.execute(select(*events).where(events.site_id == made_up.site_id).order_by(events.row_id)).mappings()
    for row in rows:
        names = [column for column in Event.__struct_fields__ if column in row and column not in ("body", "warnings")]
        said = assertion_of(row["body"]) if row["action"] == "identify" else None
        event = Event(
            **{name: row[name] for name in names}, uid_origin="first", body=row["body"].encode(), assertion=said
        )
        device_id, text = browser[row["visit_id"]]
        arrivals.append(Arrival(site, row["received_at"], device_id, None, (event,), user_agent=text))
    return [arrivals[place : place + GROUP] for place in range(0, len(arrivals), GROUP)]


def assertion_of(body: str) -> Assertion:
    """Whom the body of an identify names."""
    customer = orjson.loads(body)["dims"]["customers"]
    return Assertion(customer["customer_id"], customer["email"], {"name": customer["name"]})


def test_what_is_made_up_is_what_recording_the_same_events_ends_in(database_url: str, tmp_path: Path) -> None:
    population = Population(site_id=1)
    fill(Installation(database_url, tmp_path, ""), population, EVENTS)
    database = Database(database_url)
    made_up, site = add_site(database, "made_up"), add_site(database, "recorded")
    assert made_up.site_id == population.site_id
    profiles = iter([id_text(visitor.profile_id) for visitor in population.visitors])
    memory, erasures = Memory(), Erasures("a secret for tests")
    try:
        for arrivals in database.read_now(fetch_arrivals, made_up, site):
            now = arrivals[-1].received_at
            database.transact(record_group, arrivals, now, lambda: next(profiles), erasures, memory)
        expected = database.read_now(fetch_told, site.site_id)
        assert expected == database.read_now(fetch_told, made_up.site_id)
    finally:
        database.close_now()
    assert {"Anonymous", "Authenticated", "WM-Recognized"} == {row[-2] for row in expected["visits"]}
