"""Profiles: creating them, resolving them to roots, and folding a cluster into the `Person` that the rules see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Dialect,
    Insert,
    Select,
    Update,
    and_,
    func,
    insert,
    select,
    union_all,
    update,
)

from collector.domain.decision import Person
from collector.domain.event import Trust
from collector.store.devices import count_uids
from collector.store.events import fetch_first_seen
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, run, write_rows
from collector.store.schema import Id, id_bytes, identifiers, merges, profiles


def _insert_profiles(_: Dialect) -> Insert:
    return insert(profiles)


def insert_profiles(conn: Connection, site_id: int, rows: Sequence[tuple[str, int]]) -> None:
    """Create anonymous profiles from (profile_id, first_seen_at)."""
    write_rows(conn, _insert_profiles, [(site_id, id_bytes(profile_id), None, seen) for profile_id, seen in rows])


def _roots(site: Slot, *ids: Slot) -> Select[Any]:
    return select(profiles.c.profile_id, func.coalesce(profiles.c.merged_into, profiles.c.profile_id, type_=Id)).where(
        profiles.c.site_id == site, is_one_of(profiles.c.profile_id, ids)
    )


def fetch_roots(conn: Connection, site_id: int, profile_ids: Iterable[str]) -> dict[str, str]:
    """Profile to root for those of `profile_ids` that exist."""
    rows = fetch_by_ids(conn, _roots, site_id, [*profile_ids])
    return {row[0]: row[1] for row in rows}


def fetch_root(conn: Connection, site_id: int, profile_id: str) -> str | None:
    """The root of one profile, None if there is no such profile."""
    return fetch_roots(conn, site_id, [profile_id]).get(profile_id)


def _followers(site: Slot, root: Slot) -> Select[Any]:
    mine = (profiles.c.site_id == site, profiles.c.merged_into == root)
    return select(profiles.c.profile_id, profiles.c.first_seen_at).where(*mine)


def _cluster(site: Slot, root: Slot) -> CompoundSelect[Any]:
    mine = (profiles.c.site_id == site, profiles.c.profile_id == root)
    return union_all(select(profiles.c.profile_id, profiles.c.first_seen_at).where(*mine), _followers(site, root))


def fetch_cluster(conn: Connection, site_id: int, root: str) -> list[tuple[str, int]]:
    """All profiles of one person as (profile_id, first_seen_at): the root first, then its followers."""
    # Two look-ups in one and no ORDER BY, because SQLite would read all profiles of the site to please either.
    rows = fetch(conn, _cluster, site_id, root)
    return sorted(((leaf, seen) for leaf, seen in rows), key=lambda row: (row[0] != root, row[0]))


def _cluster_with_identifiers(site: Slot, root: Slot) -> CompoundSelect[Any]:
    held = (identifiers.c.site_id == profiles.c.site_id) & (identifiers.c.profile_id == profiles.c.profile_id)
    columns = (profiles.c.profile_id, profiles.c.first_seen_at)
    query = select(*columns, identifiers.c.kind, identifiers.c.value, identifiers.c.trust).outerjoin(identifiers, held)
    of_site = query.where(profiles.c.site_id == site)
    return union_all(of_site.where(profiles.c.profile_id == root), of_site.where(profiles.c.merged_into == root))


def fetch_person(conn: Connection, site_id: int, profile_id: str) -> Person | None:
    """The person that a profile (leaf or root) belongs to, folded over the cluster."""
    root = fetch_root(conn, site_id, profile_id)
    return None if root is None else _fold(conn, site_id, root, is_alone=False)


def fetch_people(conn: Connection, site_id: int, roots: Collection[str], newcomers: int = 0) -> dict[str, Person]:
    """The people with these roots. With nobody there to merge with, what only a merge looks at is not read (R9, R13).

    That is when somebody was first seen by their events, how many UIDs they have, and from whom they are kept apart.
    `newcomers` are people who are there as well, but not yet stored.
    """
    return {root: _fold(conn, site_id, root, is_alone=len(roots) + newcomers == 1) for root in roots}


def _fold(conn: Connection, site_id: int, root: str, *, is_alone: bool) -> Person:
    rows = fetch(conn, _cluster_with_identifiers, site_id, root)  # (two look-ups in one, as in `fetch_cluster`)
    leaves = sorted({row[0] for row in rows})
    held = [row[2:] for row in rows if row[2] is not None]
    values = {kind: value for kind, value, _ in held}
    created_at = min(row[1] for row in rows)
    person = Person(
        profile_id=root,
        first_seen_at=created_at,
        cid=values.get("cid"),
        email=values.get("email"),
        verified=any(trust > Trust.BROWSER for _, _, trust in held),
        merges=len(leaves) - 1,
    )
    if is_alone:
        return person
    return replace(
        person,
        first_seen_at=min(created_at, fetch_first_seen(conn, site_id, leaves) or created_at),
        uids=count_uids(conn, site_id, leaves),
        apart=_fetch_apart(conn, site_id, leaves),
    )


_keeps_apart = and_(merges.c.reversed_at.is_not(None), merges.c.apart_lifted_at.is_(None))


def _kept_apart(site: Slot, *leaves: Slot) -> CompoundSelect[Any]:
    mine = (merges.c.site_id == site, _keeps_apart)
    wins = select(merges.c.loser_id).where(*mine, is_one_of(merges.c.winner_id, leaves))
    losses = select(merges.c.winner_id).where(*mine, is_one_of(merges.c.loser_id, leaves))
    return union_all(wins, losses)


def _fetch_apart(conn: Connection, site_id: int, leaves: Sequence[str]) -> frozenset[str]:
    """Roots that a reversed merge keeps separate from this cluster, until an operator lifts it (R12)."""
    others = {other for (other,) in fetch_by_ids(conn, _kept_apart, site_id, leaves)} - set(leaves)
    return frozenset(fetch_roots(conn, site_id, others).values())


def are_apart(conn: Connection, site_id: int, a: str, b: str) -> bool:
    """Whether an operator keeps the people of two profiles apart (R12)."""
    roots = fetch_roots(conn, site_id, [a, b])
    if len(set(roots.values())) < 2:
        return False
    return roots[b] in _fetch_apart(conn, site_id, [leaf for leaf, _ in fetch_cluster(conn, site_id, roots[a])])


def _point(winner: Slot, site: Slot, *losers: Slot) -> Update:
    is_moved = is_one_of(profiles.c.profile_id, losers)
    return update(profiles).where(profiles.c.site_id == site, is_moved).values(merged_into=winner)


def point_at(conn: Connection, site_id: int, winner: str, loser: str) -> list[str]:
    """Merge: the loser and its followers point at the winner. Returns the followers that were repointed."""
    followers = [leaf for leaf, _ in fetch(conn, _followers, site_id, loser)]
    run(conn, _point, winner, site_id, loser, *followers)
    return followers
