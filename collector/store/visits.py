"""Visits with their sessions and contacts, and the events that move a visit from state to state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Connection,
    Delete,
    Dialect,
    Insert,
    Select,
    Update,
    delete,
    insert,
    or_,
    select,
    update,
)

from collector.domain.recognition import Moment
from collector.domain.visit import Contact, Folded, Marker, MarkerKind, Session, State, fold_visit
from collector.store.dialect import greater, insert_on_conflict, insert_or_ignore, lesser
from collector.store.events import in_visit
from collector.store.prepared import Slot, fetch, run, run_many, write_rows
from collector.store.schema import (
    contacts,
    events,
    id_bytes,
    identities,
    profiles,
    sessions,
    user_agents,
    user_identifications,
    visit_profiles,
    visits,
)


class VisitSpan(Struct, gc=False):
    """What the events of one group say about one visit: when they occurred and when the first of them came, ms.

    `since_at` is when the first of them was tracked, on the browser's clock. `user_agent` is "" where it is unknown, or
    does not matter because the visit is stored already.
    """

    visit_id: str
    device_id: str | None
    started_at: int
    last_event_at: int
    since_at: int
    arrived_at: int
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class UserIdentification:
    """A marker with where it happened. `cid` is set only where R4 accepted it."""

    marker: Marker
    visit_id: str | None
    device_id: str | None
    uid: str | None
    cid: str | None


@lru_cache(maxsize=4096)
def user_agent_id(text: str) -> bytes:
    """The id of a user agent: the same wherever and whenever it is met."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _upsert_visits(dialect: Dialect) -> Insert:
    statement = insert_on_conflict(dialect, visits)
    new = statement.excluded
    is_wider = or_(
        new.last_event_at > visits.c.last_event_at,
        new.started_at < visits.c.started_at,
        new.since_at < visits.c.since_at,
    )
    return statement.on_conflict_do_update(
        index_elements=[visits.c.site_id, visits.c.visit_id],
        where=is_wider,
        set_={
            "started_at": lesser(dialect, visits.c.started_at, new.started_at),
            "last_event_at": greater(dialect, visits.c.last_event_at, new.last_event_at),
            "since_at": lesser(dialect, visits.c.since_at, new.since_at),
        },
    )


def upsert_visits(conn: Connection, site_id: int, spans: Sequence[VisitSpan]) -> None:
    """Widen visits to cover `spans`; late and repeated events commute."""
    agents = {span.user_agent for span in spans} - {""}
    if agents:
        write_rows(conn, _insert_user_agent, [(site_id, user_agent_id(text), text) for text in agents])
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
                span.since_at,
                span.arrived_at,
                user_agent_id(span.user_agent) if span.user_agent else None,
                State.ANONYMOUS.value,  # (text itself: the driver takes longer for what is only derived from it)
                None,
            )
            for span in spans
        ],
    )


def _prolong(_site: Slot, _visit: Slot, _end: Slot) -> Update:
    mine = (visits.c.site_id == _site, visits.c.visit_id == _visit, visits.c.last_event_at < _end)
    return update(visits).where(*mine).values(last_event_at=_end)


def prolong_visits(conn: Connection, site_id: int, spans: Sequence[VisitSpan]) -> None:
    """Widen visits that are stored, and begin no later than `spans`, at their end: no index has to follow."""
    run_many(conn, _prolong, [(site_id, span.visit_id, span.last_event_at) for span in spans])


def _insert_user_agent(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, user_agents)


def _insert_visit_profile(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, visit_profiles)


