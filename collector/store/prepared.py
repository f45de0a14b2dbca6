"""Statements that are compiled once and then go to the driver.

Building and compiling a Core statement costs ten times what SQLite needs to run it. A statement that recording uses is
therefore a function from parameters to a Core statement; it is called once for each engine, and its text is kept.
Ids are text for the caller and bytes for the driver, like everywhere in `store`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from operator import iadd, itemgetter
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Insert,
    SelectBase,
    bindparam,
)

from collector.store.driver import Row, await_copy, await_rows, driver_of, execute, execute_many
from collector.store.schema import Id, id_bytes, id_text

Slot = BindParameter[Any]
Statement = Callable[..., Executable]
Write = Callable[[Dialect], Insert]
BUNDLES = (32, 8, 1)  # rows in one statement, as many as there are
IDS_AT_ONCE = 64
ROW_IDS = {"row_id", "merge_id", "quarantine_id", "consent_id"}


class _Prepared(NamedTuple):
    """A text with how to `pick` the values of its parameters, and which of them are ids.

    Values of the statement itself come after the caller's.
    """

    text: str
    pick: Callable[[Row], Row]
    ids: tuple[int, ...]
    constants: Row
    id_columns: tuple[int, ...]

    def bind(self, values: Row) -> Row:
        """What to give the driver for the caller's `values`."""
        given = values + self.constants if self.constants else values
        picked = self.pick(given)
        for at in self.ids:
            if type(picked[at]) is str:
                return self._with_bytes(picked)
        return picked

    def _with_bytes(self, picked: Row) -> Row:
        bound = list(picked)
        for at in self.ids:
            if type(bound[at]) is str:
                bound[at] = id_bytes(bound[at])
        return tuple(bound)


def is_one_of(column: ColumnElement[Any], slots: Sequence[Slot]) -> ColumnElement[bool]:
    """`column` IN the values of `slots`."""
    return column.in_([bindparam(slot.key, type_=column.type) for slot in slots])


