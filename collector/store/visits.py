"""Visits: their spans, who spoke in them and with which browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Select,
    Update,
    or_,
    select,
    update,
)

from collector.domain.event import Event
from collector.domain.recognition import Moment
from collector.domain.visit import State
from collector.store.dialect import greater, insert_on_conflict, insert_or_ignore, lesser
from collector.store.events import in_visit
from collector.store.prepared import Slot, fetch, run_many, write_rows
from collector.store.schema import (
    events,
    id_bytes,
    profiles,
    user_agents,
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

    def cover(self, occurred_at: int, tracked_at: int) -> None:
        """Widen it to an event."""
        if occurred_at > self.last_event_at:
            self.last_event_at = occurred_at
        elif occurred_at < self.started_at:
            self.started_at = occurred_at
        self.since_at = min(self.since_at, tracked_at)

    def cover_all(self, those: Sequence[Event]) -> None:
        """Widen it to several events."""
        occurred = [event.occurred_at for event in those]
        self.started_at = min(self.started_at, *occurred)
        self.last_event_at = max(self.last_event_at, *occurred)
        self.since_at = min(self.since_at, *[event.tracked_at for event in those])


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
    """Widen visits to cover `spans`; late and repeated events commute. Their user agents are stored already."""
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


def prolong_visits(conn: Connection, site_id: int, ends: Sequence[tuple[bytearray | None, int]]) -> None:
    """Let visits that are stored last at least until then: (id as bytes, ms). No index has to follow."""
    run_many(conn, _prolong, [(site_id, visit_id, end) for visit_id, end in ends])


def insert_user_agents(conn: Connection, site_id: int, texts: Iterable[str]) -> None:
    """Keep the texts of user agents, of which some may be there already."""
    write_rows(conn, _insert_user_agent, [(site_id, user_agent_id(text), text) for text in texts])


def _insert_user_agent(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, user_agents)


def _insert_visit_profile(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, visit_profiles)


def insert_visit_profiles(conn: Connection, site_id: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Note which leaves spoke in which visits: (visit, leaf)."""
    rows = [(site_id, id_bytes(leaf), id_bytes(visit_id)) for visit_id, leaf in pairs]
    write_rows(conn, _insert_visit_profile, rows)


def _beginning(site: Slot, visit: Slot) -> Select[Any]:
    columns = (events.c.profile_id, events.c.tracked_at, events.c.seq)
    order = (events.c.occurred_at, events.c.seq, events.c.row_id)
    return select(*columns).where(*in_visit(site, visit)).order_by(*order).limit(1)


def fetch_beginning(conn: Connection, site_id: int, visit_id: str) -> tuple[str, Moment] | None:
    """Who spoke first in a visit (the leaf), and when on the browser's clock; None without an event of a visitor."""
    rows = fetch(conn, _beginning, site_id, visit_id)
    return (rows[0][0], Moment(*rows[0][1:])) if rows else None


def _visits_after(site: Slot, root: Slot, after: Slot) -> Select[Any]:
    people, said = profiles.c, events.c
    of_site = select(people.profile_id).where(people.site_id == site)
    leaves = of_site.where(people.profile_id == root).union_all(of_site.where(people.merged_into == root))
    theirs = (said.site_id == site, said.profile_id.in_(leaves), said.occurred_at > after)
    heard = select(said.visit_id).where(*theirs).distinct().subquery()
    # A subquery, for SQLite would rather begin with all visits of the site that began later.
    mine = (visits.c.site_id == site, visits.c.visit_id == heard.c.visit_id)
    started_at = select(visits.c.started_at).where(*mine).scalar_subquery()
    return select(heard.c.visit_id).where(started_at > after)


def fetch_visits_after(conn: Connection, site_id: int, root: str, after: int) -> set[str]:
    """The visits in which this person spoke and that began after `after` (ms), looked for among the events since."""
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