def insert_visit_profiles(conn: Connection, site_id: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Note which leaves spoke in which visits: (visit, leaf)."""
    rows = [(site_id, id_bytes(leaf), id_bytes(visit_id)) for visit_id, leaf in pairs]
    write_rows(conn, _insert_visit_profile, rows)


def _insert_user_identification(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, user_identifications)


def insert_user_identification(conn: Connection, site_id: int, row: UserIdentification) -> None:
    """Keep an event that says who is there, or that they left."""
    insert_user_identifications(conn, site_id, [row])


def insert_user_identifications(conn: Connection, site_id: int, rows: Sequence[UserIdentification]) -> None:
    """Keep several of them."""
    write_rows(conn, _insert_user_identification, [_identification_row(site_id, row) for row in rows])


def _identification_row(site_id: int, row: UserIdentification) -> tuple[object, ...]:
    marker = row.marker
    ids = [id_bytes(text) if text else None for text in (row.visit_id, row.device_id, row.uid)]
    says = (id_bytes(marker.profile_id), marker.identity_id, row.cid)
    times = (marker.at, marker.seq, marker.occurred_at)
    event_id = id_bytes(marker.event_id)
    return (site_id, event_id, marker.kind, *ids, *says, *times)


def save_assumptions(conn: Connection, site_id: int, markers: Sequence[Marker]) -> None:
    """`fold_again` for visits of which nothing is known but an assumption."""
    for marker in markers:
        assert marker.kind is MarkerKind.ASSUMPTION
    rows = [(State.WM_RECOGNIZED, marker.identity_id, site_id, marker.event_id) for marker in markers]
    run_many(conn, _set_state, rows)


def _markers_to_read(site: Slot, visit: Slot) -> Select[Any]:
    table = user_identifications
    columns = (table.c.at, table.c.seq, table.c.occurred_at, table.c.profile_id, table.c.identity_id)
    same = (visits.c.site_id == table.c.site_id) & (visits.c.visit_id == table.c.visit_id)
    query = select(visits.c.device_id, visits.c.since_at, table.c.event_id, table.c.kind, *columns).join(visits, same)
    return query.where(table.c.site_id == site, table.c.visit_id == visit)


def _markers(site: Slot, visit: Slot) -> Select[Any]:
    return _markers_to_read(site, visit).with_for_update(of=visits)


def _insert_identity(dialect: Dialect) -> Insert:
    statement = insert_on_conflict(dialect, identities)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[identities.c.site_id, identities.c.identity_id],
        set_={
            "first_at": lesser(dialect, identities.c.first_at, new.first_at),
            "last_at": greater(dialect, identities.c.last_at, new.last_at),
        },
    )


def upsert_identity(conn: Connection, site_id: int, identity_id: str, occurred_at: int, now: int) -> None:
    """Remember an identity that a sign-in or a hint named."""
    write_rows(conn, _insert_identity, [(site_id, identity_id, occurred_at, occurred_at, now)])


def _delete_marker(site: Slot, event: Slot) -> Delete:
    table = user_identifications
    return delete(table).where(table.c.site_id == site, table.c.event_id == event)


def delete_marker(conn: Connection, site_id: int, event_id: str) -> None:
    """Forget a marker that turned out to be none."""
    run(conn, _delete_marker, site_id, event_id)


def _delete_sessions(site: Slot, visit: Slot) -> Delete:
    return delete(sessions).where(sessions.c.site_id == site, sessions.c.visit_id == visit)


def _delete_contacts(site: Slot, visit: Slot) -> Delete:
    return delete(contacts).where(contacts.c.site_id == site, contacts.c.visit_id == visit)


def _set_state(state: Slot, identity: Slot, site: Slot, visit: Slot) -> Update:
    mine = (visits.c.site_id == site, visits.c.visit_id == visit)
    return update(visits).where(*mine).values(state=state, identity_id=identity)


def _insert_sessions(_: Dialect) -> Insert:
    return insert(sessions)


def _insert_contacts(_: Dialect) -> Insert:
    return insert(contacts)


def _as_markers(rows: Sequence[Any]) -> list[Marker]:
    return [Marker(event_id, MarkerKind(kind), *rest) for _, _, event_id, kind, *rest in rows]


def fetch_markers(conn: Connection, site_id: int, visit_id: str) -> list[Marker]:
    """The events that moved the state of a visit."""
    return _as_markers(fetch(conn, _markers_to_read, site_id, visit_id))


def fold_again(conn: Connection, site_id: int, visit_id: str, *, is_marked: bool = False) -> Folded:
    """Fold a visit after its start or its markers have changed (`is_marked`: by one more); what it comes to.

    Nobody else folds it before this transaction ends.
    """
    rows = fetch(conn, _markers, site_id, visit_id)
    markers = _as_markers(rows)
    folded = fold_visit(markers, rows[0][1] if rows else 0)
    if not is_marked or len(markers) > 1:  # of the first one there is nothing to be replaced
        run(conn, _delete_sessions, site_id, visit_id)
        run(conn, _delete_contacts, site_id, visit_id)
    run(conn, _set_state, folded.state, folded.identity_id, site_id, visit_id)
    device = id_bytes(rows[0][0]) if rows and rows[0][0] else None
    write_rows(conn, _insert_sessions, [_session_row(site_id, visit_id, session) for session in folded.sessions])
    contacted = [_contact_row(site_id, visit_id, device, contact) for contact in folded.contacts]
    write_rows(conn, _insert_contacts, contacted)
    return folded


def _session_row(site_id: int, visit_id: str, session: Session) -> tuple[object, ...]:
    return (
        site_id,
        id_bytes(session.session_id),
        id_bytes(visit_id),
        id_bytes(session.profile_id),
        session.identity_id,
        session.started_at,
        session.ended_at,
        *session.since,
        *(session.until or (None, None)),
    )


def _contact_row(site_id: int, visit_id: str, device: bytes | None, contact: Contact) -> tuple[object, ...]:
    session_id = id_bytes(contact.session_id) if contact.session_id else None
    ids = (id_bytes(contact.contact_id), id_bytes(visit_id), device, session_id, id_bytes(contact.profile_id))
    return (site_id, *ids, contact.identity_id, contact.occurred_at)


def _beginning(site: Slot, visit: Slot) -> Select[Any]:
    columns = (events.c.profile_id, events.c.tracked_at, events.c.seq)
    return select(*columns).where(*in_visit(site, visit)).order_by(events.c.occurred_at, events.c.seq).limit(1)


def fetch_beginning(conn: Connection, site_id: int, visit_id: str) -> tuple[str, Moment] | None:
    """Who spoke first in a visit (the leaf), and when on the browser's clock; None without an event of a visitor."""
    rows = fetch(conn, _beginning, site_id, visit_id)
    return (rows[0][0], Moment(*rows[0][1:])) if rows else None


def _visits_after(site: Slot, root: Slot, after: Slot) -> Select[Any]:
    spoken, people = visit_profiles.c, profiles.c
    of_site = select(people.profile_id).where(people.site_id == site)
    leaves = of_site.where(people.profile_id == root).union_all(of_site.where(people.merged_into == root))
    # A subquery, for SQLite would rather begin with all visits of the site that began later.
    mine = (visits.c.site_id == spoken.site_id, visits.c.visit_id == spoken.visit_id)
    started_at = select(visits.c.started_at).where(*mine).scalar_subquery()
    return select(spoken.visit_id).where(spoken.site_id == site, spoken.profile_id.in_(leaves), started_at > after)


def fetch_visits_after(conn: Connection, site_id: int, root: str, after: int) -> set[str]:
    """The visits in which this person spoke and that began after `after` (ms)."""
    return {visit_id for (visit_id,) in fetch(conn, _visits_after, site_id, root, after)}


def _held(site: Slot, visit: Slot) -> Select[Any]:
    mine = (visits.c.site_id == site, visits.c.visit_id == visit)
    return select(visits.c.device_id, visits.c.started_at).where(*mine).with_for_update()


def hold_visit(conn: Connection, site_id: int, visit_id: str) -> tuple[str | None, int] | None:
    """(device, start) of a visit, which nobody else folds before this transaction ends; None if there is none."""
    rows = fetch(conn, _held, site_id, visit_id)
    return (rows[0][0], rows[0][1]) if rows else None


def fetch_identity_of(conn: Connection, site_id: int, visit_id: str) -> str | None:
    """Whom the state of a visit is about, None for nobody."""
    mine = (visits.c.site_id == site_id, visits.c.visit_id == visit_id)
    identity_id: str | None = conn.scalar(select(visits.c.identity_id).where(*mine))
    return identity_id


def _near(site: Slot, leaf: Slot, since: Slot, until: Slot) -> Select[Any]:
    spoken = visit_profiles.c
    pairs = (spoken.site_id == visits.c.site_id, spoken.visit_id == visits.c.visit_id)
    mine = (spoken.site_id == site, spoken.profile_id == leaf)
    reaching = (visits.c.last_event_at >= since, visits.c.started_at <= until)
    columns = (visits.c.visit_id, visits.c.started_at, visits.c.last_event_at)
    return select(*columns).join(visit_profiles, *[pairs[0] & pairs[1]]).where(*mine, *reaching)


def fetch_visits_near(conn: Connection, site_id: int, leaf: str, since: int, until: int) -> list[tuple[str, int, int]]:
    """The visits in which a leaf spoke that touch a stretch of time (ms): (visit, start, last event)."""
    return [(row[0], row[1], row[2]) for row in fetch(conn, _near, site_id, leaf, since, until)]
