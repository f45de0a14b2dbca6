"""Reading events back, for the History API: those of a visit, of a person, of the system; and pages, which are folded.

Within a visit the order is that of what happened, elsewhere the newest come first. What bots do and what came without a
UID is in no visit, and in none of these lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, false, func, not_, or_, select

from collector.domain.history import SYSTEM_NAMES, VISIT_STARTED, EventFilter, EventType, StoredEvent, Visit
from collector.domain.page import Page, PageEvent, close_pages, fold_pages
from collector.domain.recognition import Moment
from collector.store.events import fetch_events_of, in_visit
from collector.store.history import is_in_visit, older
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of
from collector.store.schema import SYSTEM_CATEGORIES, events, visit_profiles, visits
from collector.store.walk import walk

Key = tuple[int, int]  # (occurred_at, row_id) of the last item already shown
CHUNK = 1000
EXAMINED = 5000  # rows of a site that one page looks at, at most

_EVENT = (
    events.c.row_id,
    events.c.event_id,
    events.c.category,
    events.c.action,
    events.c.occurred_at,
    events.c.received_at,
    events.c.tracked_at,
    events.c.seq,
    events.c.visit_id,
    events.c.page_id,
    events.c.url,
    events.c.body,
)


class Window(NamedTuple):
    """A stretch on the browser's clock: from a moment on, until another if there is one."""

    since: Moment
    until: Moment | None


class Place(NamedTuple):
    """One visit, a stretch of it, or one device, or both; at least one of them is given."""

    visit_id: str | None = None
    window: Window | None = None
    device_id: str | None = None


class Reached(NamedTuple):
    """Some events, and the key from which the list goes on; None at its end."""

    events: list[StoredEvent]
    key: Key | None


def _event(row: RowMapping | dict[str, Any]) -> StoredEvent:
    return StoredEvent(
        row["row_id"],
        row["event_id"],
        row["category"],
        row["action"],
        row["occurred_at"],
        row["received_at"],
        Moment(row["tracked_at"], row["seq"]),
        row["visit_id"],
        row["page_id"],
        row["url"],
        row["body"],
    )


