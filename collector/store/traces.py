"""Where somebody is named in rows that are not theirs: what erasure has to look for, as no key leads there (R16)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, or_, select, tuple_

from collector.domain.mention import Mentions
from collector.store.quarantine import walk_quarantine
from collector.store.schema import (
    claims,
    events,
    identifiers,
    identities,
    interactions,
    quarantine,
    user_identifications,
    visit_profiles,
)

Named = Collection[tuple[str, str]]  # (kind, value) as stored
ROWS_AT_ONCE = 1000


def fetch_alone(conn: Connection, site_id: int, leaves: Sequence[str], table: Table) -> set[tuple[str, str]]:
    """The identifiers (kind, value) in the leaves' rows of `table`, without what is known to be somebody else's."""
    owner = (identifiers.c.site_id == site_id, identifiers.c.profile_id.not_in(leaves))
    same = (identifiers.c.kind == table.c.kind, identifiers.c.value == table.c.value)
    mine = (table.c.site_id == site_id, table.c.profile_id.in_(leaves))
    query = select(table.c.kind, table.c.value).where(*mine, ~select(identifiers.c.value).where(*owner, *same).exists())
    return {(kind, value) for kind, value in conn.execute(query)}


def erase_naming_claims(
    conn: Connection, site_id: int, leaves: Sequence[str], named: Named
) -> tuple[set[str], set[str]]:
    """Delete what other people claimed of these identifiers; the leaves that did so, and the visits to fold again."""
    if not named:
        return set(), set()
    values = [value for _, value in named]
    by_claim = and_(
        claims.c.site_id == site_id,
        claims.c.profile_id.not_in(leaves),
        tuple_(claims.c.kind, claims.c.value).in_(list(named)),
    )
    table = user_identifications
    by_hint = and_(table.c.site_id == site_id, table.c.profile_id.not_in(leaves), table.c.identity_id.in_(values))
    claimants = set(conn.scalars(select(claims.c.profile_id).where(by_claim)))
    hints = conn.execute(select(table.c.profile_id, table.c.visit_id).where(by_hint)).all()
    conn.execute(delete(claims).where(by_claim))
    conn.execute(delete(table).where(by_hint))
    return claimants | {leaf for leaf, _ in hints}, {visit_id for _, visit_id in hints if visit_id is not None}


def erase_naming_history(
    conn: Connection, site_id: int, leaves: Sequence[str], named: Named, mentions: Mentions
) -> dict[str, int]:
    """Delete the person's identities, and the interactions in visits of theirs or that name them; rows by table.

    It looks at their own rows, which go afterwards.
    """
    marked = user_identifications.c
    theirs = (marked.site_id == site_id, marked.profile_id.in_(leaves), marked.identity_id.is_not(None))
    said = set(conn.scalars(select(marked.identity_id).where(*theirs))) - _said_by_others(conn, site_id, leaves)
    said |= {value for _, value in named}
    spoken = select(visit_profiles.c.visit_id).where(
        visit_profiles.c.site_id == site_id, visit_profiles.c.profile_id.in_(leaves)
    )
    in_theirs = (interactions.c.site_id == site_id, interactions.c.visit_id.in_(spoken))
    erased = {
        str(identities.name): conn.execute(
            delete(identities).where(identities.c.site_id == site_id, identities.c.identity_id.in_(said))
        ).rowcount,
        str(interactions.name): conn.execute(delete(interactions).where(*in_theirs)).rowcount,
    }
    doomed = [
        row.interaction_id
        for row in _walk_interactions(conn, site_id)
        if not said.isdisjoint((row.identity_id, row.decided_identity_id)) or mentions(row.body.encode())
    ]
    erased[str(interactions.name)] += _delete(conn, interactions.c.interaction_id, doomed, site_id)
    return erased


def _walk_interactions(conn: Connection, site_id: int) -> Iterator[Any]:
    """All interactions of a site by the index, some at a time."""
    table = interactions.c
    columns = (table.interaction_id, table.created_at, table.identity_id, table.decided_identity_id, table.body)
    beyond: ColumnElement[bool] | None = None
    while True:
        query = select(*columns).where(table.site_id == site_id)
        if beyond is not None:
            query = query.where(beyond)
        rows = conn.execute(query.order_by(table.created_at, table.interaction_id).limit(ROWS_AT_ONCE)).all()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        at, last = rows[-1].created_at, rows[-1].interaction_id
        beyond = and_(table.created_at >= at, or_(table.created_at > at, table.interaction_id > last))


def _said_by_others(conn: Connection, site_id: int, leaves: Sequence[str]) -> set[str]:
    """Identities that the leaves named and somebody else named too: a hint may be about anybody."""
    mine, other = user_identifications, user_identifications.alias("other")
    same = (other.c.site_id == site_id, other.c.identity_id == mine.c.identity_id, other.c.profile_id.not_in(leaves))
    named = (mine.c.site_id == site_id, mine.c.profile_id.in_(leaves), mine.c.identity_id.is_not(None))
    return set(conn.scalars(select(mine.c.identity_id).where(*named, select(other.c.event_id).where(*same).exists())))


def erase_naming_events(
    conn: Connection, site_id: int, claimants: Collection[str], spoken: Collection[str], mentions: Mentions
) -> int:
    """Delete events of nobody (bots, pixels) and of `claimants` that name the person; returns how many.

    An event of nobody counts also where it carries one of the UIDs `spoken`. One of a claimant does not: a collision
    gives somebody an event that another's browser sent (R5d).
    """
    doomed = [
        row.row_id
        for leaf in (None, *claimants)
        for row in _walk_events(conn, site_id, leaf)
        if (leaf is None and row.uid in spoken) or mentions(f"{row.url or ''} {row.body}".encode())
    ]
    return _delete(conn, events.c.row_id, doomed)


def _walk_events(conn: Connection, site_id: int, leaf: str | None) -> Iterator[Any]:
    """The events of one leaf, or of nobody, by the index, some at a time."""
    columns = (events.c.row_id, events.c.occurred_at, events.c.uid, events.c.url, events.c.body)
    of_leaf = events.c.profile_id.is_(None) if leaf is None else events.c.profile_id == leaf
    beyond: ColumnElement[bool] | None = None
    while True:
        query = select(*columns).where(events.c.site_id == site_id, of_leaf)
        if beyond is not None:
            query = query.where(beyond)
        rows = conn.execute(query.order_by(events.c.occurred_at, events.c.row_id).limit(ROWS_AT_ONCE)).all()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        at, row_id = rows[-1].occurred_at, rows[-1].row_id
        beyond = or_(events.c.occurred_at > at, and_(events.c.occurred_at == at, events.c.row_id > row_id))


def erase_naming_quarantine(
    conn: Connection, site_id: int, devices: Collection[str], contacts: Collection[str], mentions: Mentions
) -> int:
    """Delete refused events that name the person, or came from a browser of theirs; returns how many."""
    doomed = [
        kept.quarantine_id
        for kept in walk_quarantine(conn, site_id)
        if kept.device_id in devices or kept.contact_id in contacts or mentions(kept.raw or b"")
    ]
    return _delete(conn, quarantine.c.quarantine_id, doomed)


def _delete(conn: Connection, key: Column[Any], doomed: Sequence[int | str], site_id: int | None = None) -> int:
    """Delete rows by their key; `site_id` is a part of it where it says so."""
    of_site = () if site_id is None else (key.table.c.site_id == site_id,)
    for start in range(0, len(doomed), ROWS_AT_ONCE):
        conn.execute(delete(key.table).where(*of_site, key.in_(doomed[start : start + ROWS_AT_ONCE])))
    return len(doomed)
