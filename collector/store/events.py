"""Events: the hot insert, the look-up of duplicates, and reading a person's events back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    RowMapping,
    Select,
    false,
    func,
    insert,
    null,
    or_,
    select,
    true,
)

from collector.domain.event import Event
from collector.store.locks import can_meet
from collector.store.prepared import Slot, fetch_by_ids, is_one_of, write_rows
from collector.store.schema import events, id_bytes, ids_bytes, profiles, visit_profiles, visits

EventRow = tuple[object, ...]  # one value for each column but row_id, bot and warnings
Notes = tuple[bool, str | None]  # those two
UNNOTED: Notes = (False, None)
Conditions = Callable[[Any], list[ColumnElement[bool]]]  # of the columns of events, or of an alias of them


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


class SharedIds(dict[str | None, bytearray | None]):
    """The bytes of ids that many events of a group have in common, made when first asked for."""

    def __missing__(self, text: str | None) -> bytearray | None:
        raw = self[text] = None if text is None else id_bytes(text)
        return raw

    def make(self, texts: Collection[str]) -> None:
        """Make those that will be asked for all at once."""
        self.update(zip(texts, ids_bytes([*texts]), strict=True))


def event_row(
    site_id: int, event: Event, raw_id: bytearray, profile_id: str | None, received_at: int, shared: SharedIds
) -> EventRow:
    """The values of one row, ready for the driver; `raw_id` are the bytes of the event's own id."""
    return (
        site_id,
        raw_id,
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
        event.url,
        event.body.decode(),
    )


def alike_rows(
    site_id: int,
    alike: Sequence[Event],
    raw_ids: Sequence[bytearray],
    profile_id: str | None,
    received_at: int,
    shared: SharedIds,
) -> list[EventRow]:
    """`event_row` for events of one UID in one visit, of which there is at least one."""
    leaf, uid, visit = shared[profile_id], shared[alike[0].uid], shared[alike[0].visit_id]
    return [
        (
            site_id, raw_id, leaf, uid, visit, shared[event.page_id], event.category, event.action, event.occurred_at,
            event.tracked_at, received_at, event.seq, event.url, event.body.decode(),
        )
        for event, raw_id in zip(alike, raw_ids, strict=False)
    ]  # fmt: skip


def _insert(_: Dialect) -> Insert:
    return insert(events)


def _insert_unnoted(_: Dialect) -> Insert:
    return insert(events).values(bot=false(), warnings=null())


def insert_events(conn: Connection, rows: Sequence[EventRow], notes: Mapping[int, Notes]) -> None:
    """Insert events; `notes` are those of the rows at some places. Raises `IntegrityError` if an id is stored already.

    To hand two columns over as constants takes a sixth less time, and nearly no group has a note.
    """
    if notes or can_meet(conn):  # (PostgreSQL takes rows without a statement)
        write_rows(conn, _insert, [(*row, *notes.get(place, UNNOTED)) for place, row in enumerate(rows)])
    else:
        write_rows(conn, _insert_unnoted, rows)


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


def in_visit(site: Any, visit: Any) -> list[ColumnElement[bool]]:
    """The conditions that an event is one of a visitor in this visit.

    No index leads from a visit to its events, for it would cost every event; its leaves and its span lead there.
    """
    pair, span = visit_profiles.c, visits.c
    leaves = select(pair.profile_id).where(pair.site_id == site, pair.visit_id == visit)
    mine = (span.site_id == site, span.visit_id == visit)
    return [
        events.c.site_id == site,
        events.c.profile_id.in_(leaves),
        events.c.occurred_at >= select(span.started_at).where(*mine).scalar_subquery(),
        events.c.occurred_at <= select(span.last_event_at).where(*mine).scalar_subquery(),
        events.c.visit_id == visit,
    ]


