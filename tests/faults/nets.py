"""Protections of the collector, each with a way to take it off, and with the test that is meant to notice (T22).

`pytest -p tests.faults.nets --without=NAME …` takes one off in the tests' own process and in every collector that they
start; `python -m tests.faults.nets NAME serve` is a collector without it. The product knows nothing of this.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

import tests.postgresql
from collector.recorder import group, locking
from collector.recorder.picture import Picture
from collector.store import erasure, locks, merges, migrate, people, postgresql, sqlite
from collector.store.database import Database
from tests.faults import server


@dataclass(frozen=True, slots=True)
class Net:
    """`red` is the test that fails without it."""

    take_off: Callable[[], None]
    red: str


def put(name: str, value: object, *modules: Any) -> None:
    """Replace a name wherever it was imported to."""
    for module in modules:
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, value)


def _no_sync() -> None:
    unsynced = tuple(pragma.replace("=FULL", "=NORMAL") for pragma in sqlite.WRITER_PRAGMAS)
    assert unsynced != sqlite.WRITER_PRAGMAS
    put("WRITER_PRAGMAS", unsynced, sqlite)


def _no_waiting_for_the_commit() -> None:
    async def write(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()

        def answered(conn: Connection) -> None:
            result = query(conn, *args, **kwargs)
            loop.call_soon_threadsafe(answer.set_result, result)

        loop.run_in_executor(self._thread, self.transact, answered)
        return await answer

    put("write", write, sqlite.Sqlite)


def _no_unique_event_id() -> None:
    really_migrate, cluster = migrate.migrate, tests.postgresql.Cluster
    really_make = cluster.new_database

    def drop(conn: Connection) -> None:
        made = str(conn.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'events'")))
        without, times = re.subn(r",\s*(CONSTRAINT \w+ )?UNIQUE \(site_id, event_id\)", "", made)
        assert times == 1, made
        conn.execute(text("DROP TABLE events"))
        conn.execute(text(without))

    def migrate_and_drop(opened: Database) -> Any:
        done = really_migrate(opened)
        opened.transact(drop)
        return done

    def new_database(self: tests.postgresql.Cluster, *template: str) -> str:
        name = really_make(self, *template)
        (constraint,), *_ = self.command(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'events'::regclass AND contype = 'u'", database=name
        )
        self.command(f"ALTER TABLE events DROP CONSTRAINT {constraint}", database=name)
        return name

    put("migrate", migrate_and_drop, migrate)
    put("new_database", new_database, cluster)


def _no_lock_of_the_file() -> None:
    put("_alone", lambda _: nullcontext(), sqlite.Sqlite)


def _no_immediate_transaction() -> None:
    really_execute = sqlite.execute

    def execute(connection: Any, statement: str, *values: Any) -> Any:
        return really_execute(connection, "BEGIN" if statement == "BEGIN IMMEDIATE" else statement, *values)

    put("execute", execute, sqlite)


def _no_lock_of_sites() -> None:
    put("share_site", lambda *_: None, locks, group)
    put("own_site", lambda *_: None, locks, merges, people)


def _no_lock_of_names() -> None:
    put("lock_names", lambda *_: None, locks, locking)


def _no_order_of_locks() -> None:
    def lock_names(conn: Connection, site_id: int, names: Any) -> None:
        if locks.can_meet(conn):
            keys = [locks._key(site_id, kind, value) for kind, value in names]
            locks.await_rows(conn, locks._LOCK_ALL, (keys,))

    put("lock_names", lock_names, locks, locking)


def _no_lock_of_people() -> None:
    put("lock_roots", lambda *_: None, locks, sys.modules[Picture.__module__])


def _no_second_look() -> None:
    """Who people are is looked up before they are locked, and not again for the group.

    It is again for each event, so people would stay whole; but whoever has to lock more then may wait crosswise.
    """

    def lock_people(picture: Picture, arrivals: Any) -> None:
        roots = locks.fetch_concerned(picture.conn, picture.site.site_id, locking._concern(picture, arrivals))
        picture.hold(locking.id_text(root) for root in roots.values())

    put("lock_people", lock_people, locking, group)


def _no_tombstones() -> None:
    put("insert", lambda *_: None, erasure.Erasures)


def _no_synchronous_commit() -> None:
    put("SYNCHRONOUS_COMMIT", "off", postgresql)


FSYNC = "tests/faults/test_fsync.py::test_every_reply_comes_after_a_sync_of_the_log"
RECORDER = "tests/store/test_recorder.py::"
RIVALS = "tests/store/test_rivals.py::"
REPEAT = f"{RECORDER}test_repeat_where_none_was_expected_costs_its_neighbours_nothing"
NETS = {
    "sync": Net(_no_sync, FSYNC),
    "sync-postgresql": Net(
        _no_synchronous_commit, "tests/store/test_one_at_a_time.py::test_a_commit_of_postgresql_waits_for_the_disk"
    ),
    "answer-after-commit": Net(_no_waiting_for_the_commit, FSYNC),
    "event-id-sqlite": Net(_no_unique_event_id, f"{REPEAT}[sqlite]"),
    "event-id-postgresql": Net(_no_unique_event_id, f"{REPEAT}[postgresql]"),
    "one-process": Net(
        _no_lock_of_the_file,
        "tests/faults/test_storage_trouble.py::"
        "test_a_database_that_somebody_else_holds_is_waited_for_then_refused[sqlite-the lock between processes]",
    ),
    "immediate": Net(
        _no_immediate_transaction,
        "tests/store/test_one_at_a_time.py::test_nobody_writes_between_what_a_transaction_reads_and_what_it_writes",
    ),
    "site-lock": Net(
        _no_lock_of_sites, f"{RIVALS}test_whoever_is_erased_does_not_come_back_by_an_event_under_way[postgresql]"
    ),
    "name-locks": Net(
        _no_lock_of_names, f"{RIVALS}test_one_customer_id_said_on_two_browsers_is_one_person[postgresql]"
    ),
    "lock-order": Net(_no_order_of_locks, f"{RIVALS}test_names_are_locked_in_one_order[postgresql]"),
    "people-locks": Net(
        _no_lock_of_people, f"{RIVALS}test_one_person_on_two_browsers_never_becomes_two_customers[postgresql]"
    ),
    "second-look": Net(_no_second_look, f"{RIVALS}test_who_people_are_is_looked_up_again_after_each_wait[postgresql]"),
    "tombstones": Net(
        _no_tombstones, "tests/store/test_erasure.py::test_an_old_event_that_is_sent_again_is_suppressed[sqlite]"
    ),
}


# ---- as a plugin of pytest ----


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", choices=list(NETS), help="a protection to do without")
    parser.addoption("--cluster", help="FOLDER:PORT of a PostgreSQL server that runs already")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any module of tests is imported, so that all of them see what is replaced here."""
    name, cluster = (getattr(early_config.known_args_namespace, option) for option in ("without", "cluster"))
    if name:
        NETS[name].take_off()
        server.LAUNCHER = ("-m", "tests.faults.nets", name, "serve")
    if cluster:
        folder, port = cluster.rsplit(":", 1)
        numbers = itertools.count(1000 * os.getpid())  # of its databases

        @contextmanager
        def running_cluster() -> Iterator[tests.postgresql.Cluster]:
            yield tests.postgresql.Cluster(Path(folder), port=int(port), numbers=numbers)

        put("running_cluster", running_cluster, tests.postgresql)


if __name__ == "__main__":
    NETS[sys.argv.pop(1)].take_off()
    from collector.cli import main

    main()
