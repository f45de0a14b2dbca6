"""What nobody needs any more once events have gone by age: visits, the identities named in them, their profiles.

Only conditions and rows; `store.retention` decides when. A dry run asks the same while nothing has gone yet, so there
every condition says which of the rows it meets are about to go.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, literal_column, or_, select, true

from collector.store.schema import (
    bindings,
    claims,
    contacts,
    events,
    identifiers,
    identities,
    interactions,
    merges,
    profiles,
    retirements,
    sessions,
    traits,
    uids,
    user_identifications,
    visit_profiles,
    visits,
)

Condition = ColumnElement[bool]
marks = user_identifications.c
IS_RECOGNISING = marks.cid.is_not(None)  # accepted by R4: what R7, R13 and WM-Recognized look at, however long ago


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a purge of one site takes: visits from before `before` (ms) that have no events left.

    `events_end` is None where events went already; in a dry run it is the row id up to which they are about to go.
    """

    site_id: int
    before: int
    events_end: int | None = None

    @property
    def is_dry(self) -> bool:
        """Whether nothing goes for real."""
        return self.events_end is not None


def fetch_outdated_visits(
    conn: Connection, outlook: Outlook, after: tuple[int, str] | None, size: int
) -> tuple[list[str], tuple[int, str] | None]:
    """Of the next `size` visits, by arrival, those that go; and the last one looked at, None if there is no more.

    `after` is the (arrived_at, visit_id) of the last one looked at before.
    """
    query = select(visits.c.arrived_at, visits.c.visit_id).where(
        visits.c.site_id == outlook.site_id, visits.c.arrived_at < outlook.before
    )
    if after is not None:
        arrived_at, visit_id = after
        later = or_(visits.c.arrived_at > arrived_at, visits.c.visit_id > visit_id)
        query = query.where(visits.c.arrived_at >= arrived_at, later)
    met = conn.execute(query.order_by(visits.c.arrived_at, visits.c.visit_id).limit(size)).all()
    mine = (visits.c.site_id == outlook.site_id, visits.c.visit_id.in_([row.visit_id for row in met]))
    going = list(conn.scalars(select(visits.c.visit_id).where(*mine, _visit_goes(outlook)))) if met else []
    return going, (met[-1].arrived_at, met[-1].visit_id) if len(met) == size else None


def rows_of_visits(site_id: int, visit_ids: Collection[str]) -> list[tuple[Table, Condition]]:
    """What goes with visits."""
    tables: list[tuple[Table, Condition]] = [
        (table, and_(table.c.site_id == site_id, table.c.visit_id.in_(visit_ids)))
        for table in (sessions, contacts, interactions, visit_profiles, user_identifications, visits)
    ]
    return [(table, which & ~IS_RECOGNISING if table is user_identifications else which) for table, which in tables]


def fetch_named_in(conn: Connection, site_id: int, visit_ids: Collection[str]) -> set[str]:
    """The identities that are named in visits; sessions and contacts are made from the same rows."""
    mine = (marks.site_id == site_id, marks.visit_id.in_(visit_ids), marks.identity_id.is_not(None))
    return set(conn.scalars(select(marks.identity_id).where(*mine)))


def fetch_speakers_in(conn: Connection, site_id: int, visit_ids: Collection[str]) -> set[str]:
    """The leaves that spoke in visits."""
    spoken = visit_profiles.alias("spoken")
    mine = (spoken.c.site_id == site_id, spoken.c.visit_id.in_(visit_ids))
    query = select(spoken.c.profile_id).where(*mine)
    if conn.dialect.name == "sqlite":
        # By way of the row: asked at once it reads the whole site in the key, because that holds all columns.
        rows: Select[Any] = select(literal_column("spoken.rowid")).where(*mine)
        query = select(visit_profiles.c.profile_id).where(literal_column("visit_profiles.rowid").in_(rows))
    return set(conn.scalars(query))


def fetch_unnamed(conn: Connection, outlook: Outlook, named: Collection[str]) -> list[str]:
    """Those of the identities that no row that stays names."""
    if not named:
        return []
    mine = identities.c
    marked = _of(marks.site_id == mine.site_id, marks.identity_id == mine.identity_id)
    query = select(mine.identity_id).where(
        mine.site_id == outlook.site_id,
        mine.identity_id.in_(named),
        ~marked.where(_mark_stays(outlook)).exists(),
    )
    return list(conn.scalars(query))


