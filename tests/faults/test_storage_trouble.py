"""The disk is full, or somebody else holds the database: 503 and "not ready", never a false "stored", then recovery.

Small versions of T4 and T5 of the reliability page.
"""

from __future__ import annotations

import asyncio
import fcntl
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest

from tests.faults.server import Collector, Keys, Reply, event, eventually, get, post_batch

RECOVERS_S = 5.0
TMPFS_BYTES = 8 * 2**20


class Space(Protocol):
    """The room that a running collector has on its disk."""

    def leave(self, room: int) -> None:
        """Let it write so many more bytes to its log."""

    def give(self) -> None:
        """Let it write as before."""


@dataclass(frozen=True, slots=True)
class FileSizeLimit:
    """Files of the process may not grow further: RLIMIT_FSIZE."""

    collector: Collector

    def leave(self, room: int) -> None:
        self._limit(Path(f"{self.collector.database}-wal").stat().st_size + room)

    def give(self) -> None:
        self._limit(resource.getrlimit(resource.RLIMIT_FSIZE)[0])

    def _limit(self, most: int) -> None:
        assert self.collector.process is not None
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(self.collector.process.pid, resource.RLIMIT_FSIZE, (most, hard))


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system that other files fill."""

    folder: Path

    def leave(self, room: int) -> None:
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "ballast").open("ab") as ballast:
            ballast.write(bytes(free - room))

    def give(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    size = f"size={TMPFS_BYTES}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount the small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(params=["file size limit", "small disk"])
def cramped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Collector, Space]]:
    """A collector, and a way to take the room from it."""
    space: Space
    if request.param == "file size limit":
        collector = Collector(tmp_path)
        space = FileSizeLimit(collector)
    else:
        folder: Path = request.getfixturevalue("tmpfs")
        collector = Collector(folder)
        space = SmallDisk(folder)
    yield collector, space
    collector.close()


def batch() -> list[dict[str, object]]:
    """Ten events of 5 KB."""
    return [event(number, extra={"text": "x" * 5000}) for number in range(10)]


def check_refusal(reply: Reply) -> None:
    """A refusal says that storing is impossible now, that it is worth trying again, and when."""
    assert reply.status == 503, reply
    assert int(reply.headers["Retry-After"]) > 0
    error = reply.json()["error"]
    assert error["code"] in ("storage_full", "storage_unavailable")
    assert error["retryable"] is True


def stored_ids(collector: Collector) -> set[str]:
    return set(collector.stored_ids())


def ids_of(events: list[dict[str, object]]) -> set[str]:
    return {str(event["event_id"]).replace("-", "") for event in events}


def test_a_full_disk_refuses_and_recovers_by_itself(cramped: tuple[Collector, Space]) -> None:
    collector, space = cramped
    keys = collector.add_site()
    collector.start()
    told: set[str] = set()

    def send() -> Reply:
        events = batch()
        reply = post_batch(collector.url, keys.write_key, events)
        if reply.status == 200:
            assert reply.json()["accepted"] == len(events)
            told.update(ids_of(events))
        else:
            check_refusal(reply)
        return reply

    assert send().status == 200
    space.leave(300_000)
    eventually(lambda: send().status == 503, 30, lambda: "the disk never filled")
    space.leave(0)
    for _ in range(5):
        check_refusal(send())
    assert get(f"{collector.url}/readyz").status == 503
    assert get(f"{collector.url}/healthz").status == 200
    space.give()
    eventually(lambda: send().status == 200, RECOVERS_S, lambda: f"no recovery: {collector.last_words()}")
    assert get(f"{collector.url}/readyz").status == 200
    assert collector.stop() == 0
    assert stored_ids(collector) == told
    assert collector.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def hold(request: pytest.FixtureRequest, collector: Collector) -> Iterator[Callable[[], Callable[[], None]]]:
    """Call it to keep the collector from writing; call what it returns to let go."""
    holder = request.param
    if holder == "LOCK TABLE":
        with locking_session(collector) as hold_table:
            yield hold_table
    elif holder == "a transaction":
        with closing(sqlite3.connect(collector.database, isolation_level=None)) as connection:

            def hold_transaction() -> Callable[[], None]:
                connection.execute("BEGIN IMMEDIATE")
                return connection.rollback

            yield hold_transaction
    else:
        with Path(f"{collector.database}-lock").open("w") as lock:

            def hold_lock() -> Callable[[], None]:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return lambda: fcntl.flock(lock, fcntl.LOCK_UN)

            yield hold_lock


@contextmanager
def locking_session(collector: Collector) -> Iterator[Callable[[], Callable[[], None]]]:
    """Another session of the PostgreSQL server."""
    assert collector.cluster is not None
    with asyncio.Runner() as runner:
        url = collector.database_url.replace("+asyncpg", "")
        session = runner.run(asyncpg.connect(url))

        def hold_table() -> Callable[[], None]:
            runner.run(session.execute("BEGIN; LOCK TABLE events"))
            return lambda: runner.run(session.execute("ROLLBACK"))

        yield hold_table
        runner.run(session.close())


@pytest.fixture
def keys(collector: Collector) -> Keys:
    keys = collector.add_site()
    collector.start()
    return keys


@pytest.mark.parametrize(
    ("engine", "hold"),
    [("sqlite", "a transaction"), ("sqlite", "the lock between processes"), ("postgresql", "LOCK TABLE")],
    indirect=True,
)
def test_a_database_that_somebody_else_holds_is_waited_for_then_refused(
    collector: Collector, keys: Keys, hold: Callable[[], Callable[[], None]]
) -> None:
    first, second, third = ([event(1)] for _ in range(3))
    assert post_batch(collector.url, keys.write_key, first).status == 200
    let_go = hold()
    check_refusal(post_batch(collector.url, keys.write_key, second))
    assert get(f"{collector.url}/readyz").status == 503
    assert get(f"{collector.url}/healthz").status == 200
    let_go()
    eventually(lambda: get(f"{collector.url}/readyz").status == 200, RECOVERS_S)
    assert stored_ids(collector) == ids_of(first)
    for events in (second, third):
        assert post_batch(collector.url, keys.write_key, events).json()["accepted"] == 1
    assert stored_ids(collector) == ids_of(first + second + third)
