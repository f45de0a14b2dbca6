"""SQLite's log is moved beside the writer: it goes on meanwhile, and nobody begins the log anew under the mover."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from collector.store import driver
from collector.store import mover as mover_module
from collector.store import sqlite as sqlite_module
from collector.store.database import Database
from collector.store.mover import Mover
from collector.store.sites import fetch_or_insert_value
from collector.store.sqlite import READER_PRAGMAS, Sqlite
from tests.databases import new_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Sqlite]:
    """A database that was written to."""
    database = Database(new_database(tmp_path))
    assert isinstance(database._engine, Sqlite)
    write(database._engine, "thing-1")
    yield database._engine
    database.close_now()


class SlowDisk:
    """Holds the mover for as long as a slow disk would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_moving, self.may_end = threading.Event(), threading.Event()
        monkeypatch.setattr(mover_module, "execute", self._execute)

    def _execute(self, connection: sqlite3.Connection, text: str) -> list[tuple[Any, ...]]:
        if "wal_checkpoint" in text:
            self.is_moving.set()
            assert self.may_end.wait(10)
        return driver.execute(connection, text)


def write(engine: Sqlite, name: str) -> None:
    engine.transact(fetch_or_insert_value, name, "value")


def generation(engine: Sqlite) -> bytes:
    """What the log's header says of how often it was begun anew."""
    return Path(f"{engine.path}-wal").read_bytes()[12:24]


async def count_moves(engine: Sqlite, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the log is moved to its end in ten transactions of a row each."""
    ended = 0

    def execute(connection: sqlite3.Connection, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        nonlocal ended
        ended += "wal_checkpoint" in text
        return driver.execute(connection, text, values)

    monkeypatch.setattr(sqlite_module, "execute", execute)
    for number in range(10):
        await engine.write(fetch_or_insert_value, f"thing-{number}", "value")
        await engine.checkpoint_if_due()
        if engine._mover._running is not None:
            await asyncio.wrap_future(engine._mover._running)
    return ended


@pytest.mark.parametrize(("pages", "times"), [(1, 5), (10_000, 0)])
async def test_the_log_is_moved_by_its_pages_as_the_last_time_found_them(
    engine: Sqlite, monkeypatch: pytest.MonkeyPatch, pages: int, times: int
) -> None:
    monkeypatch.setattr(sqlite_module, "PAGES_BETWEEN_CHECKPOINTS", pages)
    monkeypatch.setattr(sqlite_module, "ROWS_BETWEEN_CHECKPOINTS", (1, 1_000))
    engine.checkpoint_now()
    assert await count_moves(engine, monkeypatch) == times


@pytest.mark.parametrize(("long", "times"), [(1_000, 5), (10_000_000, 0)])
async def test_the_log_is_moved_when_it_is_long(
    engine: Sqlite, monkeypatch: pytest.MonkeyPatch, long: int, times: int
) -> None:
    monkeypatch.setattr(sqlite_module, "LONG_LOG_BYTES", long)
    monkeypatch.setattr(sqlite_module, "ROWS_BETWEEN_CHECKPOINTS", (1, 20_000))
    assert await count_moves(engine, monkeypatch) == times


def test_the_writer_goes_on_while_the_log_is_moved(engine: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, before = SlowDisk(monkeypatch), engine.path.read_bytes()
    engine._start_to_move()
    assert disk.is_moving.wait(10)
    write(engine, "thing-2")
    assert engine._mover.is_moving
    assert engine.path.read_bytes() == before
    disk.may_end.set()
    engine.checkpoint_now()
    assert not engine._mover.is_moving
    assert b"thing-2" in engine.path.read_bytes()


def test_nobody_begins_the_log_anew_under_the_mover(engine: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.checkpoint_now()  # all of it is in the file: the next write would begin it anew
    write(engine, "thing-2")
    engine.checkpoint_now()
    disk = SlowDisk(monkeypatch)
    engine._start_to_move()
    assert disk.is_moving.wait(10)
    begun = generation(engine)
    with sqlite3.connect(engine.path) as other:  # somebody who moves all that can be moved, as a command does
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    write(engine, "thing-3")
    assert generation(engine) == begun
    disk.may_end.set()
    engine.checkpoint_now()
    write(engine, "thing-4")
    assert generation(engine) != begun


def test_without_a_commit_before_it_the_reader_would_not_be_in_the_way(
    engine: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.checkpoint_now()
    disk = SlowDisk(monkeypatch)
    mover = Mover(engine.path, READER_PRAGMAS)
    mover.start()
    assert disk.is_moving.wait(10)
    begun = generation(engine)
    write(engine, "thing-2")
    assert generation(engine) != begun
    disk.may_end.set()
    mover.close()


async def test_what_keeps_it_from_moving_is_told_once_and_it_is_tried_again(
    engine: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(connection: sqlite3.Connection, text: str) -> list[tuple[Any, ...]]:
        return driver.execute(connection, "SELECT nothing FROM nowhere" if "wal_checkpoint" in text else text)

    with monkeypatch.context() as patch:
        patch.setattr(mover_module, "execute", execute)
        engine._start_to_move()
        with pytest.raises(DBAPIError, match="nowhere"):
            engine.checkpoint_now()
    engine.checkpoint_now()
    engine._start_to_move()
    engine._mover.join()
    assert b"thing-1" in engine.path.read_bytes()


def test_a_file_that_cannot_be_opened_is_an_error_of_the_database(tmp_path: Path) -> None:
    with pytest.raises(DBAPIError, match="unable to open"):
        Mover(tmp_path / "nowhere" / "regulars.db", READER_PRAGMAS).start()


def test_closing_waits_for_the_mover(engine: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    engine._start_to_move()
    assert disk.is_moving.wait(10)
    threading.Timer(0.1, disk.may_end.set).start()
    engine._mover.close()
    assert b"thing-1" in engine.path.read_bytes()


def test_the_log_is_emptied_after_the_mover(engine: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    engine._start_to_move()
    assert disk.is_moving.wait(10)
    threading.Timer(0.1, disk.may_end.set).start()
    assert engine.scrub_now()
    assert Path(f"{engine.path}-wal").stat().st_size == 0


MOVES = """
import fcntl, sys, time
with open(sys.argv[1], "r+b") as index:
    fcntl.lockf(index, fcntl.LOCK_EX, 1, 121)  # what SQLite locks for as long as somebody moves the log
    print("moving", flush=True)
    time.sleep(0.05)
"""


def test_the_log_is_emptied_after_the_mover_of_another_process(engine: Sqlite) -> None:
    command = [sys.executable, "-c", MOVES, f"{engine.path}-shm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "moving\n"
        assert engine.scrub_now()


def test_the_transaction_that_precedes_it_changes_nothing(engine: Sqlite) -> None:
    def dump(_: Connection) -> list[str]:
        with sqlite3.connect(engine.path) as reader:
            return list(reader.iterdump())

    before = engine.read_now(dump)
    engine._start_to_move()
    engine.checkpoint_now()
    assert engine.read_now(dump) == before
