"""Profiles: creating them, resolving them to roots, and folding a cluster into the `Person` that the rules see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update, func, insert, or_, select, update

from collector.domain.event import Trust
from collector.domain.identity import Person
from collector.store.devices import count_uids
from collector.store.events import fetch_first_seen
from collector.store.identifiers import fetch_identifier
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, run, write_rows
from collector.store.schema import Id, identifiers, known_id_bytes, merges, profiles


def _insert_profiles(_: Dialect) -> Insert:
    return insert(profiles)


def insert_profiles(conn: Connection, site_id: int, rows: Sequence[tuple[str, int]]) -> None:
    """Create anonymous profiles from (profile_id, first_seen_at)."""
    write_rows(conn, _insert_profiles, [(site_id, known_id_bytes(profile_id), None, seen) for profile_id, seen in rows])


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


def _cluster(site: Slot, root: Slot) -> Select[Any]:
    return (
        select(profiles.c.profile_id, profiles.c.first_seen_at)
        .where(profiles.c.site_id == site, or_(profiles.c.profile_id == root, profiles.c.merged_into == root))
        .order_by(profiles.c.merged_into.is_not(None), profiles.c.profile_id)
    )


def fetch_cluster(conn: Connection, site_id: int, root: str) -> list[tuple[str, int]]:
    """All profiles of one person as (profile_id, first_seen_at): the root first, then its followers."""
    return [(profile_id, seen) for profile_id, seen in fetch(conn, _cluster, site_id, root)]


def _held(site: Slot, *leaves: Slot) -> Select[Any]:
    return select(identifiers.c.kind, identifiers.c.value, identifiers.c.trust).where(
        identifiers.c.site_id == site, is_one_of(identifiers.c.profile_id, leaves)
    )


def fetch_person(conn: Connection, site_id: int, profile_id: str) -> Person | None:
    """The person that a profile (leaf or root) belongs to, folded over the cluster."""
    root = fetch_root(conn, site_id, profile_id)
    if root is None:
        return None
    cluster = fetch_cluster(conn, site_id, root)
    leaves = [leaf for leaf, _ in cluster]
    held = fetch_by_ids(conn, _held, site_id, leaves)
    values = {kind: value for kind, value, _ in held}
    created_at = min(seen for _, seen in cluster)
    return Person(
        profile_id=root,
        first_seen_at=min(created_at, fetch_first_seen(conn, site_id, leaves) or created_at),
        cid=values.get("cid"),
        email=values.get("email"),
        verified=any(trust > Trust.BROWSER for _, _, trust in held),
        merges=len(leaves) - 1,
        uids=count_uids(conn, site_id, leaves),
        apart=_fetch_apart(conn, site_id, leaves),
    )


def _reversed(site: Slot, *leaves: Slot) -> Select[Any]:
    is_ours = or_(is_one_of(merges.c.winner_id, leaves), is_one_of(merges.c.loser_id, leaves))
    mine = (merges.c.site_id == site, merges.c.reversed_at.is_not(None), is_ours)
    return select(merges.c.winner_id, merges.c.loser_id).where(*mine)


def _fetch_apart(conn: Connection, site_id: int, leaves: Sequence[str]) -> frozenset[str]:
    """Roots that a reversed merge keeps separate from this cluster (R12)."""
    pairs = fetch_by_ids(conn, _reversed, site_id, leaves)
    others = {profile_id for pair in pairs for profile_id in pair} - set(leaves)
    return frozenset(fetch_roots(conn, site_id, others).values())


def fetch_owner(conn: Connection, site_id: int, kind: str, value: str) -> Person | None:
    """The person whom an identifier names, None if it is free."""
    leaf = fetch_identifier(conn, site_id, kind, value)
    return None if leaf is None else fetch_person(conn, site_id, leaf)


def _followers(site: Slot, root: Slot) -> Select[Any]:
    return select(profiles.c.profile_id).where(profiles.c.site_id == site, profiles.c.merged_into == root)


def _point(winner: Slot, site: Slot, loser: Slot) -> Update:
    is_moved = or_(profiles.c.profile_id == loser, profiles.c.merged_into == loser)
    return update(profiles).where(profiles.c.site_id == site, is_moved).values(merged_into=winner)


def point_at(conn: Connection, site_id: int, winner: str, loser: str) -> list[str]:
    """Merge: the loser and its followers point at the winner. Returns the followers that were repointed."""
    followers = [leaf for (leaf,) in fetch(conn, _followers, site_id, loser)]
    run(conn, _point, winner, site_id, loser)
    return followers
