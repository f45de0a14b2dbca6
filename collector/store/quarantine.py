"""Refused events and bodies, kept with their reason; bounded per site (spec/wire.md, Limits)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from collector.store.locks import PURGE, try_alone
from collector.store.schema import quarantine

MAX_ROWS = 10_000
MAX_BYTES = 100 * 1024 * 1024
MAX_AGE_MS = 14 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """One row for the quarantine: `raw` is what came, `field` where it went wrong."""

    code: str
    field: str
    raw: bytes
    event_id: str | None = None


def insert_quarantine(conn: Connection, site_id: int, received_at: int, rows: Sequence[Refused]) -> None:
    """Keep refused events, in the same transaction as their neighbours."""
    if rows:
        conn.execute(
            insert(quarantine),
            [
                {
                    "site_id": site_id,
                    "received_at": received_at,
                    "code": row.code,
                    "field": row.field,
                    "event_id": row.event_id,
                    "raw": row.raw,
                }
                for row in rows
            ],
        )


def purge_quarantine(conn: Connection, now: int) -> int:
    """Drop what is over the bounds of its site, oldest first. Returns how many rows went.

    Several collectors share the bounds; while one of them purges, the others need not.
    """
    if not try_alone(conn, PURGE):
        return 0
    table = quarantine
    site, newest_first = table.c.site_id, table.c.quarantine_id.desc()
    ranked = select(
        table.c.quarantine_id,
        func.count().over(partition_by=site, order_by=newest_first).label("rows_kept"),
        func.sum(func.length(table.c.raw)).over(partition_by=site, order_by=newest_first).label("bytes_kept"),
    ).subquery()
    too_many = select(ranked.c.quarantine_id).where((ranked.c.rows_kept > MAX_ROWS) | (ranked.c.bytes_kept > MAX_BYTES))
    too_old = table.c.received_at < now - MAX_AGE_MS
    return conn.execute(delete(table).where(too_old | table.c.quarantine_id.in_(too_many))).rowcount


def count_quarantine(conn: Connection, site_id: int) -> int:
    """How many rows a site has in quarantine."""
    return conn.scalar(select(func.count()).select_from(quarantine).where(quarantine.c.site_id == site_id)) or 0
