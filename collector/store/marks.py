"""The events that say who is in a visit, and what they come to: its state, its sessions and its contacts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update, delete, insert, select, update

from collector.domain.visit import Contact, Folded, Marker, MarkerKind, Session, State, fold_visit
from collector.store.dialect import greater, insert_on_conflict, insert_or_ignore, lesser
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, run, run_many, write_rows
from collector.store.schema import contacts, id_bytes, identities, sessions, user_identifications, visits


@dataclass(frozen=True, slots=True)
class UserIdentification:
    """A marker with where it happened. `cid` is set only where R4 accepted it."""

    marker: Marker
    visit_id: str | None
    device_id: str | None
    uid: str | None
    cid: str | None


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


def upsert_identities(conn: Connection, site_id: int, named: Mapping[str, tuple[int, int]], now: int) -> None:
    """Remember identities that sign-ins or hints named: by id, when the first and the last of them occurred."""
    write_rows(conn, _insert_identity, [(site_id, identity_id, *span, now) for identity_id, span in named.items()])


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


def _marked(site: Slot, *visit_ids: Slot) -> Select[Any]:
    table = user_identifications
    return select(table.c.visit_id, table.c.event_id).where(
        table.c.site_id == site, is_one_of(table.c.visit_id, visit_ids)
    )


def fetch_marked(conn: Connection, site_id: int, visit_ids: Collection[str]) -> list[tuple[str, str]]:
    """The markers of visits, as (visit, event)."""
    return [(row[0], row[1]) for row in fetch_by_ids(conn, _marked, site_id, list(visit_ids))]


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


def _contact_row(site_id: int, visit_id: str, device: bytearray | None, contact: Contact) -> tuple[object, ...]:
    session_id = id_bytes(contact.session_id) if contact.session_id else None
    ids = (id_bytes(contact.contact_id), id_bytes(visit_id), device, session_id, id_bytes(contact.profile_id))
    return (site_id, *ids, contact.identity_id, contact.occurred_at)
