"""T5 on SQLite: others hold the database or read it for long while browsers keep sending; nothing fails but in time."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.server import Collector, eventually
from tests.faults.whole import assert_people_are_whole

MOST_LOG_BYTES = 64 * 2**20  # a reader keeps SQLite from beginning the log anew: then nothing more is taken


@contextmanager
def another_process(collector: Collector) -> Iterator[sqlite3.Connection]:
    """As if it were one: SQLite tells connections apart, not processes."""
    with closing(sqlite3.connect(collector.database, timeout=30, isolation_level=None)) as connection:
        yield connection


def log_bytes(collector: Collector) -> int:
    return Path(f"{collector.database}-wal").stat().st_size


def assert_told_the_truth(collector: Collector, load: Load) -> None:
    """Every answer was 200 or 503, and what was acknowledged is what is stored, once."""
    summary = load.finish()
    assert collector.stop() == 0
    assert summary.surprises == []
    assert set(summary.answers) <= {"200", "503", "none"}, summary.answers
    told, stored = load.acknowledged(), collector.stored_ids()
    assert sorted(told) == sorted(stored)
    assert len(told) == summary.acknowledged > 0
    assert_people_are_whole(collector, at_least_merged=0)


@pytest.mark.parametrize(
    ("times", "longest_s"), [(4, 3.0), pytest.param(60, 10.0, marks=pytest.mark.soak)], ids=["short", "long"]
)
def test_a_database_that_is_held_again_and_again_is_refused_or_stored(
    collector: Collector, load: Load, seed: int, times: int, longest_s: float
) -> None:
    chance = random.Random(seed)
    collector.start()
    with another_process(collector) as other:
        for held_s in (0.0, longest_s, *(chance.uniform(0, longest_s) for _ in range(times - 2))):
            before = len(load.acknowledged())
            eventually(lambda before=before: len(load.acknowledged()) > before, 30)
            other.execute("BEGIN IMMEDIATE")
            time.sleep(held_s)  # so long nobody else can write
            other.rollback()
    before = len(load.acknowledged())
    eventually(lambda: len(load.acknowledged()) > before, 30, lambda: "no recovery")
    assert_told_the_truth(collector, load)


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.soak)])
def test_a_reader_that_stays_lets_the_log_grow_so_far_and_no_further(
    collector: Collector, load: Load, seconds: int
) -> None:
    collector.start()
    eventually(load.acknowledged, 30)
    before, most = len(load.acknowledged()), 0
    with another_process(collector) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM events").fetchone()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            most = max(most, log_bytes(collector))
            time.sleep(0.1)  # between two looks
        assert reader.execute("SELECT count(*) FROM events").fetchone() == seen, "it reads an old state"
        told = len(load.acknowledged()) - before
        reader.rollback()
    print(f"the log grew to {most / 2**20:.1f} MiB while {told} events were stored")  # noqa: T201 - to be read
    assert told > 0
    assert most <= MOST_LOG_BYTES
    before = len(load.acknowledged())
    eventually(lambda: len(load.acknowledged()) > before, 30, lambda: "no recovery")
    assert_told_the_truth(collector, load)
