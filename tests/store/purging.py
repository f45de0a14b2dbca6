"""Purging a site in a test, and what should be left of it: said once more, over plain rows in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from collector.domain.site import Site
from collector.store import schema
from collector.store.database import Database
from collector.store.retention import Tally, begin_purge, count_slice, purge_slice

Rows = dict[str, list[dict[str, Any]]]
UNSCOPED = {"sites", "installation"}


def slices(database: Database, site: Site, now: int, size: int = 7) -> Iterator[Counter[str]]:
    """Purge slice by slice; what each one deleted."""
    place = database.transact(begin_purge, site, now)
    while place is not None:
        done = database.transact(purge_slice, place, size)
        yield done.gone
        place = done.place


def purge(database: Database, site: Site, now: int, size: int = 7) -> Counter[str]:
    """Purge a site; rows by table."""
    return sum(slices(database, site, now, size), Counter())


def count(database: Database, site: Site, now: int, size: int = 7) -> Counter[str]:
    """What a dry run says."""
    place, tally, counted = database.read_now(begin_purge, site, now), Tally(), Counter[str]()
    while place is not None:
        done = database.read_now(count_slice, place, size, tally)
        counted += done.gone
        place = done.place
    return counted


def fetch_rows(database: Database, site_id: int) -> Rows:
    """Every row of a site, by table and in the order of their keys."""

    def look(conn: Connection) -> Rows:
        return {
            table.name: [
                dict(row)
                for row in conn.execute(
                    select(table).where(table.c.site_id == site_id).order_by(*table.primary_key)
                ).mappings()
            ]
            for table in schema.metadata.sorted_tables
            if table.name not in UNSCOPED
        }

    return database.read_now(look)


def what_is_left(rows: Rows, before: int) -> Rows:
    """What should be left of `rows` when everything from before `before` (ms) goes."""
    left = {table: [dict(row) for row in of_table] for table, of_table in rows.items()}

    def keep(table: str, which: Any) -> None:
        left[table] = [row for row in left[table] if which(row)]

    def values(table: str, column: str) -> set[Any]:
        return {row[column] for row in left[table]}

    for table in ("events", "consents"):
        keep(table, lambda row: row["received_at"] >= before)
    told = {row["visit_id"] for row in left["interactions"] if (row["decided_at"] or row["created_at"]) >= before}
    needed = values("events", "visit_id") | told
    keep("visits", lambda row: max(row["arrived_at"], row["last_event_at"]) >= before or row["visit_id"] in needed)
    visits = values("visits", "visit_id")
    for table in ("visit_profiles", "sessions", "contacts", "interactions"):
        keep(table, lambda row: row["visit_id"] in visits)
    _thin_identifications(rows, left, visits)
    named = {row["identity_id"] for table in ("contacts", "sessions", "user_identifications") for row in left[table]}
    keep("identities", lambda row: row["identity_id"] in named)
    unused = _unused(left)
    shared = {row["uid"] for row in left["bindings"] if row["profile_id"] not in unused}
    gone_uids = {row["uid"] for row in left["bindings"]} - shared
    keep("uids", lambda row: row["uid"] not in gone_uids)
    for table in ("profiles", "bindings", "traits", "claims"):
        keep(table, lambda row: row["profile_id"] not in unused)
    return left


def _thin_identifications(rows: Rows, left: Rows, visits: set[Any]) -> None:
    """Those of visits or events that went: an accepted CID stays, without them."""
    stored = {row["event_id"] for row in left["events"]}
    kept = []
    for row in rows["user_identifications"]:
        stays = row["visit_id"] in visits if row["visit_id"] else row["event_id"] in stored
        if stays:
            kept.append(row)
        elif row["cid"] is not None:
            kept.append(row | {"visit_id": None, "identity_id": None})
    left["user_identifications"] = kept


def _unused(left: Rows) -> set[str]:
    """Anonymous profiles that nothing refers to."""
    held = {row["profile_id"] for table in HOLDING for row in left[table]}
    held |= {row[column] for row in left["merges"] for column in ("winner_id", "loser_id")}
    held |= {row["merged_into"] for row in left["profiles"]}
    speakers: dict[str, set[str]] = {}
    for row in left["bindings"]:
        speakers.setdefault(row["uid"], set()).add(row["profile_id"])
    held |= {profile for profiles in speakers.values() if len(profiles) > 1 for profile in profiles}
    return {
        row["profile_id"] for row in left["profiles"] if row["merged_into"] is None and row["profile_id"] not in held
    }


HOLDING = ("identifiers", "retirements", "events", "visit_profiles", "user_identifications")
