"""What is in a collector's database, read beside the running collector: a benchmark believes rows, not replies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from collector.store.database import Database

SETTLE_S = 0.2
PATIENCE_S = 10


class NotStored(Exception):
    """What was acknowledged and what is stored differ."""


def fetch(url: str, *queries: str, **values: object) -> list[Sequence[tuple[Any, ...]]]:
    """The rows of each query, all from one state of the database that `url` names."""

    def run(conn: Connection) -> list[Sequence[tuple[Any, ...]]]:
        return [[tuple(row) for row in conn.execute(text(query), values)] for query in queries]

    database = Database(url)
    try:
        return database.read_now(run)
    finally:
        database.close_now()


def last_row(url: str) -> int:
    """The row id of the newest event. Ids count from 1; on PostgreSQL a transaction that failed leaves a gap."""
    [rows] = fetch(url, "SELECT coalesce(max(row_id), 0) FROM events")
    return int(rows[0][0])


def settled_row(url: str, at_least: int = 0) -> int:
    """`last_row`, once it has reached `at_least` (or had 10 s for it) and stopped to grow.

    Requests that were under way when a load ended are stored too, and not all at once.
    """
    deadline = time.monotonic() + PATIENCE_S
    row = -1
    while row != (now := last_row(url)) or (now < at_least and time.monotonic() < deadline):
        row = now
        time.sleep(SETTLE_S)
    return row


def check_rows(url: str, before: int, acknowledged: int, in_flight: int) -> int:
    """The number of events stored after row `before`.

    Raises `NotStored` unless they are the acknowledged ones, at most `in_flight` more (sent when the load ended), and
    every one of them has a profile.
    """
    [(rows, distinct, with_profile)], [(quarantined,)] = fetch(
        url,
        "SELECT count(*), count(DISTINCT event_id), count(profile_id) FROM events WHERE row_id > :before",
        "SELECT count(*) FROM quarantine",
        before=before,
    )
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


def fetch_events(url: str, *names: str) -> list[Stored]:
    """The events called `category/action`, all without a name, in the order in which their browser counted them."""
    [rows] = fetch(url, "SELECT category || '/' || action, url, body FROM events ORDER BY seq")
    stored = [Stored(*row) for row in rows]
    return [event for event in stored if not names or event.name in names]