def conditions_of(columns: Any, wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What `wanted` asks of a row of events."""
    found: list[ColumnElement[bool]] = is_in_visit(columns, wanted.device_id, wanted.agent)
    if wanted.since is not None:
        found.append(columns.occurred_at >= wanted.since)
    if wanted.name is not None:
        found.append(_is_called(columns, wanted.name))
    if wanted.kind is EventType.SYSTEM:
        found.append(_is_one_of(columns, list(SYSTEM_NAMES)))
    if wanted.kind is EventType.BUSINESS:
        found.append(not_(_is_one_of(columns, list(SYSTEM_NAMES))))
    if wanted.category is not None:
        found.append(columns.category == wanted.category)
    if wanted.url is not None and wanted.url.endswith("*"):
        start = wanted.url[:-1]
        found.append(func.substr(columns.url, 1, len(start)) == start)
    elif wanted.url is not None:
        found.append(columns.url == wanted.url)
    return found


def _is_called(columns: Any, name: str) -> ColumnElement[bool]:
    pairs = [pair for pair, called in SYSTEM_NAMES.items() if called == name]
    if pairs:
        return _is_one_of(columns, pairs)
    return false() if name == VISIT_STARTED else columns.category + "/" + columns.action == name


def _is_one_of(columns: Any, pairs: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    by_category: dict[str, list[str]] = {}
    for category, action in pairs:
        by_category.setdefault(category, []).append(action)
    return or_(*(and_(columns.category == name, columns.action.in_(actions)) for name, actions in by_category.items()))


def _in_visit(site_id: int, place: Place) -> list[ColumnElement[bool]]:
    mine = in_visit(site_id, place.visit_id)
    if place.window is not None:
        at, seq = place.window.since
        mine.append(or_(events.c.tracked_at > at, and_(events.c.tracked_at == at, events.c.seq >= seq)))
    if place.window is not None and place.window.until is not None:
        at, seq = place.window.until
        mine.append(or_(events.c.tracked_at < at, and_(events.c.tracked_at == at, events.c.seq < seq)))
    return mine


def fetch_events_in(
    conn: Connection,
    site_id: int,
    place: Place,
    wanted: EventFilter,
    limit: int,
    after: Key | None = None,
) -> list[StoredEvent]:
    """At most `limit` events of a visit, or a stretch of it, in order, later than the one of key `after`."""
    conditions = [*_in_visit(site_id, place), *conditions_of(events.c, wanted)]
    if after is not None:
        at, row_id = after
        conditions += [events.c.occurred_at >= at, or_(events.c.occurred_at > at, events.c.row_id > row_id)]
    query = select(*_EVENT).where(*conditions).order_by(events.c.occurred_at, events.c.row_id).limit(limit)
    return [_event(row) for row in conn.execute(query).mappings()]


def fetch_events_of_person(
    conn: Connection, site_id: int, leaves: Sequence[str], wanted: EventFilter, limit: int, before: Key | None = None
) -> list[StoredEvent]:
    """At most `limit` events of a person, newest first, older than the one of key `before`."""
    if not leaves:
        return []
    rows = fetch_events_of(conn, site_id, leaves, limit, before, lambda columns: conditions_of(columns, wanted))
    return [_event(row) for row in rows]


def fetch_system_events(
    conn: Connection, site_id: int, limit: int, before: Key | None = None, since: int | None = None
) -> Reached:
    """System events of a site, newest first.

    At most `EXAMINED` rows are looked at: where few of them are of visitors, a page has fewer than `limit`.
    """
    rows, key = walk(
        lambda key, count: _fetch_chunk(conn, site_id, count, key, since),
        lambda row: (row["occurred_at"], row["row_id"]),
        _is_system_event_of_visitor,
        limit=limit,
        before=before,
        chunk=CHUNK,
        most=EXAMINED,
    )
    return Reached([_event(row) for row in rows], key)


def _is_system_event_of_visitor(row: RowMapping) -> bool:
    is_in_visit_of_somebody = row["visit_id"] is not None and row["profile_id"] is not None
    return is_in_visit_of_somebody and (row["category"], row["action"]) in SYSTEM_NAMES


def fetch_system_events_in(
    conn: Connection,
    site_id: int,
    place: Place,
    limit: int,
    before: Key | None = None,
    since: int | None = None,
) -> Reached:
    """System events of one visit, of a stretch of it, or of one device; newest first."""
    at = events.c.occurred_at + 0  # these are few, and are sorted
    conditions: list[ColumnElement[bool]]
    if place.visit_id is None and place.device_id is not None:
        keys = _fetch_system_keys(conn, site_id, place.device_id)
        wanted = [key for key in keys if (since is None or key[0] >= since) and (before is None or key < before)]
        row_ids = [row_id for _, row_id in sorted(wanted)[-limit - 1 :]]
        conditions = [events.c.row_id.in_(row_ids)]  # they are of this site; to say so would lead SQLite astray
    else:
        conditions = [*_in_visit(site_id, place), _is_one_of(events.c, list(SYSTEM_NAMES))]
        conditions += is_in_visit(events.c, place.device_id, None)
        if since is not None:
            conditions.append(at >= since)
        if before is not None:
            conditions += older(at, events.c.row_id, before)
    query = select(*_EVENT).where(*conditions).order_by(at.desc(), events.c.row_id.desc()).limit(limit + 1)
    found = [_event(row) for row in conn.execute(query).mappings()]
    page = found[:limit]
    return Reached(page, (page[-1].occurred_at, page[-1].row_id) if len(found) > limit else None)


def _spoken_on(site: Slot, device: Slot) -> Select[Any]:
    pair = visit_profiles.c
    there = select(visits.c.visit_id).where(visits.c.site_id == site, visits.c.device_id == device)
    return select(pair.visit_id, pair.profile_id).where(pair.site_id == site, pair.visit_id.in_(there))


def _keys_of(site: Slot, *leaves: Slot) -> Select[Any]:
    columns = (events.c.occurred_at, events.c.row_id, events.c.category, events.c.action, events.c.visit_id)
    return select(*columns).where(events.c.site_id == site, is_one_of(events.c.profile_id, leaves))


def _fetch_system_keys(conn: Connection, site_id: int, device_id: str) -> list[Key]:
    """The keys of all system events of a device: of the leaves that spoke there, who seldom speak elsewhere."""
    spoken = fetch(conn, _spoken_on, site_id, device_id)
    visit_ids = {visit_id for visit_id, _ in spoken}
    rows = fetch_by_ids(conn, _keys_of, site_id, sorted({leaf for _, leaf in spoken}))
    return [
        (at, row_id) for at, row_id, *name, visit_id in rows if visit_id in visit_ids and tuple(name) in SYSTEM_NAMES
    ]


def _fetch_chunk(
    conn: Connection, site_id: int, limit: int, before: Key | None, since: int | None
) -> Sequence[RowMapping]:
    conditions = [events.c.site_id == site_id, SYSTEM_CATEGORIES]
    if since is not None:
        conditions.append(events.c.occurred_at >= since)
    if before is not None:
        conditions += older(events.c.occurred_at, events.c.row_id, before)
    order = (events.c.occurred_at.desc(), events.c.row_id.desc())
    query = select(*_EVENT, events.c.profile_id).where(*conditions).order_by(*order).limit(limit)
    return conn.execute(query).mappings().all()


def fetch_speaker(conn: Connection, site_id: int, visit_id: str) -> str | None:
    """The UID that spoke last in a visit, None if there is no such visit."""
    order = (events.c.occurred_at.desc(), events.c.row_id.desc())
    query = (
        select(events.c.uid).where(*in_visit(site_id, visit_id), events.c.uid.is_not(None)).order_by(*order).limit(1)
    )
    uid: str | None = conn.scalar(query)
    return uid


def _events_by_id(site: Slot, *ids: Slot) -> Select[Any]:
    return select(*_EVENT).where(events.c.site_id == site, is_one_of(events.c.event_id, ids))


def fetch_events_by_id(conn: Connection, site_id: int, event_ids: Sequence[str]) -> list[StoredEvent]:
    """Those of `event_ids` that are stored, in this order."""
    names = [column.name for column in _EVENT]
    rows = fetch_by_ids(conn, _events_by_id, site_id, event_ids)
    found = {row["event_id"]: _event(row) for row in (dict(zip(names, row, strict=True)) for row in rows)}
    return [found[event_id] for event_id in event_ids if event_id in found]


def fetch_pages(conn: Connection, site_id: int, visit: Visit, *, is_over: bool) -> list[Page]:
    """The pages of a visit in the order in which they were entered; of one that `is_over` all have been left."""
    columns = (events.c.event_id, events.c.page_id, events.c.action, events.c.occurred_at, events.c.tracked_at)
    mine = [*_in_visit(site_id, Place(visit.visit_id)), events.c.page_id.is_not(None)]
    turns = [events.c.category == "page", events.c.action.in_(["view", "exit"])]
    query = select(*columns, events.c.seq, events.c.url, events.c.body).where(*mine, *turns)
    pages = fold_pages(map(_page_event, conn.execute(query)))
    unclosed = [page.page_id for page in pages if page.exited_at is None]
    if not is_over or not unclosed:
        return pages
    last = select(events.c.page_id, func.max(events.c.occurred_at)).where(*mine).group_by(events.c.page_id)
    return close_pages(pages, {row[0]: row[1] for row in conn.execute(last)})


def _page_event(row: Any) -> PageEvent:
    said = orjson.loads(row.body)
    extra = said.get("extra")
    active = extra.get("active_ms") if isinstance(extra, dict) else None
    return PageEvent(
        row.page_id,
        row.event_id,
        row.action == "exit",
        row.occurred_at,
        Moment(row.tracked_at, row.seq),
        row.url,
        said.get("title"),
        said.get("referrer"),
        active if type(active) is int and active >= 0 else None,
    )
