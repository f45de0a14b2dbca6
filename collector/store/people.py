"""Reading people back: a profile with all that its leaves hold, and why it is one person; and erasing them.

Queries only; what they are folded to is in `domain.explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import Connection, RowMapping, select

from collector.domain.event import Trust
from collector.domain.explain import (
    Evidence,
    Explanation,
    IdentifierClaim,
    JournalledMerge,
    Profile,
    UidBinding,
)
from collector.store.erasure import Erasures, erase_person
from collector.store.events import fetch_events_of, fetch_first_seen, fetch_last_seen
from collector.store.identifiers import (
    fetch_claims,
    fetch_held,
    fetch_identifier,
    fetch_merges,
    fetch_merges_of,
    fetch_retirements,
)
from collector.store.locks import own_site
from collector.store.merges import journalled, name_people
from collector.store.profiles import fetch_cluster, fetch_root, fetch_roots
from collector.store.schema import bindings, events, identifiers
from collector.store.traits import fetch_traits


class _Evidenced(Protocol):
    @property
    def event_id(self) -> str: ...


def find_profile(conn: Connection, site_id: int, kind: str, value: str) -> str | None:
    """The root that a normalised CID or e-mail, a UID or a profile's own id (`kind` "id") leads to, None if unknown.

    A UID leads to the person who spoke through it last.
    """
    if kind == "id":
        return fetch_root(conn, site_id, value)
    if kind == "uid":
        mine = select(bindings.c.profile_id).where(bindings.c.site_id == site_id, bindings.c.uid == value)
        leaf = conn.scalar(mine.order_by(bindings.c.since_at.desc(), bindings.c.since_seq.desc()).limit(1))
    else:
        leaf = fetch_identifier(conn, site_id, kind, value)
    return None if leaf is None else fetch_root(conn, site_id, leaf)


def fetch_profile(conn: Connection, site_id: int, profile_id: str) -> Profile | None:
    """The person that a profile, leaf or root, belongs to."""
    root = fetch_root(conn, site_id, profile_id)
    if root is None:
        return None
    leaves = fetch_cluster(conn, site_id, root)
    ids = [leaf for leaf, _ in leaves]
    first_seen_at = min(seen for _, seen in leaves)
    return Profile(
        profile_id=root,
        leaves=tuple(leaves),
        identifiers=fetch_held(conn, site_id, ids),
        claims=tuple(
            IdentifierClaim(
                row["kind"],
                row["value"],
                row["profile_id"],
                row["reason"],
                row["event_id"],
                Trust(row["trust"]),
                row["claimed_at"],
            )
            for row in fetch_claims(conn, site_id, ids)
        ),
        uids=tuple(dict.fromkeys(row["uid"] for row in _fetch_bindings(conn, site_id, ids))),
        traits=tuple(fetch_traits(conn, site_id, ids)),
        first_seen_at=min(first_seen_at, fetch_first_seen(conn, site_id, ids) or first_seen_at),
        last_seen_at=fetch_last_seen(conn, site_id, ids) or first_seen_at,
    )


def fetch_explanation(conn: Connection, site_id: int, profile_id: str) -> Explanation | None:
    """The person that a profile belongs to, with the reason for each part."""
    profile = fetch_profile(conn, site_id, profile_id)
    if profile is None:
        return None
    ids = [leaf for leaf, _ in profile.leaves]
    bound = _bindings(_fetch_bindings(conn, site_id, ids))
    merges = tuple(journalled(row) for row in fetch_merges_of(conn, site_id, ids))
    apart = name_people(conn, site_id, [merge for merge in merges if merge.keeps_apart])
    history = fetch_retirements(conn, site_id, ids)
    parts: tuple[_Evidenced, ...] = (*profile.identifiers, *profile.claims, *profile.traits, *bound, *merges)
    named = {part.event_id for part in (*parts, *history, *(old.held for old in history))}
    return Explanation(profile, bound, merges, apart, history, _fetch_evidence(conn, site_id, named))


def fetch_timeline(
    conn: Connection, site_id: int, profile_id: str, limit: int, before: tuple[int, int] | None = None
) -> Sequence[RowMapping] | None:
    """At most `limit` events of a person, newest first, older than the (occurred_at, row_id) in `before`."""
    root = fetch_root(conn, site_id, profile_id)
    if root is None:
        return None
    leaves = [leaf for leaf, _ in fetch_cluster(conn, site_id, root)]
    return fetch_events_of(conn, site_id, leaves, limit, before)


def fetch_journal(conn: Connection, site_id: int, limit: int, before: int | None = None) -> list[JournalledMerge]:
    """At most `limit` merges of a site, newest first, older than merge `before`."""
    return [journalled(row) for row in fetch_merges(conn, site_id, before, limit)]


def fetch_recorded(conn: Connection, site_id: int, event_id: str) -> tuple[str | None, list[str]] | None:
    """(root, warnings) of a stored event, None if it is not stored."""
    row = conn.execute(
        select(events.c.profile_id, events.c.warnings).where(events.c.site_id == site_id, events.c.event_id == event_id)
    ).one_or_none()
    if row is None:
        return None
    root = None if row[0] is None else fetch_root(conn, site_id, row[0])
    return root, (row[1] or "").split()


def fetch_names(conn: Connection, site_id: int, profile_ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Who is behind each profile: (root, CID, else e-mail, else None)."""
    roots = fetch_roots(conn, site_id, profile_ids)
    names: dict[str, str | None] = {}
    for root in set(roots.values()):
        ids = [leaf for leaf, _ in fetch_cluster(conn, site_id, root)]
        mine = select(identifiers.c.value).where(identifiers.c.site_id == site_id, identifiers.c.profile_id.in_(ids))
        names[root] = conn.scalar(mine.order_by(identifiers.c.kind).limit(1))
    return {profile_id: (root, names[root]) for profile_id, root in roots.items()}


