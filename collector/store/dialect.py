"""What the engines spell differently: an insert with a conflict clause, the lesser and the greater of two values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Dialect, Table, func
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_on_conflict(speaker: Connection | Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT to which `.on_conflict_do_update(...)` or `.on_conflict_do_nothing()` can be added."""
    dialect = speaker.dialect if isinstance(speaker, Connection) else speaker
    if dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 2 MB that SQLite does without

    return postgresql.insert(table)


def insert_or_ignore(speaker: Connection | Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves existing rows as they are."""
    return insert_on_conflict(speaker, table).on_conflict_do_nothing()


def lesser(dialect: Dialect, a: ColumnElement[Any], b: ColumnElement[Any]) -> ColumnElement[Any]:
    """The lesser of two values of one row."""
    return func.least(a, b) if dialect.name == "postgresql" else func.min(a, b)


def greater(dialect: Dialect, a: ColumnElement[Any], b: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greater of two values of one row."""
    return func.greatest(a, b) if dialect.name == "postgresql" else func.max(a, b)
