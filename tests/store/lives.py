"""One life of a site on one engine, for test_state_machine.py: what is recorded, lost with a connection, and read."""

from __future__ import annotations

import itertools
import sqlite3
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from asyncpg import PostgresError
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from collector.domain.event import Arrival, Event, Receipt, Trust
from collector.domain.explain import apart_document, merge_document
from collector.domain.unmerge import Unmerge
from collector.recorder.group import record_group
from collector.recorder.memory import Memory
from collector.store import schema
from collector.store.database import Database
from collector.store.driver import driver_of
from collector.store.identifiers import fetch_merges
from collector.store.merges import fetch_apart, lift_apart, reverse_merge
from collector.store.people import erase_profile, fetch_journal
from tests.store.test_identity_properties import Rows, fetch_rows
from tests.store.test_unmerging_properties import every_read
from tests.store_transport import StoreTransport, add_site

Drop = Literal["before the commit", "after the commit"]
LOST = (SQLAlchemyError, sqlite3.Error, PostgresError, OSError)
sites = itertools.count(1)


class Ids:
    """Ids in order of creation; those that a lost transaction took are given again."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return str(uuid.UUID(int=(self.given << 64) | (1 << 127)))


class Home:
    """A database, opened once for many lives: a new one would have to learn all its statements first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)

    def recover(self) -> None:
        """After a lost connection: on SQLite it is the only one, PostgreSQL's are replaced by themselves."""
        if not self.database.has_rivals:
            with suppress(*LOST):
                self.database.close_now()
            self.database = Database(self.url)


def drop(conn: Connection) -> None:
    """Lose the connection in the middle of a transaction."""
    if conn.dialect.name == "sqlite":
        driver_of(conn).close()
    else:
        conn.connection.driver_connection.terminate()  # type: ignore[union-attr]


@dataclass
class Life:
    """One site, and the collector that serves it until its connection drops; then the next one begins."""

    home: Home
    ids: Ids = field(default_factory=Ids)

    def __post_init__(self) -> None:
        site = add_site(self.database, f"life-{next(sites)}")
        self.transport = StoreTransport(self.database, site, self.ids)
        self.transport.memory.wary = 0  # until the first repeat, or the next collector

    @property
    def database(self) -> Database:
        return self.home.database

    @property
    def site_id(self) -> int:
        return self.transport.site.site_id

    def record(self, event: Event, device_id: str, contact_id: str | None, trust: Trust, now: int) -> Receipt:
        """Record one event as the recorder does: a repeat where none was expected is met warily the second time."""
        arrival = Arrival(self.transport.site, now, device_id, contact_id, (event,), trust=trust)
        given = self.ids.given
        try:
            (receipt,) = self.transport.record(arrival)
        except IntegrityError:
            self.transport.memory.forget()
            self.ids.given = given
            (receipt,) = self.transport.record(arrival)
        return receipt

    def record_nothing(self, event: Event, device_id: str, contact_id: str | None, trust: Trust, now: int) -> None:
        """Record one event, and lose the connection before the commit."""
        arrival = Arrival(self.transport.site, now, device_id, contact_id, (event,), trust=trust)
        given, is_stored = self.ids.given, False
        with suppress(*LOST):
            self.database.transact(self._record_and_drop, arrival, now)
            is_stored = True
        assert not is_stored, "the connection was lost"
        self.ids.given = given
        self.crash()

    def _record_and_drop(self, conn: Connection, arrival: Arrival, now: int) -> None:
        transport = self.transport
        with suppress(IntegrityError):  # a repeat
            record_group(conn, [arrival], now, self.ids, transport.erasures, transport.memory)
        drop(conn)

    def crash(self) -> None:
        """Another collector takes over, on another connection: it knows nothing but what is stored."""
        with suppress(*LOST):
            self.database.transact(drop)
        self.home.recover()
        self.transport.database = self.database
        self.transport.memory = Memory()

    def erase(self, profile_id: str, now: int) -> dict[str, int] | None:
        return self.database.transact(erase_profile, self.site_id, profile_id, self.transport.erasures, now)

    def merge_ids(self) -> list[int]:
        """The journal, oldest first."""
        merges = self.database.transact(fetch_merges, self.site_id, None, 10_000)
        return sorted(row["merge_id"] for row in merges)

    def unmerge(self, place: int, now: int) -> tuple[str, list[int]]:
        """Undo the merge at that place of the journal: "" or why not, and the places of those that are to go first."""
        merge_ids = self.merge_ids()
        done = self.database.transact(reverse_merge, self.site_id, merge_ids[place], now)
        assert done is not None
        if isinstance(done, Unmerge):
            return "", []
        return done.code, [merge_ids.index(merge_id) for merge_id in done.merges]

    def lift(self, place: int, now: int) -> bool:
        return self.database.transact(lift_apart, self.site_id, self.merge_ids()[place], now) is not None

    def rows(self) -> Rows:
        return self.database.transact(fetch_rows, self.site_id)  # quicker than on a connection of its own

    def reads(self) -> dict[str, Any]:
        """All that can be read of the site, with merges named by their place in the journal."""
        places = {merge_id: place for place, merge_id in enumerate(self.merge_ids())}
        return dict(_placed(self.database.read_now(_fetch_everything, self.site_id), places))

    def events_stored(self) -> int:
        mine = select(func.count()).select_from(schema.events).where(schema.events.c.site_id == self.site_id)
        return self.database.transact(lambda conn: conn.scalar(mine)) or 0


def _fetch_everything(conn: Connection, site_id: int) -> dict[str, Any]:
    journal = [merge_document(merge) for merge in fetch_journal(conn, site_id, 500)]
    apart = [apart_document(pair) for pair in fetch_apart(conn, site_id, 500)]
    return {**every_read(conn, site_id, without=()), "journal": journal, "apart": apart}


def _placed(value: Any, places: dict[int, int]) -> Any:
    if isinstance(value, dict):
        placed = {key: _placed(each, places) for key, each in value.items()}
        return placed | {"merge_id": places[value["merge_id"]]} if "merge_id" in value else placed
    return [_placed(each, places) for each in value] if isinstance(value, list | tuple) else value
