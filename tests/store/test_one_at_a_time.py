"""What each engine promises a transaction: nobody comes in between, and what it committed is on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Connection, select, text, update

from collector.store.database import Database
from collector.store.schema import sites
from tests.store.engines import only_on_postgresql, only_on_sqlite
from tests.store_transport import StoreTransport


@only_on_sqlite
def test_nobody_writes_between_what_a_transaction_reads_and_what_it_writes(
    database: Database, transport: StoreTransport
) -> None:
    with closing(sqlite3.connect(database.path, timeout=0, isolation_level=None)) as other:

        def read_then_write(conn: Connection) -> None:
            assert conn.scalars(select(sites.c.name)).all() == ["shop"]
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("UPDATE sites SET name = 'theirs'")
            conn.execute(update(sites).values(name="ours"))

        database.transact(read_then_write)
        assert other.execute("SELECT name FROM sites").fetchall() == [("ours",)]


@only_on_postgresql
async def test_a_commit_of_postgresql_waits_for_the_disk(database: Database) -> None:
    def fetch_promise(conn: Connection) -> tuple[object, ...]:
        return tuple(conn.scalar(text(f"SHOW {name}")) for name in ("synchronous_commit", "fsync"))

    assert await database.write(fetch_promise) == ("on", "on")
    assert await database.write_long(fetch_promise) == ("on", "on")
    assert database.transact(fetch_promise) == ("on", "on")