def _picker(places: Sequence[int]) -> Callable[[Row], Row]:
    """What gives the values at `places` of a row, in that order."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


@lru_cache(maxsize=1024)
def _prepare(dialect: Dialect, statement: Statement, size: int) -> _Prepared:
    slots: list[Slot] = [bindparam(f"slot_{place}") for place in range(size)]
    built: Any = statement(*slots)
    compiled = built.compile(dialect=dialect)
    own = [name for name in compiled.positiontup if not name.startswith("slot_")]
    order = {slot.key: place for place, slot in enumerate(slots)} | {
        name: size + place for place, name in enumerate(own)
    }
    pick = _picker([order[name] for name in compiled.positiontup])
    ids = tuple(at for at, name in enumerate(compiled.positiontup) if isinstance(compiled.binds[name].type, Id))
    columns = built.selected_columns if isinstance(built, SelectBase) else ()
    id_columns = tuple(place for place, column in enumerate(columns) if isinstance(column.type, Id))
    return _Prepared(str(compiled), pick, ids, tuple(compiled.params[name] for name in own), id_columns)


def run(conn: Connection, statement: Statement, *values: object) -> Sequence[Row]:
    """Run `statement` with `values` in the order of its parameters; its rows, with ids as the driver returns them."""
    prepared = _prepare(conn.dialect, statement, len(values))
    return _execute(conn, prepared.text, prepared.bind(values))


def run_many(conn: Connection, statement: Statement, rows: Sequence[Row]) -> None:
    """Run a statement that returns nothing for each of `rows`."""
    if not rows:
        return
    if conn.dialect.driver != "pysqlite":
        for values in rows:
            run(conn, statement, *values)
        return
    prepared = _prepare(conn.dialect, statement, len(rows[0]))
    execute_many(driver_of(conn), prepared.text, [prepared.bind(values) for values in rows])


def fetch(conn: Connection, statement: Statement, *values: object) -> Sequence[Row]:
    """The rows of a SELECT, with ids as text."""
    prepared = _prepare(conn.dialect, statement, len(values))
    rows = _execute(conn, prepared.text, prepared.bind(values))
    return [_with_text(row, prepared.id_columns) for row in rows] if prepared.id_columns else rows


def _with_text(row: Row, id_columns: tuple[int, ...]) -> Row:
    values = list(row)
    for place in id_columns:
        if values[place] is not None:
            values[place] = id_text(values[place])
    return tuple(values)


def _execute(conn: Connection, text: str, values: Row) -> Sequence[Row]:
    if conn.dialect.driver == "pysqlite":
        return execute(driver_of(conn), text, values)
    if conn.dialect.driver == "asyncpg":
        return [tuple(row) for row in await_rows(conn, text, values)]
    result = conn.exec_driver_sql(text, values)  # the readers go through aiosqlite
    return cast("Sequence[Row]", result.all() if result.returns_rows else ())


def fetch_by_ids(conn: Connection, statement: Statement, site_id: int, ids: Sequence[str | bytes]) -> Sequence[Row]:
    """The rows of a SELECT whose parameters are the site and then any number of ids, each row found by one of them.

    Ids are looked up in portions, and a portion is rounded up to a power of two by repeating its last id, so that a
    handful of texts serves every group. Building one for 2,000 ids would take 30 ms, just when many come at once.
    """
    if not ids:
        return []
    if conn.dialect.driver == "asyncpg":
        return _fetch_each(conn, statement, site_id, ids)
    rows: list[Row] = []
    for start in range(0, len(ids), IDS_AT_ONCE):
        rows += fetch(conn, statement, site_id, *padded(ids[start : start + IDS_AT_ONCE]))
    return rows


def padded(ids: Sequence[str | bytes]) -> Sequence[str | bytes]:
    """`ids`, of which there is at least one, with the last one repeated until their number is a power of two."""
    size = 1 << (len(ids) - 1).bit_length()
    return [*ids, *[ids[-1]] * (size - len(ids))]


@lru_cache(maxsize=64)
def _write_text(dialect: Dialect, write: Write) -> str:
    statement = write(dialect)
    keys = [column.name for column in statement.table.columns if column.name not in ROW_IDS]
    # Otherwise SQLite would copy each page that a statement of several rows changes, to be able to undo that statement
    # alone, and from 16 pages on to a temporary file. A failure undoes the whole transaction here.
    failing = statement.prefix_with("OR FAIL", dialect="sqlite")
    return str(failing.compile(dialect=dialect, column_keys=keys, for_executemany=True))


@lru_cache(maxsize=64)
def _repeat_values(text: str, size: int) -> str:
    """An insert of one row as an insert of several, which takes a tenth less for each."""
    return re.sub(r"VALUES (\([^()]+\))", lambda found: "VALUES " + ", ".join([found[1]] * size), text)


def write_rows(conn: Connection, write: Write, rows: Sequence[Row]) -> None:
    """Run the insert that `write` builds for each of `rows`.

    A row has a value for each column of the table, in order, but for a row id and for what `write` sets by itself; ids
    are bytes already.
    """
    if not rows:
        return
    if conn.dialect.driver == "asyncpg":
        _write_rows_beside_others(conn, write, rows)
        return
    driver, text = driver_of(conn), _write_text(conn.dialect, write)
    if len(rows) == 1:
        execute(driver, text, rows[0])
        return
    done = 0
    for size in BUNDLES:
        end = len(rows) - (len(rows) - done) % size
        if done < end:
            bundles: list[list[object]] = [reduce(iadd, rows[at : at + size], []) for at in range(done, end, size)]
            execute_many(driver, _repeat_values(text, size), bundles)
            done = end


@lru_cache(maxsize=64)
def _as_arrays(text: str) -> str:
    """An insert of one row as an insert of many, given as one array for each column."""
    values = re.search(r"VALUES \((.+?)\)", text)
    assert values is not None
    arrays = re.sub(r"(\$\d+::\w+)", r"\1[]", values[1])
    return text.replace(values[0], f"SELECT * FROM unnest({arrays})")  # noqa: S608 - nothing but parameters


@lru_cache(maxsize=64)
def _each(dialect: Dialect, statement: Statement) -> tuple[str, tuple[int, ...]]:
    """The text that looks up each id of an array by itself, and the columns of ids.

    Given `IN`, PostgreSQL would guess from its statistics, which are none or old where much is written, that reading
    the whole site is cheaper; and it would plan anew for each number of ids.
    """
    one = _prepare(dialect, statement, 2)
    text = one.text.replace("$2::BYTEA", "wanted.id")
    wanted = "SELECT found.* FROM unnest($2::bytea[]) AS wanted (id)"
    return f"{wanted} CROSS JOIN LATERAL ({text} OFFSET 0) AS found", one.id_columns


def _fetch_each(conn: Connection, statement: Statement, site_id: int, ids: Sequence[str | bytes]) -> Sequence[Row]:
    """`fetch_by_ids` on PostgreSQL."""
    text, id_columns = _each(conn.dialect, statement)
    raw = {value if isinstance(value, bytes) else bytes(id_bytes(value)) for value in ids}
    return [_with_text(row, id_columns) for row in await_rows(conn, text, (site_id, list(raw)))]


@lru_cache(maxsize=64)
def _target(dialect: Dialect, write: Write) -> tuple[str, tuple[str, ...], int, bool]:
    """Table, columns, length of its key, and whether rows that exist already are met peacefully."""
    statement = write(dialect)
    columns = tuple(column.name for column in statement.table.columns if column.name not in ROW_IDS)
    return (
        statement.table.name,
        columns,
        sum(column.primary_key for column in statement.table.columns),
        " ON CONFLICT " in _write_text(dialect, write),
    )


def _write_rows_beside_others(conn: Connection, write: Write, rows: Sequence[Row]) -> None:
    """`write_rows` on PostgreSQL: upserts in the order of their keys, so that two of them never wait crosswise."""
    table, columns, key_length, may_exist = _target(conn.dialect, write)
    if len(rows) == 1:
        await_rows(conn, _write_text(conn.dialect, write), rows[0])
    elif may_exist:
        in_order = sorted(rows, key=lambda row: row[:key_length])
        await_rows(conn, _as_arrays(_write_text(conn.dialect, write)), tuple(zip(*in_order, strict=True)))
    else:
        await_copy(conn, table, columns, rows)
