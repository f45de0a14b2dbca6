"""Profiles: creating them, resolving them to roots, and folding a cluster into the `Person` that the rules see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Dialect, Insert, func, insert, or_, select, update

from collector.domain.event import Trust
from collector.domain.identity import Person
from collector.store.devices import count_uids
from collector.store.dialect import write_rows
from collector.store.events import fetch_seen_span
from collector.store.schema import identifiers, known_id_bytes, merges, profiles


def _insert_profiles(_: Dialect) -> Insert:
    return insert(profiles)


def insert_profiles(conn: Connection, site_id: int, rows: Sequence[tuple[str, int]]) -> None:
    """Create anonymous profiles from (profile_id, first_seen_at)."""
    write_rows(conn, _insert_profiles, [(site_id, known_id_bytes(profile_id), None, seen) for profile_id, seen in rows])


def fetch_roots(conn: Connection, site_id: int, profile_ids: Iterable[str]) -> dict[str, str]:
    """Profile to root for those of `profile_ids` that exist."""
    rows = conn.execute(
        select(profiles.c.profile_id, profiles.c.merged_into).where(
            profiles.c.site_id == site_id, profiles.c.profile_id.in_(list(profile_ids))
        )
    )
    return {profile_id: merged_into or profile_id for profile_id, merged_into in rows}


def fetch_root(conn: Connection, site_id: int, profile_id: str) -> str | None:
    """The root of one profile, None if there is no such profile."""
    return fetch_roots(conn, site_id, [profile_id]).get(profile_id)


def fetch_cluster(conn: Connection, site_id: int, root: str) -> list[tuple[str, int]]:
    """All profiles of one person as (profile_id, first_seen_at): the root first, then its followers."""
    rows = conn.execute(
        select(profiles.c.profile_id, profiles.c.first_seen_at)
        .where(
            profiles.c.site_id == site_id,
            or_(profiles.c.profile_id == root, profiles.c.merged_into == root),
        )
        .order_by(profiles.c.merged_into.is_not(None), profiles.c.profile_id)
    )
    return [(profile_id, seen) for profile_id, seen in rows]


def fetch_person(conn: Connection, site_id: int, profile_id: str) -> Person | None:
    """The person that a profile (leaf or root) belongs to, folded over the cluster."""
    root = fetch_root(conn, site_id, profile_id)
    if root is None:
        return None
    cluster = fetch_cluster(conn, site_id, root)
    leaves = [leaf for leaf, _ in cluster]
    held = conn.execute(
        select(identifiers.c.kind, identifiers.c.value, identifiers.c.trust).where(
            identifiers.c.site_id == site_id, identifiers.c.profile_id.in_(leaves)
        )
    ).all()
    values = {kind: value for kind, value, _ in held}
    return Person(
        profile_id=root,
        first_seen_at=min([seen for _, seen in cluster] + list(fetch_seen_span(conn, site_id, leaves) or ())),
        cid=values.get("cid"),
        email=values.get("email"),
        verified=any(trust > Trust.BROWSER for _, _, trust in held),
        merges=len(leaves) - 1,
        uids=count_uids(conn, site_id, leaves),
        apart=_fetch_apart(conn, site_id, leaves),
    )


def _fetch_apart(conn: Connection, site_id: int, leaves: Sequence[str]) -> frozenset[str]:
    """Roots that a reversed merge keeps separate from this cluster (R12)."""
    pairs = conn.execute(
        select(merges.c.winner_id, merges.c.loser_id).where(
            merges.c.site_id == site_id,
            merges.c.reversed_at.is_not(None),
            or_(merges.c.winner_id.in_(leaves), merges.c.loser_id.in_(leaves)),
        )
    ).all()
    others = {profile_id for pair in pairs for profile_id in pair} - set(leaves)
    return frozenset(fetch_roots(conn, site_id, others).values()) if others else frozenset()


def fetch_owner(conn: Connection, site_id: int, kind: str, value: str) -> Person | None:
    """The person whom an identifier names, None if it is free."""
    profile_id = conn.scalar(
        select(identifiers.c.profile_id).where(
            identifiers.c.site_id == site_id, identifiers.c.kind == kind, identifiers.c.value == value
        )
    )
    return None if profile_id is None else fetch_person(conn, site_id, profile_id)


def point_at(conn: Connection, site_id: int, winner: str, loser: str) -> list[str]:
    """Merge: the loser and its followers point at the winner. Returns the followers that were repointed."""
    followers = conn.scalars(
        select(profiles.c.profile_id).where(profiles.c.site_id == site_id, profiles.c.merged_into == loser)
    ).all()
    conn.execute(
        update(profiles)
        .where(profiles.c.site_id == site_id, or_(profiles.c.profile_id == loser, profiles.c.merged_into == loser))
        .values(merged_into=winner)
    )
    return list(followers)


def count_profiles(conn: Connection, site_id: int) -> int:
    """How many profiles a site has, merged ones included."""
    return conn.scalar(select(func.count()).select_from(profiles).where(profiles.c.site_id == site_id)) or 0
