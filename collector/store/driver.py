"""Past SQLAlchemy to SQLite's driver, where a statement's text is known: a tenth of the time, and the same errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Row = tuple[Any, ...]


def driver_of(conn: Connection) -> sqlite3.Connection:
    """The driver's connection under a connection of the `pysqlite` dialect."""
    return cast("sqlite3.Connection", conn.connection.driver_connection)


def execute(connection: sqlite3.Connection, text: str, values: Row = ()) -> list[Row]:
    """Run one statement; all its rows. Raises SQLAlchemy's errors, so that callers know one kind only."""
    try:
        return connection.execute(text, values).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error) from error


def execute_many(connection: sqlite3.Connection, text: str, rows: Sequence[Row]) -> None:
    """Run one statement for each of `rows`. Raises like `execute`."""
    try:
        connection.executemany(text, rows)
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error) from error
