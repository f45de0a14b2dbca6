"""Refused events and bodies, kept with their reason until replayed; bounded per site (spec/wire.md, Limits)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from collector.domain.event import Trust
from collector.domain.quarantine import Quarantined
from collector.store.locks import PURGE, try_alone
from collector.store.schema import quarantine

MAX_ROWS = 10_000
MAX_BYTES = 100 * 1024 * 1024
MAX_AGE_MS = 14 * 24 * 60 * 60 * 1000
ROWS_AT_ONCE = 200  # at most 13 MB


@dataclass(frozen=True, slots=True)
class Refused:
    """One row for the quarantine: `raw` is what came, `field` where it went wrong; the rest is about its request."""

    code: str
    field: str
    raw: bytes
    event_id: str | None = None
    sent_at: int | None = None
    device_id: str | None = None
    contact_id: str | None = None
    trust: Trust = Trust.BROWSER
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a site: all, or those with this code and those that arrived at `since` (ms) or later."""

    code: str | None = None
    since: int | None = None

    def of(self, site_id: int) -> ColumnElement[bool]:
        """The condition in SQL."""
        condition = quarantine.c.site_id == site_id
        if self.code is not None:
            condition &= quarantine.c.code == self.code
        return condition if self.since is None else condition & (quarantine.c.received_at >= self.since)


EVERYTHING = Wanted()


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
                    "sent_at": row.sent_at,
                    "device_id": row.device_id,
                    "contact_id": row.contact_id,
                    "trust": row.trust,
                    "bot": row.bot,
                    "tries": 0,
                }
                for row in rows
            ],
        )


def _rows(*more: ColumnElement[Any]) -> Select[Any]:
    table = quarantine
    origin = (table.c.sent_at, table.c.device_id, table.c.contact_id, table.c.trust, table.c.bot, table.c.tries)
    reason = (table.c.received_at, table.c.code, table.c.field, table.c.event_id)
    return select(table.c.quarantine_id, *reason, *origin, func.length(table.c.raw), *more)


def _quarantined(row: Row[Any]) -> Quarantined:
    quarantine_id, received_at, code, field, event_id, sent_at, device_id, contact_id, trust, *rest = tuple(row)
    about = (sent_at, device_id, contact_id, Trust(trust))
    return Quarantined(quarantine_id, received_at, code, field, event_id, *about, *rest)


def fetch_quarantine(
    conn: Connection, site_id: int, wanted: Wanted, limit: int, before: int | None = None
) -> list[Quarantined]:
    """Rows without what was sent, newest first; `before` is the id of the last one already shown."""
    query = _rows().where(wanted.of(site_id))
    if before is not None:
        query = query.where(quarantine.c.quarantine_id < before)
    return [_quarantined(row) for row in conn.execute(query.order_by(quarantine.c.quarantine_id.desc()).limit(limit))]


def fetch_quarantine_ids(conn: Connection, site_id: int, wanted: Wanted, limit: int, after: int = 0) -> list[int]:
    """Ids in order of arrival: what a replay of many goes through; `after` is the last one already seen."""
    query = select(quarantine.c.quarantine_id).where(wanted.of(site_id), quarantine.c.quarantine_id > after)
    return list(conn.scalars(query.order_by(quarantine.c.quarantine_id).limit(limit)))


def fetch_quarantined(conn: Connection, site_id: int, quarantine_id: int) -> Quarantined | None:
    """One row with what was sent."""
    mine = (quarantine.c.site_id == site_id, quarantine.c.quarantine_id == quarantine_id)
    row = conn.execute(_rows(quarantine.c.raw).where(*mine)).one_or_none()
    return None if row is None else _quarantined(row)


def update_reason(conn: Connection, quarantine_id: int, code: str, field: str) -> None:
    """Another try was in vain, for this reason."""
    changed = {"code": code, "field": field, "tries": quarantine.c.tries + 1}
    conn.execute(update(quarantine).where(quarantine.c.quarantine_id == quarantine_id).values(changed))


def delete_quarantined(conn: Connection, site_id: int, quarantine_id: int) -> bool:
    """Drop one row; whether there was one."""
    mine = (quarantine.c.site_id == site_id, quarantine.c.quarantine_id == quarantine_id)
    return conn.execute(delete(quarantine).where(*mine)).rowcount > 0


def delete_quarantine(conn: Connection, site_id: int, wanted: Wanted) -> int:
    """Drop all rows that are wanted; how many there were."""
    return conn.execute(delete(quarantine).where(wanted.of(site_id))).rowcount


def walk_quarantine(conn: Connection, site_id: int) -> Iterator[Quarantined]:
    """All rows of a site with what was sent, some at a time: together they may be 100 MB."""
    after = 0
    while True:
        query = _rows(quarantine.c.raw).where(quarantine.c.site_id == site_id, quarantine.c.quarantine_id > after)
        rows = conn.execute(query.order_by(quarantine.c.quarantine_id).limit(ROWS_AT_ONCE)).all()
        yield from map(_quarantined, rows)
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].quarantine_id


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


def count_quarantine(conn: Connection, site_id: int, wanted: Wanted = EVERYTHING) -> int:
    """How many rows a site has in quarantine."""
    return conn.scalar(select(func.count()).select_from(quarantine).where(wanted.of(site_id))) or 0
