"""Past SQLAlchemy to the driver, where a statement's text is known: a tenth of the time, and the same errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

Row = tuple[Any, ...]
SQLITE_VERSION = sqlite3.sqlite_version


def _as_it_is(value: Any) -> Any:
    return value


# sqlite3 takes int, float, str and bytearray as they are. For other values it looks whether somebody adapts their type,
# and then whether they adapt themselves, with errors raised and caught: half a microsecond, where nobody does.
for _type in (bytes, bool, type(None)):
    sqlite3.register_adapter(_type, _as_it_is)


@lru_cache(maxsize=4)
def driver_of(conn: Connection) -> sqlite3.Connection:
    """The driver's connection under a connection of the `pysqlite` dialect: always the same, as nobody invalidates it.

    Remembered, because SQLAlchemy takes a third of what a small statement takes for it.
    """
    return cast("sqlite3.Connection", conn.connection.driver_connection)


def connect(path: Path, pragmas: Iterable[str]) -> sqlite3.Connection:
    """Open a file without SQLAlchemy, for any thread; transactions are begun by us. Raises like `execute`."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise DBAPIError.instance("connect", None, error, sqlite3.Error) from error
    prepare(connection, pragmas)
    return connection


def prepare(connection: Any, pragmas: Iterable[str]) -> None:
    """Set `pragmas` on a new connection, which may be SQLAlchemy's face of aiosqlite's."""
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def execute(connection: sqlite3.Connection, text: str, values: Row = ()) -> list[Row]:
    """Run one statement; all its rows. Raises SQLAlchemy's errors, so that callers know one kind only."""
    try:
        return connection.execute(text, values).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error) from error


def execute_many(connection: sqlite3.Connection, text: str, rows: Sequence[Sequence[object]]) -> None:
    """Run one statement for each of `rows`. Raises like `execute`."""
    try:
        connection.executemany(text, rows)
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error) from error


def await_rows(conn: Connection, text: str, values: Row = ()) -> list[Row]:
    """`execute` for asyncpg, in a greenlet that awaits. Raises asyncpg's errors; the transaction translates them."""
    driver: Any = conn.connection.driver_connection
    return cast("list[Row]", await_only(driver.fetch(text, *values)))


def await_copy(conn: Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """COPY rows into a table."""
    driver: Any = conn.connection.driver_connection
    await_only(driver.copy_records_to_table(table, columns=columns, records=rows))
