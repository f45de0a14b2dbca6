"""Events: the hot insert, the look-up of duplicates, and reading a person's events back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Insert, RowMapping, Select, and_, insert, or_, select

from collector.domain.event import Event
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, write_rows
from collector.store.schema import events, id_bytes

EventRow = tuple[object, ...]  # one value for each column but row_id


class StoredEvent(NamedTuple):
    """What decides whether a second arrival of an id is the same event or another one."""

    category: str
    action: str
    uid: str | None
    seq: int
    tracked_at: int
    url: str | None
    body: str


def fingerprint(event: Event) -> StoredEvent:
    """What `fetch_stored` would say of `event` if it were stored."""
    return StoredEvent(
        event.category, event.action, event.uid, event.seq, event.tracked_at, event.url, event.body.decode()
    )


class SharedIds(dict[str | None, bytes | None]):
    """The bytes of ids that many events of a group have in common, made when first asked for."""

    def __missing__(self, text: str | None) -> bytes | None:
        raw = self[text] = None if text is None else id_bytes(text)
        return raw


def event_row(
    site_id: int,
    event: Event,
    profile_id: str | None,
    received_at: int,
    bot: bool,
    warnings: tuple[str, ...],
    shared: SharedIds,
) -> EventRow:
    """The values of one row, ready for the driver."""
    return (
        site_id,
        id_bytes(event.event_id),
        shared[profile_id],
        shared[event.uid],
        shared[event.visit_id],
        shared[event.page_id],
        event.category,
        event.action,
        event.occurred_at,
        event.tracked_at,
        received_at,
        event.seq,
        bot,
        " ".join(warnings) if warnings else None,
        event.url,
        event.body.decode(),
    )


def _insert(_: Dialect) -> Insert:
    return insert(events)


def insert_events(conn: Connection, rows: Sequence[EventRow]) -> None:
    """Insert events. Raises `IntegrityError` if an id is stored already."""
    write_rows(conn, _insert, rows)


def _stored_ids(site: Slot, *ids: Slot) -> Select[Any]:
    return select(events.c.event_id).where(events.c.site_id == site, is_one_of(events.c.event_id, ids))


def _stored(site: Slot, *ids: Slot) -> Select[Any]:
    columns = (events.c.category, events.c.action, events.c.uid, events.c.seq, events.c.tracked_at, events.c.url)
    query = select(events.c.event_id, *columns, events.c.body)
    return query.where(events.c.site_id == site, is_one_of(events.c.event_id, ids))


def fetch_stored(conn: Connection, site_id: int, event_ids: Sequence[str]) -> dict[str, StoredEvent]:
    """Those of `event_ids` that are stored, with what tells a repeat from a conflict."""
    stored = fetch_by_ids(conn, _stored_ids, site_id, event_ids)
    repeated = fetch_by_ids(conn, _stored, site_id, [event_id for (event_id,) in stored])
    return {event_id: StoredEvent(*rest) for event_id, *rest in repeated}


def fetch_events_of(
    conn: Connection, site_id: int, leaves: Sequence[str], limit: int, before: tuple[int, int] | None = None
) -> Sequence[RowMapping]:
    """The events of a person, newest first; `before` is the (occurred_at, row_id) of the last one already shown."""
    query = select(events).where(events.c.site_id == site_id, events.c.profile_id.in_(leaves))
    if before is not None:
        at, row_id = before
        query = query.where(or_(events.c.occurred_at < at, and_(events.c.occurred_at == at, events.c.row_id < row_id)))
    query = query.order_by(events.c.occurred_at.desc(), events.c.row_id.desc()).limit(limit)
    return conn.execute(query).mappings().all()


def fetch_events_after(conn: Connection, row_id: int, limit: int, site_id: int | None = None) -> Sequence[RowMapping]:
    """Events in order of arrival, of one site or of all: what `regulars tail` follows."""
    query = select(events).where(events.c.row_id > row_id)
    if site_id is not None:
        query = query.where(events.c.site_id == site_id)
    return conn.execute(query.order_by(events.c.row_id).limit(limit)).mappings().all()


def fetch_last_row_id(conn: Connection) -> int:
    """The row id of the newest event, 0 if there is none."""
    return conn.scalar(select(events.c.row_id).order_by(events.c.row_id.desc()).limit(1)) or 0


def _first_seen(site: Slot, leaf: Slot) -> Select[Any]:
    mine = select(events.c.occurred_at).where(events.c.site_id == site, events.c.profile_id == leaf)
    return mine.order_by(events.c.occurred_at).limit(1)


def _last_seen(site: Slot, leaf: Slot) -> Select[Any]:
    mine = select(events.c.occurred_at).where(events.c.site_id == site, events.c.profile_id == leaf)
    return mine.order_by(events.c.occurred_at.desc()).limit(1)


def fetch_first_seen(conn: Connection, site_id: int, leaves: Sequence[str]) -> int | None:
    """When a person was first seen, ms; None without events. One index look-up for each leaf."""
    return min((at for leaf in leaves for (at,) in fetch(conn, _first_seen, site_id, leaf)), default=None)


def fetch_last_seen(conn: Connection, site_id: int, leaves: Sequence[str]) -> int | None:
    """When a person was last seen, ms; None without events. One index look-up for each leaf."""
    return max((at for leaf in leaves for (at,) in fetch(conn, _last_seen, site_id, leaf)), default=None)
