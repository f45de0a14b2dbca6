"""The limit for batches on one core: parse with orjson, insert with executemany, commit with a real fsync.

`python -m benchmarks.limit DATABASE SECONDS` prints one line of JSON. One table with one index beside its row id, 500
events in a transaction, requests of 50 events made beforehand; no HTTP, no identity, no validation.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

import orjson

from benchmarks.events import make_body, make_event, now_ms, uuid7

EVENTS_PER_REQUEST = 50
REQUESTS_PER_TRANSACTION = 10
MOST_EVENTS_PER_SECOND = 100_000  # so many are made beforehand


def make_requests(count: int) -> list[bytes]:
    """Bodies as the collector receives them, each of one visitor."""
    requests = []
    for _ in range(count):
        ms = now_ms()
        uid, visit, page = uuid7(ms), uuid7(ms), uuid7(ms)
        events = [make_event("https://shop.example", uid, visit, page, n, ms) for n in range(EVENTS_PER_REQUEST)]
        requests.append(make_body(events, uuid7(ms), ms))
    return requests


def open_database(path: Path) -> sqlite3.Connection:
    """A database with the one table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS events (row_id INTEGER PRIMARY KEY, event_id BLOB NOT NULL UNIQUE, "
        "uid BLOB, visit_id BLOB, page_id BLOB, category TEXT, action TEXT, at INTEGER, seq INTEGER, url TEXT, "
        "body TEXT)"
    )
    return connection


def store(connection: sqlite3.Connection, requests: list[bytes]) -> int:
    """One transaction; returns the number of events in it."""
    rows = []
    for request in requests:
        for event in orjson.loads(request)["events"]:
            ids = [bytes.fromhex(event[name].replace("-", "")) for name in ("event_id", "uid", "visit", "page")]
            body = orjson.dumps({"dims": event["dims"], "items": event["items"]}).decode()
            rows.append(
                (*ids, event["category"], event["action"], event["at"], event["seq"], event["url"], body),
            )
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO events VALUES (NULL{',?' * 10})", rows)
    connection.execute("COMMIT")
    return len(rows)


def main(path: Path, seconds: float) -> None:
    """Store as much as possible for `seconds`, and check that it is there."""
    requests = make_requests(int(seconds * MOST_EVENTS_PER_SECOND) // EVENTS_PER_REQUEST)
    connection = open_database(path)
    before = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    start, stored = time.perf_counter(), 0
    for place in range(0, len(requests), REQUESTS_PER_TRANSACTION):
        stored += store(connection, requests[place : place + REQUESTS_PER_TRANSACTION])
        if time.perf_counter() - start >= seconds:
            break
    elapsed = time.perf_counter() - start
    if connection.execute("SELECT count(*) FROM events").fetchone()[0] != before + stored:
        raise SystemExit("rows are missing")
    print(json.dumps({"events": stored, "seconds": elapsed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