def fetch_latest_events(conn: Connection, limit: int, site_id: int | None = None) -> Sequence[RowMapping]:
    """The last `limit` events to arrive, of one site or of all, in order of arrival."""
    query = select(events) if site_id is None else select(events).where(events.c.site_id == site_id)
    return conn.execute(query.order_by(events.c.row_id.desc()).limit(limit)).mappings().all()[::-1]


def erase_profile(
    conn: Connection, site_id: int, profile_id: str, erasures: Erasures, now: int
) -> dict[str, int] | None:
    """R16 for the person that a profile belongs to: rows deleted by table, None if there is no such profile.

    The bytes leave the files with `Database.scrub`, which the caller runs afterwards.
    """
    own_site(conn, site_id)
    root = fetch_root(conn, site_id, profile_id)
    if root is None:
        return None
    return erase_person(conn, site_id, root, erasures, now)


def _fetch_bindings(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    query = select(bindings).where(bindings.c.site_id == site_id, bindings.c.profile_id.in_(leaves))
    order = (bindings.c.bound_at, bindings.c.since_at, bindings.c.since_seq, bindings.c.uid)
    return conn.execute(query.order_by(*order)).mappings().all()


def _bindings(rows: Sequence[RowMapping]) -> tuple[UidBinding, ...]:
    """Rows in order of time; the first of each profile is the one it was made for."""
    begun: set[str] = set()
    bound: list[UidBinding] = []
    for row in rows:
        is_first = row["profile_id"] not in begun
        begun.add(row["profile_id"])
        bound.append(
            UidBinding(
                row["uid"],
                row["since_at"],
                row["since_seq"],
                row["profile_id"],
                row["rule"],
                row["event_id"],
                Trust(row["trust"]),
                row["bound_at"],
                is_first,
            )
        )
    return tuple(bound)


def _fetch_evidence(conn: Connection, site_id: int, event_ids: Iterable[str]) -> dict[str, Evidence]:
    columns = (events.c.event_id, events.c.category, events.c.action, events.c.occurred_at)
    rows = conn.execute(select(*columns).where(events.c.site_id == site_id, events.c.event_id.in_(list(event_ids))))
    return {row[0]: Evidence(*row) for row in rows}