def fetch_unused(conn: Connection, outlook: Outlook, leaves: Collection[str]) -> list[str]:
    """Those of the profiles that are anonymous, alone, and of which nothing is left that stays."""
    if not leaves:
        return []
    mine, other = profiles.c, bindings.alias("other")
    spoken = _of(events.c.site_id == mine.site_id, events.c.profile_id == mine.profile_id)
    if outlook.events_end is not None:
        spoken = spoken.where(events.c.row_id > outlook.events_end)
    visited = _of(visit_profiles.c.site_id == mine.site_id, visit_profiles.c.profile_id == mine.profile_id)
    marked = _of(marks.site_id == mine.site_id, marks.profile_id == mine.profile_id)
    shared = _of(bindings.c.site_id == mine.site_id, bindings.c.profile_id == mine.profile_id).where(
        other.c.site_id == bindings.c.site_id, other.c.uid == bindings.c.uid, other.c.profile_id != mine.profile_id
    )
    query = select(mine.profile_id).where(
        mine.site_id == outlook.site_id,
        mine.profile_id.in_(leaves),
        ~_of(identifiers.c.site_id == mine.site_id, identifiers.c.profile_id == mine.profile_id).exists(),
        ~_of(retirements.c.site_id == mine.site_id, retirements.c.profile_id == mine.profile_id).exists(),
        ~_of(merges.c.site_id == mine.site_id, merges.c.winner_id == mine.profile_id).exists(),
        ~_of(merges.c.site_id == mine.site_id, merges.c.loser_id == mine.profile_id).exists(),
        ~spoken.exists(),
        ~visited.where(_visit_stays(outlook, visit_profiles)).exists(),
        ~marked.where(_mark_stays(outlook) | IS_RECOGNISING).exists(),
        ~shared.exists(),  # its late events would become somebody else's (R6)
    )
    return list(conn.scalars(query))


def rows_of_profiles(site_id: int, profile_ids: Collection[str]) -> list[tuple[Table, Condition]]:
    """What goes with profiles; the UIDs before the bindings, which lead to them."""
    spoken = select(bindings.c.uid).where(bindings.c.site_id == site_id, bindings.c.profile_id.in_(profile_ids))
    rows: list[tuple[Table, Condition]] = [(uids, and_(uids.c.site_id == site_id, uids.c.uid.in_(spoken)))]
    return rows + [
        (table, and_(table.c.site_id == site_id, table.c.profile_id.in_(profile_ids)))
        for table in (bindings, traits, claims, profiles)
    ]


def rows_of_identities(site_id: int, identity_ids: Collection[str]) -> list[tuple[Table, Condition]]:
    """The identities."""
    return [(identities, and_(identities.c.site_id == site_id, identities.c.identity_id.in_(identity_ids)))]


def _of(*conditions: Condition) -> Select[Any]:
    return select(literal_column("1")).where(*conditions)


def _visit_goes(outlook: Outlook) -> Condition:
    mine = visits.c
    pair = visit_profiles.alias("pair")
    said = _of(
        events.c.site_id == mine.site_id,
        events.c.profile_id == pair.c.profile_id,
        events.c.occurred_at.between(mine.started_at, mine.last_event_at),
        events.c.visit_id == mine.visit_id,
    )
    if outlook.events_end is not None:
        said = said.where(events.c.row_id > outlook.events_end)
    spoken = _of(pair.c.site_id == mine.site_id, pair.c.visit_id == mine.visit_id)
    held = spoken.where(said.correlate(visits, pair).exists()).correlate(visits)
    told_at = func.coalesce(interactions.c.decided_at, interactions.c.created_at)
    told = _of(interactions.c.site_id == mine.site_id, interactions.c.visit_id == mine.visit_id)
    return and_(
        mine.arrived_at < outlook.before,
        mine.last_event_at < outlook.before,
        ~held.exists(),
        ~told.where(told_at >= outlook.before).exists(),
    )


def _visit_stays(outlook: Outlook, table: Table) -> Condition:
    """Whether the visit of a row stays; for real it is there, else the row would have gone with it."""
    if not outlook.is_dry:
        return true()
    mine = _of(visits.c.site_id == table.c.site_id, visits.c.visit_id == table.c.visit_id)
    return mine.where(~_visit_goes(outlook)).correlate(table).exists()


def _mark_stays(outlook: Outlook) -> Condition:
    """Whether a row of `user_identifications` stays as it is: with its visit, or without one, with its event."""
    if outlook.events_end is None:
        return true()
    said = _of(events.c.site_id == marks.site_id, events.c.event_id == marks.event_id)
    stays = said.where(events.c.row_id > outlook.events_end).correlate(user_identifications).exists()
    return or_(_visit_stays(outlook, user_identifications), and_(marks.visit_id.is_(None), stays))