def fetch_events_of(
    conn: Connection,
    site_id: int,
    leaves: Sequence[str],
    limit: int,
    before: tuple[int, int] | None = None,
    only: Conditions = lambda _: [],
) -> Sequence[RowMapping]:
    """The events of a person, newest first; `before` is the (occurred_at, row_id) of the last one already shown.

    SQLite leaves a leaf at the first event that is too old for the page. PostgreSQL would read all events of all leaves
    and sort them, which takes a tenth of a second for 100,000: it is asked for the newest of each leaf.
    """
    theirs = events.c.profile_id.in_(leaves)
    if conn.dialect.name == "postgresql":
        theirs = events.c.row_id.in_(_newest_of_each(site_id, leaves, limit, before, only))
    query = select(events).where(events.c.site_id == site_id, theirs, *_older(events.c, before), *only(events.c))
    query = query.order_by(events.c.occurred_at.desc(), events.c.row_id.desc()).limit(limit)
    return conn.execute(query).mappings().all()


def _newest_of_each(
    site_id: int, leaves: Sequence[str], limit: int, before: tuple[int, int] | None, only: Conditions
) -> Select[tuple[int]]:
    """The row ids of the `limit` newest events of each leaf."""
    own = events.alias("own")
    mine = (own.c.site_id == profiles.c.site_id, own.c.profile_id == profiles.c.profile_id)
    newest = select(own.c.row_id, own.c.occurred_at).where(*mine, *_older(own.c, before), *only(own.c))
    each = newest.order_by(own.c.occurred_at.desc(), own.c.row_id.desc()).limit(limit).lateral("each")
    these = (profiles.c.site_id == site_id, profiles.c.profile_id.in_(leaves))
    page = select(each.c.row_id).select_from(profiles).join(each, true()).where(*these)
    return page.order_by(each.c.occurred_at.desc(), each.c.row_id.desc()).limit(limit)


def _older(columns: Any, before: tuple[int, int] | None) -> tuple[ColumnElement[bool], ...]:
    """The condition that an event comes after `before` in an order from new to old."""
    if before is None:
        return ()
    at, row_id = before
    # Both engines begin to read at `<=`; at an OR of the two cases they would begin with the newest event.
    return (columns.occurred_at <= at, or_(columns.occurred_at < at, columns.row_id < row_id))


def fetch_events_after(conn: Connection, row_id: int, limit: int, site_id: int | None = None) -> Sequence[RowMapping]:
    """Events in order of arrival, of one site or of all: what `regulars tail` follows."""
    query = select(events).where(events.c.row_id > row_id)
    if site_id is not None:
        query = query.where(events.c.site_id == site_id)
    return conn.execute(query.order_by(events.c.row_id).limit(limit)).mappings().all()


def fetch_last_row_id(conn: Connection) -> int:
    """The row id of the newest event, 0 if there is none."""
    return conn.scalar(select(events.c.row_id).order_by(events.c.row_id.desc()).limit(1)) or 0


def _seen(site: Slot, leaves: Sequence[Slot], at: ColumnElement[int]) -> Select[Any]:
    mine = (events.c.site_id == profiles.c.site_id, events.c.profile_id == profiles.c.profile_id)
    these = (profiles.c.site_id == site, is_one_of(profiles.c.profile_id, leaves))
    return select(select(at).where(*mine).scalar_subquery()).where(*these)


def _first_seen(site: Slot, *leaves: Slot) -> Select[Any]:
    return _seen(site, leaves, func.min(events.c.occurred_at))


def _last_seen(site: Slot, *leaves: Slot) -> Select[Any]:
    return _seen(site, leaves, func.max(events.c.occurred_at))


def fetch_first_seen(conn: Connection, site_id: int, leaves: Sequence[str]) -> int | None:
    """When a person was first seen, ms; None without events. One statement: one index look-up for each leaf."""
    return min((at for (at,) in fetch_by_ids(conn, _first_seen, site_id, leaves) if at is not None), default=None)


def fetch_last_seen(conn: Connection, site_id: int, leaves: Sequence[str]) -> int | None:
    """When a person was last seen, ms; None without events. One statement: one index look-up for each leaf."""
    return max((at for (at,) in fetch_by_ids(conn, _last_seen, site_id, leaves) if at is not None), default=None)
