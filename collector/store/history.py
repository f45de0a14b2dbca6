"""Reading visits and their sessions back, for the History API: lists in pages by keyset, each served by an index.

Visits are listed by arrival, which never changes: their start may move back while somebody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, or_, select, union

from collector.domain.history import AHEAD_MS, Agent, NextVisit, Visit, VisitFilter, Whom
from collector.domain.recognition import Moment
from collector.domain.visit import SILENCE_MS, Session, State
from collector.store.events import in_visit
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of
from collector.store.schema import (
    contacts,
    events,
    sessions,
    user_agents,
    user_identifications,
    visit_profiles,
    visits,
)

Before = tuple[int, str]  # the key of the last item already shown

_VISIT = (
    visits.c.visit_id,
    visits.c.device_id,
    visits.c.started_at,
    visits.c.last_event_at,
    visits.c.arrived_at,
    visits.c.user_agent_id,
    visits.c.state,
    visits.c.identity_id,
)


def _visit(row: Sequence[Any]) -> Visit:
    visit_id, device_id, started_at, last_event_at, arrived_at, user_agent_id, state, identity_id = row
    return Visit(visit_id, device_id, started_at, last_event_at, arrived_at, user_agent_id, State(state), identity_id)


def fetch_visits(
    conn: Connection,
    site_id: int,
    wanted: VisitFilter,
    limit: int,
    before: Before | None = None,
    of: Whom | None = None,
) -> list[Visit]:
    """At most `limit` visits, the last to arrive first; `before` is the (arrived_at, visit_id) of the last one shown.

    `of` leaves those in which a person spoke or was named.
    """
    arrived_at: ColumnElement[int] = visits.c.arrived_at
    conditions = [visits.c.site_id == site_id]
    if of is not None or wanted.device_id is not None:
        # These are few, and are sorted. By the bare column an engine might read the whole site in order instead.
        arrived_at = visits.c.arrived_at + 0
    if of is not None:
        conditions.append(visits.c.visit_id.in_(_visits_of(site_id, of)))
    if wanted.device_id is not None:
        conditions.append(visits.c.device_id == wanted.device_id)
    if wanted.state is not None:
        conditions.append(visits.c.state == wanted.state)
    if wanted.since is not None:
        conditions += [visits.c.started_at >= wanted.since, arrived_at >= wanted.since - AHEAD_MS]
    if wanted.agent is not None:
        conditions.append(_has_agent(wanted.agent))
    if before is not None:
        conditions += older(arrived_at, visits.c.visit_id, before)
    query = select(*_VISIT).where(*conditions).order_by(arrived_at.desc(), visits.c.visit_id.desc()).limit(limit)
    return [follow(conn, site_id, _visit(row)) for row in conn.execute(query)]


def older(at: ColumnElement[int], key: ColumnElement[Any], before: tuple[int, Any]) -> list[ColumnElement[bool]]:
    """The condition that an item comes after `before` in an order from new to old."""
    # Both engines begin to read at `<=`; at an OR of the two cases they would begin with the newest item.
    return [at <= before[0], or_(at < before[0], key < before[1])]


def _visits_of(site_id: int, of: Whom) -> Any:
    named = [
        select(table.c.visit_id).where(table.c.site_id == site_id, table.c.identity_id == of.identity_id)
        for table in (contacts, user_identifications)
    ]
    spoken = visit_profiles.c
    mine = select(spoken.visit_id).where(spoken.site_id == site_id, spoken.profile_id.in_(of.leaves))
    return union(mine, *named)  # a NULL among them is no visit; to leave it out SQLite would read all that have one


def _has_agent(agent: Agent) -> ColumnElement[bool]:
    if agent.agent_id is not None:
        return visits.c.user_agent_id == agent.agent_id
    mine = (user_agents.c.site_id == visits.c.site_id, user_agents.c.user_agent_id == visits.c.user_agent_id)
    return (
        select(user_agents.c.text)
        .where(*mine, user_agents.c.text.icontains(agent.text or "", autoescape=True))
        .exists()
    )


def is_in_visit(columns: Any, device_id: str | None, agent: Agent | None) -> list[ColumnElement[bool]]:
    """The condition that the visit of a row is one of this device and user agent."""
    if device_id is None and agent is None:
        return []
    mine = [visits.c.site_id == columns.site_id, visits.c.visit_id == columns.visit_id]
    if device_id is not None:
        mine.append(visits.c.device_id == device_id)
    if agent is not None:
        mine.append(_has_agent(agent))
    return [select(visits.c.visit_id).where(*mine).exists()]


def fetch_visit(conn: Connection, site_id: int, visit_id: str) -> Visit | None:
    """One visit, None if there is no such visit."""
    return fetch_visits_by_id(conn, site_id, [visit_id]).get(visit_id)


def _visits_by_id(site: Slot, *ids: Slot) -> Select[Any]:
    return select(*_VISIT).where(visits.c.site_id == site, is_one_of(visits.c.visit_id, ids))


def fetch_visits_by_id(conn: Connection, site_id: int, visit_ids: Sequence[str]) -> dict[str, Visit]:
    """Those of `visit_ids` that are stored, by id."""
    rows = fetch_by_ids(conn, _visits_by_id, site_id, sorted(set(visit_ids)))
    return {row[0]: follow(conn, site_id, _visit(row)) for row in rows}


def _devices(site: Slot, *ids: Slot) -> Select[Any]:
    return select(visits.c.visit_id, visits.c.device_id).where(
        visits.c.site_id == site, is_one_of(visits.c.visit_id, ids)
    )


def fetch_devices(conn: Connection, site_id: int, visit_ids: Sequence[str | None]) -> dict[str | None, str | None]:
    """The devices of visits, by the id of the visit."""
    ids = sorted({visit_id for visit_id in visit_ids if visit_id is not None})
    return {row[0]: row[1] for row in fetch_by_ids(conn, _devices, site_id, ids)}


def _next_visit(site: Slot, device: Slot, after: Slot, visit: Slot) -> Select[Any]:
    mine = (visits.c.site_id == site, visits.c.device_id == device, visits.c.started_at >= after)
    later = or_(visits.c.started_at > after, visits.c.visit_id > visit)
    order = (visits.c.started_at, visits.c.visit_id)
    return select(visits.c.visit_id, visits.c.started_at).where(*mine, later).order_by(*order).limit(1)


def _first_page(site: Slot, visit: Slot) -> Select[Any]:
    views = (events.c.category == "page", events.c.action == "view")
    order = (events.c.occurred_at, events.c.row_id)
    return select(events.c.url, events.c.body).where(*in_visit(site, visit), *views).order_by(*order).limit(1)


def follow(conn: Connection, site_id: int, visit: Visit) -> Visit:
    """`visit` with the next one of its device, if there is one, and how that one came about where it matters."""
    if visit.device_id is None:
        return visit
    rows = fetch(conn, _next_visit, site_id, visit.device_id, visit.started_at, visit.visit_id)
    if not rows:
        return visit
    next_id, started_at = rows[0]
    following = NextVisit(started_at)
    if started_at <= visit.last_event_at + SILENCE_MS:
        for url, body in fetch(conn, _first_page, site_id, next_id):
            said = orjson.loads(body)
            referrer = said.get("referrer")
            following = NextVisit(started_at, bool(said.get("campaign")), referrer, url)
    return replace(visit, following=following)


_SESSION = (
    sessions.c.visit_id,
    sessions.c.session_id,
    sessions.c.identity_id,
    sessions.c.profile_id,
    sessions.c.started_at,
    sessions.c.ended_at,
    sessions.c.since_at,
    sessions.c.since_seq,
    sessions.c.until_at,
    sessions.c.until_seq,
)


def _session(row: Sequence[Any]) -> tuple[str, Session]:
    visit_id, session_id, identity_id, profile_id, started_at, ended_at = row[:6]
    since_at, since_seq, until_at, until_seq = row[6:]
    until = None if until_at is None else Moment(until_at, until_seq)
    return visit_id, Session(
        session_id, identity_id, profile_id, started_at, ended_at, Moment(since_at, since_seq), until
    )


def _sessions(site: Slot, *ids: Slot) -> Select[Any]:
    return select(*_SESSION).where(sessions.c.site_id == site, is_one_of(sessions.c.visit_id, ids))


def fetch_sessions_in(conn: Connection, site_id: int, visit_ids: Sequence[str | None]) -> dict[str, list[Session]]:
    """The sessions of visits in order, by the id of the visit; an empty list where there are none."""
    ids = sorted({visit_id for visit_id in visit_ids if visit_id is not None})
    found: dict[str, list[Session]] = {visit_id: [] for visit_id in ids}
    for row in fetch_by_ids(conn, _sessions, site_id, ids):
        visit_id, session = _session(row)
        found[visit_id].append(session)
    for each in found.values():
        each.sort(key=lambda session: session.since)
    return found


def fetch_session(conn: Connection, site_id: int, session_id: str) -> tuple[Visit, Session] | None:
    """A session and its visit, None if there is no such session."""
    mine = (sessions.c.site_id == site_id, sessions.c.session_id == session_id)
    row = conn.execute(select(*_SESSION).where(*mine)).one_or_none()
    if row is None:
        return None
    visit_id, session = _session(row)
    visit = fetch_visit(conn, site_id, visit_id)
    return None if visit is None else (visit, session)


def fetch_sessions_of(
    conn: Connection, site_id: int, of: Whom, wanted: VisitFilter, limit: int, before: Before | None = None
) -> list[tuple[Visit, Session]]:
    """At most `limit` sessions of a person with their visits, newest first; `before` is a (started_at, session_id)."""
    conditions = [sessions.c.site_id == site_id]
    if of.leaves:
        conditions.append(sessions.c.profile_id.in_(of.leaves))
    else:
        in_visits = sessions.c.visit_id.in_(_visits_of(site_id, of))
        conditions += [in_visits, sessions.c.identity_id == of.identity_id]
    if wanted.since is not None:
        conditions.append(sessions.c.started_at >= wanted.since)
    conditions += is_in_visit(sessions.c, wanted.device_id, wanted.agent)
    if before is not None:
        conditions += older(sessions.c.started_at, sessions.c.session_id, before)
    order = (sessions.c.started_at.desc(), sessions.c.session_id.desc())
    found = [_session(row) for row in conn.execute(select(*_SESSION).where(*conditions).order_by(*order).limit(limit))]
    known = fetch_visits_by_id(conn, site_id, [visit_id for visit_id, _ in found])
    return [(known[visit_id], session) for visit_id, session in found if visit_id in known]


def fetch_user_agent(conn: Connection, site_id: int, user_agent_id: str) -> str | None:
    """The text of a user agent, None if it was never met."""
    mine = (user_agents.c.site_id == site_id, user_agents.c.user_agent_id == user_agent_id)
    text: str | None = conn.scalar(select(user_agents.c.text).where(*mine))
    return text
