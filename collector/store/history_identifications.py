"""Reading user identifications back, for the History API: system events with whom they are about, newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from collector.domain.history import Identification, StoredEvent, Visit, VisitFilter
from collector.domain.visit import MarkerKind, session_at
from collector.store.history import (
    Before,
    fetch_devices,
    fetch_session,
    fetch_sessions_in,
    fetch_visit,
    fetch_visits,
    older,
)
from collector.store.history_events import (
    Place,
    Reached,
    Window,
    fetch_events_by_id,
    fetch_system_events,
    fetch_system_events_in,
)
from collector.store.history_identities import Narrowed, narrowing
from collector.store.prepared import Slot, fetch_by_ids, is_one_of
from collector.store.schema import user_identifications
from collector.store.walk import walk

CHUNK = 500
LATE_MS = 3_600_000
MAX = 2**62
EXAMINED = 5000  # rows of a site that one page looks at, at most
NEWEST = (MAX, MAX, MAX, "ffffffff-ffff-ffff-ffff-ffffffffffff")  # before all that can be listed
KINDS = frozenset({MarkerKind.SIGN_IN, MarkerKind.SIGN_OUT, MarkerKind.USER_INFO})  # those that are system events


def fetch_system_page(
    conn: Connection, site_id: int, wanted: Narrowed, limit: int, start: tuple[int, int, int, str] | None = None
) -> tuple[list[Identification | Visit], tuple[int, int, int, str] | None]:
    """System events and beginnings of visits, newest first, and the keys from which the two go on, None at their end.

    Both are lists by themselves, of which the head that is newer comes next.
    """
    place = _place_of(conn, site_id, wanted)
    if place is None:
        return [], None
    key, visit_key = (start[:2], start[2:]) if start else (NEWEST[:2], NEWEST[2:])
    if place.visit_id is None and place.device_id is None:
        reached = fetch_system_events(conn, site_id, limit, key, wanted.since)
    else:
        reached = fetch_system_events_in(conn, site_id, place, limit, key, wanted.since)
    begun = _beginnings(conn, site_id, wanted, place, limit + 1, visit_key)
    shown = _merge(reached, begun, limit)
    told = iter(identify(conn, site_id, [item for item in shown if isinstance(item, StoredEvent)]))
    items = [item if isinstance(item, Visit) else next(told) for item in shown]
    for item in shown:
        if isinstance(item, Visit):
            visit_key = (item.arrived_at, item.visit_id)
        else:
            key = (item.occurred_at, item.row_id)
    if len(shown) == len(reached.events) + len(begun) and reached.key is None:
        return items, None
    if reached.key is not None and (
        not reached.events or key == (reached.events[-1].occurred_at, reached.events[-1].row_id)
    ):
        key = reached.key
    return items, (*key, *visit_key)


def _place_of(conn: Connection, site_id: int, wanted: Narrowed) -> Place | None:
    """Where to look; None where nothing can be."""
    if wanted.session_id is None:
        return Place(wanted.visit_id, None, wanted.device_id)
    found = fetch_session(conn, site_id, wanted.session_id)
    if found is None or wanted.visit_id not in (None, found[0].visit_id):
        return None
    return Place(found[0].visit_id, Window(found[1].since, found[1].until), wanted.device_id)


def _beginnings(
    conn: Connection, site_id: int, wanted: Narrowed, place: Place, limit: int, before: tuple[int, str]
) -> list[Visit]:
    """The visits that began, the last to arrive first."""
    if place.window is not None:
        return []
    if place.visit_id is None:
        return fetch_visits(conn, site_id, VisitFilter(wanted.since, None, place.device_id), limit, before)
    visit = fetch_visit(conn, site_id, place.visit_id)
    is_meant = (
        visit is not None
        and place.device_id in (None, visit.device_id)
        and (wanted.since is None or visit.started_at >= wanted.since)
        and (visit.arrived_at, visit.visit_id) < before
    )
    return [visit] if visit is not None and is_meant else []


def _merge(reached: Reached, begun: list[Visit], limit: int) -> list[StoredEvent | Visit]:
    """The newest of both lists. Where events end because enough were looked at, beginnings before them wait."""
    shown: list[StoredEvent | Visit] = []
    events_left, visits_left = deque(reached.events), deque(begun)
    while len(shown) < limit and (events_left or visits_left):
        if not visits_left or (events_left and events_left[0].occurred_at >= _listed_at(visits_left[0])):
            shown.append(events_left.popleft())
        elif events_left or reached.key is None or _listed_at(visits_left[0]) > reached.key[0]:
            shown.append(visits_left.popleft())
        else:
            break
    return shown


def _listed_at(visit: Visit) -> int:
    """When a visit began; when it arrived, where that was much later, because that is the order of visits."""
    return visit.started_at if visit.arrived_at - visit.started_at < LATE_MS else visit.arrived_at


def fetch_identified(
    conn: Connection, site_id: int, wanted: Narrowed, limit: int, before: Before | None = None
) -> tuple[list[Identification], Before | None]:
    """System events that name an identity, and the key from which the list goes on, None at its end.

    At most `EXAMINED` rows are looked at: where few of them name somebody, a page has fewer than `limit`.
    """
    place = _place_of(conn, site_id, wanted)
    if place is None:
        return [], None
    wanted = wanted._replace(visit_id=place.visit_id)
    kept, following = walk(
        lambda key, count: _fetch_chunk(conn, site_id, wanted, count, key),
        lambda row: (row.occurred_at, row.event_id),
        lambda row: row.identity_id is not None and row.kind in KINDS and row.visit_id is not None,
        limit=limit,
        before=before,
        chunk=CHUNK,
        most=EXAMINED,
    )
    found = identify(conn, site_id, fetch_events_by_id(conn, site_id, [row.event_id for row in kept]))
    return _in_session(found, wanted.session_id), following


def _in_session(found: list[Identification], session_id: str | None) -> list[Identification]:
    return [each for each in found if session_id is None or each.session_id == session_id]


def _fetch_chunk(conn: Connection, site_id: int, wanted: Narrowed, limit: int, before: Before | None) -> Sequence[Any]:
    table = user_identifications.c
    at: ColumnElement[int] = table.occurred_at
    if wanted.visit_id is not None or wanted.device_id is not None:
        at = table.occurred_at + 0  # those of one visit or device are few, and are sorted
    conditions = narrowing(table, site_id, wanted, at)
    if before is not None:
        conditions += older(at, table.event_id, before)
    columns = (table.event_id, table.occurred_at, table.kind, table.identity_id, table.visit_id)
    return conn.execute(
        select(*columns).where(*conditions).order_by(at.desc(), table.event_id.desc()).limit(limit)
    ).all()


def _markers(site: Slot, *ids: Slot) -> Select[Any]:
    table = user_identifications.c
    # The kind is here because SQLite would read an index that holds all that is asked for from end to end.
    columns = (table.event_id, table.identity_id, table.kind)
    return select(*columns).where(table.site_id == site, is_one_of(table.event_id, ids))


def identify(conn: Connection, site_id: int, found: Sequence[StoredEvent]) -> list[Identification]:
    """`found` with whom each is about: whom it names, else whose session it is in."""
    marked = [event.event_id for event in found if event.category == "user"]
    names = {row[0]: row[1] for row in fetch_by_ids(conn, _markers, site_id, marked)}
    visit_ids = [event.visit_id for event in found]
    sessions, devices = fetch_sessions_in(conn, site_id, visit_ids), fetch_devices(conn, site_id, visit_ids)
    told = []
    for event in found:
        session = session_at(sessions.get(event.visit_id or "", ()), event.moment)
        identity_id = names.get(event.event_id) or (session.identity_id if session else None)
        told.append(
            Identification(event, devices.get(event.visit_id), identity_id, session.session_id if session else None)
        )
    return told
