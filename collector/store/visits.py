"""Visits and sessions, and the events that move a visit from state to state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Dialect, Insert, delete, func, insert, select, update

from collector.domain.visit import Marker, MarkerKind, Session, State
from collector.store.dialect import insert_on_conflict, insert_or_ignore, write_rows
from collector.store.schema import known_id_bytes, sessions, user_identifications, visits


@dataclass(frozen=True, slots=True)
class VisitSpan:
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
    least, most = (func.least, func.greatest) if dialect.name == "postgresql" else (func.min, func.max)
    return statement.on_conflict_do_update(
        index_elements=[visits.c.site_id, visits.c.visit_id],
        set_={
            "started_at": least(visits.c.started_at, statement.excluded.started_at),
            "last_event_at": most(visits.c.last_event_at, statement.excluded.last_event_at),
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
                known_id_bytes(span.visit_id),
                known_id_bytes(span.device_id) if span.device_id else None,
                span.started_at,
                span.last_event_at,
                State.ANONYMOUS,
            )
            for span in spans
        ],
    )


def insert_user_identification(conn: Connection, site_id: int, row: UserIdentification) -> None:
    """Keep an event that says who is there, or that they left."""
    marker = row.marker
    conn.execute(
        insert_or_ignore(conn, user_identifications),
        {
            "site_id": site_id,
            "event_id": marker.event_id,
            "kind": marker.kind,
            "visit_id": row.visit_id,
            "device_id": row.device_id,
            "uid": row.uid,
            "profile_id": marker.profile_id,
            "identity_id": marker.identity_id,
            "cid": row.cid,
            "at": marker.at,
            "seq": marker.seq,
            "occurred_at": marker.occurred_at,
        },
    )


def fetch_markers(conn: Connection, site_id: int, visit_id: str) -> list[Marker]:
    """The events that moved the state of a visit."""
    table = user_identifications
    columns = (table.c.at, table.c.seq, table.c.occurred_at, table.c.profile_id, table.c.identity_id)
    rows = conn.execute(
        select(table.c.event_id, table.c.kind, *columns).where(table.c.site_id == site_id, table.c.visit_id == visit_id)
    )
    return [Marker(event_id, MarkerKind(kind), *rest) for event_id, kind, *rest in rows]


def save_fold(conn: Connection, site_id: int, visit_id: str, state: State, folded: Sequence[Session]) -> None:
    """Replace the state and the sessions of a visit by what its markers fold to."""
    conn.execute(delete(sessions).where(sessions.c.site_id == site_id, sessions.c.visit_id == visit_id))
    conn.execute(update(visits).where(visits.c.site_id == site_id, visits.c.visit_id == visit_id).values(state=state))
    if folded:
        conn.execute(
            insert(sessions),
            [
                {
                    "site_id": site_id,
                    "session_id": session.session_id,
                    "visit_id": visit_id,
                    "profile_id": session.profile_id,
                    "identity_id": session.identity_id,
                    "started_at": session.started_at,
                    "ended_at": session.ended_at,
                }
                for session in folded
            ],
        )


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
