"""What is in a collector's database file, read beside the running collector: a benchmark believes rows, not replies."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

SETTLE_S = 0.2
PATIENCE_S = 10


class NotStored(Exception):
    """What was acknowledged and what is stored differ."""


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        yield connection


def last_row(database: Path) -> int:
    """The row id of the newest event; ids count from 1 without gaps."""
    with _reading(database) as connection:
        return int(connection.execute("SELECT coalesce(max(row_id), 0) FROM events").fetchone()[0])


def settled_row(database: Path, at_least: int = 0) -> int:
    """`last_row`, once it has reached `at_least` (or had 10 s for it) and stopped to grow.

    Requests that were under way when a load ended are stored too, and not all at once.
    """
    deadline = time.monotonic() + PATIENCE_S
    row = -1
    while row != (now := last_row(database)) or (now < at_least and time.monotonic() < deadline):
        row = now
        time.sleep(SETTLE_S)
    return row


def check_rows(database: Path, before: int, acknowledged: int, in_flight: int) -> int:
    """The number of events stored after row `before`.

    Raises `NotStored` unless they are the acknowledged ones, at most `in_flight` more (sent when the load ended), and
    every one of them has a profile.
    """
    with _reading(database) as connection:
        query = "SELECT count(*), count(DISTINCT event_id), count(profile_id) FROM events WHERE row_id > ?"
        rows, distinct, with_profile = connection.execute(query, (before,)).fetchone()
        quarantined = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    if not acknowledged <= rows <= acknowledged + in_flight or quarantined or not rows == distinct == with_profile:
        raise NotStored(
            f"{acknowledged} events acknowledged, {rows} stored, {distinct} distinct, {with_profile} with a profile, "
            f"{quarantined} in quarantine"
        )
    return int(rows)


class Stored(NamedTuple):
    """An event as far as benchmarks look at it."""

    name: str
    url: str
    body: str


def fetch_events(database: Path, *names: str) -> list[Stored]:
    """The events called `category/action`, all without a name, in the order in which their browser counted them."""
    with _reading(database) as connection:
        query = "SELECT category || '/' || action, url, body FROM events ORDER BY seq"
        stored = [Stored(*row) for row in connection.execute(query)]
    return [event for event in stored if not names or event.name in names]
