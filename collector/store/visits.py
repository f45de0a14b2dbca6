"""Visits and sessions, and the events that move a visit from state to state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update, delete, insert, or_, select, update

from collector.domain.visit import Marker, MarkerKind, Session, State
from collector.store.dialect import greater, insert_on_conflict, insert_or_ignore, lesser
from collector.store.prepared import Slot, fetch, run, write_rows
from collector.store.schema import id_bytes, sessions, user_identifications, visits


class VisitSpan(Struct, frozen=True, gc=False):
    """What the events of one group say about one visit: when they occurred, ms."""

    visit_id: str
    device_id: str | None
    started_at: int
    last_event_at: int


@dataclass(frozen=True, slots=True)
class UserIdentification:
    """A marker with where it happened. `cid` is set only where R4 accepted it."""

    marker: Marker
    visit_id: str | None
    device_id: str | None
    uid: str | None
    cid: str | None


def _upsert_visits(dialect: Dialect) -> Insert:
    statement = insert_on_conflict(dialect, visits)
    new = statement.excluded
    is_wider = or_(new.last_event_at > visits.c.last_event_at, new.started_at < visits.c.started_at)
    return statement.on_conflict_do_update(
        index_elements=[visits.c.site_id, visits.c.visit_id],
        where=is_wider,
        set_={
            "started_at": lesser(dialect, visits.c.started_at, new.started_at),
            "last_event_at": greater(dialect, visits.c.last_event_at, new.last_event_at),
        },
    )


def upsert_visits(conn: Connection, site_id: int, spans: Sequence[VisitSpan]) -> None:
    """Widen visits to cover `spans`; late and repeated events commute."""
    write_rows(
        conn,
        _upsert_visits,
        [
            (
                site_id,
                id_bytes(span.visit_id),
                id_bytes(span.device_id) if span.device_id else None,
                span.started_at,
                span.last_event_at,
                State.ANONYMOUS,
            )
            for span in spans
        ],
    )


def _insert_user_identification(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, user_identifications)


def insert_user_identification(conn: Connection, site_id: int, row: UserIdentification) -> None:
    """Keep an event that says who is there, or that they left."""
    marker = row.marker
    ids = [id_bytes(text) if text else None for text in (row.visit_id, row.device_id, row.uid)]
    says = (id_bytes(marker.profile_id), marker.identity_id, row.cid)
    times = (marker.at, marker.seq, marker.occurred_at)
    event_id = id_bytes(marker.event_id)
    write_rows(conn, _insert_user_identification, [(site_id, event_id, marker.kind, *ids, *says, *times)])


def _markers(site: Slot, visit: Slot) -> Select[Any]:
    table = user_identifications
    columns = (table.c.at, table.c.seq, table.c.occurred_at, table.c.profile_id, table.c.identity_id)
    return select(table.c.event_id, table.c.kind, *columns).where(table.c.site_id == site, table.c.visit_id == visit)


def fetch_markers(conn: Connection, site_id: int, visit_id: str) -> list[Marker]:
    """The events that moved the state of a visit."""
    rows = fetch(conn, _markers, site_id, visit_id)
    return [Marker(event_id, MarkerKind(kind), *rest) for event_id, kind, *rest in rows]


def _delete_sessions(site: Slot, visit: Slot) -> Delete:
    return delete(sessions).where(sessions.c.site_id == site, sessions.c.visit_id == visit)


def _set_state(state: Slot, site: Slot, visit: Slot) -> Update:
    return update(visits).where(visits.c.site_id == site, visits.c.visit_id == visit).values(state=state)


def _insert_sessions(_: Dialect) -> Insert:
    return insert(sessions)


def save_fold(conn: Connection, site_id: int, visit_id: str, state: State, folded: Sequence[Session]) -> None:
    """Replace the state and the sessions of a visit by what its markers fold to."""
    run(conn, _delete_sessions, site_id, visit_id)
    run(conn, _set_state, state, site_id, visit_id)
    rows = [
        (
            site_id,
            id_bytes(session.session_id),
            id_bytes(visit_id),
            id_bytes(session.profile_id),
            session.identity_id,
            session.started_at,
            session.ended_at,
        )
        for session in folded
    ]
    write_rows(conn, _insert_sessions, rows)


def fetch_visit(conn: Connection, site_id: int, visit_id: str) -> tuple[State, list[Session]] | None:
    """The state of a visit and its sessions in order, None if there is no such visit."""
    state = conn.scalar(select(visits.c.state).where(visits.c.site_id == site_id, visits.c.visit_id == visit_id))
    if state is None:
        return None
    rows = conn.execute(
        select(
            sessions.c.session_id,
            sessions.c.identity_id,
            sessions.c.profile_id,
            sessions.c.started_at,
            sessions.c.ended_at,
        )
        .where(sessions.c.site_id == site_id, sessions.c.visit_id == visit_id)
        .order_by(sessions.c.started_at, sessions.c.session_id)
    )
    return State(state), [Session(*row) for row in rows]
