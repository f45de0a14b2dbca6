"""Reading user identifications back, for the History API: system events with whom they are about, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from collector.domain.history import Identification, StoredEvent
from collector.domain.recognition import Moment
from collector.domain.visit import MarkerKind, session_at
from collector.store.history import Before, fetch_session, fetch_sessions_in, older
from collector.store.history_events import Window
from collector.store.history_identities import Narrowed
from collector.store.prepared import Slot, fetch_by_ids, is_one_of
from collector.store.schema import events, user_identifications

CHUNK = 500
EXAMINED = 5000  # rows of a site that one page looks at, at most
KINDS = frozenset({MarkerKind.SIGN_IN, MarkerKind.SIGN_OUT, MarkerKind.USER_INFO})  # those that are system events


def fetch_window(conn: Connection, site_id: int, session_id: str) -> tuple[str, Window] | None:
    """The visit of a session, and where in it the session is; None if there is no such session."""
    found = fetch_session(conn, site_id, session_id)
    return None if found is None else (found[0].visit_id, Window(found[1].since, found[1].until))


def fetch_identified(
    conn: Connection, site_id: int, wanted: Narrowed, limit: int, before: Before | None = None
) -> tuple[list[Identification], Before | None]:
    """System events that name an identity, and the key from which the list goes on, None at its end.

    At most `EXAMINED` rows are looked at: where few of them name somebody, a page has fewer than `limit`.
    """
    kept: list[Row[Any]] = []
    key, examined = before, 0
    following: Before | None = None
    while True:
        rows = _fetch_chunk(conn, site_id, wanted, key)
        for row in rows:
            if len(kept) == limit:
                following = key
                break
            key = (row.occurred_at, row.event_id)
            if row.identity_id is not None and row.kind in KINDS and row.visit_id is not None:
                kept.append(row)
        examined += len(rows)
        if following is not None or len(rows) < CHUNK:
            break
        if examined >= EXAMINED:
            following = key
            break
    found = identify(conn, site_id, fetch_events_by_id(conn, site_id, [row.event_id for row in kept]))
    return _in_session(found, wanted.session_id), following


def _in_session(found: list[Identification], session_id: str | None) -> list[Identification]:
    return [each for each in found if session_id is None or each.session_id == session_id]


def _fetch_chunk(conn: Connection, site_id: int, wanted: Narrowed, before: Before | None) -> Sequence[Row[Any]]:
    table = user_identifications.c
    at: ColumnElement[int] = table.occurred_at
    conditions = [table.site_id == site_id]
    if wanted.visit_id is not None or wanted.device_id is not None:
        at = table.occurred_at + 0  # those of one visit or device are few, and are sorted
    if wanted.visit_id is not None:
        conditions.append(table.visit_id == wanted.visit_id)
    if wanted.device_id is not None:
        conditions.append(table.device_id == wanted.device_id)
    if wanted.identity_id is not None:
        conditions.append(table.identity_id == wanted.identity_id)
    if wanted.since is not None:
        conditions.append(at >= wanted.since)
    if before is not None:
        conditions += older(at, table.event_id, before)
    columns = (table.event_id, table.occurred_at, table.kind, table.identity_id, table.visit_id)
    return conn.execute(select(*columns).where(*conditions).order_by(at.desc(), table.event_id.desc()).limit(CHUNK)).all()


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


def _events(site: Slot, *ids: Slot) -> Select[Any]:
    return select(*_EVENT).where(events.c.site_id == site, is_one_of(events.c.event_id, ids))


def fetch_events_by_id(conn: Connection, site_id: int, event_ids: Sequence[str]) -> list[StoredEvent]:
    """Those of `event_ids` that are stored, in this order."""
    found = {}
    for *plain, tracked_at, seq, visit_id, page_id, url, body in fetch_by_ids(conn, _events, site_id, event_ids):
        event = StoredEvent(*plain, Moment(tracked_at, seq), visit_id, page_id, url, body)
        found[event.event_id] = event
    return [found[event_id] for event_id in event_ids if event_id in found]


def _markers(site: Slot, *ids: Slot) -> Select[Any]:
    table = user_identifications.c
    return select(table.event_id, table.identity_id).where(table.site_id == site, is_one_of(table.event_id, ids))


def identify(conn: Connection, site_id: int, found: Sequence[StoredEvent]) -> list[Identification]:
    """`found` with whom each is about: whom it names, else whose session it is in."""
    marked = [event.event_id for event in found if event.category == "user"]
    names = dict(fetch_by_ids(conn, _markers, site_id, marked))
    sessions = fetch_sessions_in(conn, site_id, [event.visit_id for event in found])
    told = []
    for event in found:
        session = session_at(sessions.get(event.visit_id or "", ()), event.moment)
        identity_id = names.get(event.event_id) or (session.identity_id if session else None)
        told.append(Identification(event, identity_id, session.session_id if session else None))
    return told
