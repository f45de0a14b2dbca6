"""What Core leaves to us: inserts with a conflict clause, spelt differently by each engine, and look-ups that run so
often that building the statement each time would cost more than running it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Dialect, Insert, LargeBinary, Select, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from collector.store.schema import id_bytes

Slots = list[BindParameter[Any]]
LookUp = Callable[[BindParameter[int], Slots], Select[Any]]
ROW_IDS = {"row_id"}
Write = Callable[[Dialect], Insert]


def insert_on_conflict(speaker: Connection | Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT to which `.on_conflict_do_update(...)` or `.on_conflict_do_nothing()` can be added."""
    dialect = speaker.dialect if isinstance(speaker, Connection) else speaker
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def insert_or_ignore(speaker: Connection | Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves existing rows as they are."""
    return insert_on_conflict(speaker, table).on_conflict_do_nothing()


@lru_cache(maxsize=256)
def _look_up_text(dialect: Dialect, look_up: LookUp, size: int) -> str:
    """The SQL of `look_up` for `size` ids, in the order site, ids."""
    slots = [bindparam(f"id_{place}", type_=LargeBinary) for place in range(size)]
    return str(look_up(bindparam("site"), slots).compile(dialect=dialect))


def fetch_by_ids(conn: Connection, look_up: LookUp, site_id: int, ids: Sequence[str]) -> Sequence[tuple[Any, ...]]:
    """Rows of `look_up` (which takes the site first, then the ids, once each), with ids as the driver returns them.

    Sizes are rounded up to a power of two, so that a handful of texts serves every group.
    """
    if not ids:
        return []
    values = [id_bytes(text) for text in ids]
    size = 1 << (len(values) - 1).bit_length()
    values += values[-1:] * (size - len(values))
    rows = conn.exec_driver_sql(_look_up_text(conn.dialect, look_up, size), (site_id, *values)).all()
    return cast("Sequence[tuple[Any, ...]]", rows)


@lru_cache(maxsize=64)
def _write_text(dialect: Dialect, write: Write) -> str:
    statement = write(dialect)
    keys = [column.name for column in statement.table.columns if column.name not in ROW_IDS]
    return str(statement.compile(dialect=dialect, column_keys=keys))


def write_rows(conn: Connection, write: Write, rows: Sequence[tuple[object, ...]]) -> None:
    """Run the insert that `write` builds, through the driver's executemany: Core costs more per row than SQLite does.

    A row has a value for each column of the table, in order, but for a row id; ids are bytes.
    """
    if rows:
        conn.exec_driver_sql(_write_text(conn.dialect, write), list(rows))
