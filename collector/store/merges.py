"""Undoing merges and keeping people apart (R12): the rows around one merge, loaded, decided on by the rules, saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson
from sqlalchemy import Connection, RowMapping, select, update

from collector.domain.event import Trust
from collector.domain.explain import JournalledMerge, KeptApart
from collector.domain.unmerge import MergeCase, Refused, Unmerge, decide_unmerge
from collector.store.assumptions import withdraw_assumptions
from collector.store.identifiers import (
    fetch_held,
    fetch_identifier,
    fetch_merges_of,
    fetch_retirements,
    unretire,
)
from collector.store.locks import own_site
from collector.store.profiles import fetch_cluster, fetch_root, fetch_roots
from collector.store.schema import events, merges, profiles


def journalled(row: RowMapping) -> JournalledMerge:
    """One row of the journal."""
    return JournalledMerge(
        row["merge_id"],
        row["winner_id"],
        row["loser_id"],
        row["rule"],
        row["event_id"],
        Trust(row["trust"]),
        row["merged_at"],
        tuple(orjson.loads(row["pointers_before"])),
        row["reversed_at"],
        row["apart_lifted_at"],
    )


def reverse_merge(
    conn: Connection, site_id: int, merge_id: int, now: int, *, dry_run: bool = False
) -> Unmerge | Refused | None:
    """Undo a merge: what that comes to, or why it is refused; None if the site has no such merge.

    A dry run reads only, so that it may run on a connection that cannot write.
    """
    if not dry_run:
        own_site(conn, site_id)
    case = fetch_case(conn, site_id, merge_id)
    if case is None:
        return None
    decision = decide_unmerge(case)
    if not isinstance(decision, Unmerge) or dry_run:
        return decision
    mine = profiles.c.site_id == site_id
    loser, followers = decision.merge.loser, decision.merge.followers
    conn.execute(update(profiles).where(mine, profiles.c.profile_id == loser).values(merged_into=None))
    if followers:
        conn.execute(update(profiles).where(mine, profiles.c.profile_id.in_(followers)).values(merged_into=loser))
    for retired in decision.restored:
        unretire(conn, site_id, retired)
    conn.execute(update(merges).where(merges.c.merge_id == merge_id).values(reversed_at=now))
    withdraw_assumptions(conn, site_id, case.leaves)
    return decision


def fetch_merge(conn: Connection, site_id: int, merge_id: int) -> JournalledMerge | None:
    """One merge of a site."""
    query = select(merges).where(merges.c.site_id == site_id, merges.c.merge_id == merge_id)
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else journalled(row)


def fetch_involved(conn: Connection, site_id: int, merge: JournalledMerge) -> tuple[str, ...]:
    """The profiles of both people that undoing a merge makes of one, in order of ids."""
    root = fetch_root(conn, site_id, merge.winner)
    return () if root is None else tuple(sorted(leaf for leaf, _ in fetch_cluster(conn, site_id, root)))


def fetch_case(conn: Connection, site_id: int, merge_id: int) -> MergeCase | None:
    """All that undoing a merge looks at, None if the site has no such merge."""
    merge = fetch_merge(conn, site_id, merge_id)
    if merge is None:
        return None
    leaves = fetch_involved(conn, site_id, merge)
    later = tuple(
        other
        for other in map(journalled, fetch_merges_of(conn, site_id, leaves))
        if other.merge_id > merge_id and other.reversed_at is None
    )
    retired = tuple(old for old in fetch_retirements(conn, site_id, leaves) if old.event_id == merge.event_id)
    holders = {old.held: fetch_identifier(conn, site_id, old.held.kind, old.held.value) for old in retired}
    roots = fetch_roots(conn, site_id, [leaf for leaf in holders.values() if leaf])
    return MergeCase(
        merge,
        leaves,
        later,
        _fetch_speakers(conn, site_id, [other.event_id for other in later]),
        fetch_held(conn, site_id, leaves),
        retired,
        {(old.kind, old.value): roots[leaf] for old, leaf in holders.items() if leaf},
    )


def _fetch_speakers(conn: Connection, site_id: int, event_ids: Collection[str]) -> dict[str, str | None]:
    query = select(events.c.event_id, events.c.profile_id)
    rows = conn.execute(query.where(events.c.site_id == site_id, events.c.event_id.in_(event_ids)))
    return {row[0]: row[1] for row in rows}


def name_people(conn: Connection, site_id: int, undone: Sequence[JournalledMerge]) -> tuple[KeptApart, ...]:
    """Undone merges with the people (roots) whom they keep apart."""
    roots = fetch_roots(conn, site_id, {leaf for merge in undone for leaf in (merge.winner, merge.loser)})
    return tuple(KeptApart(merge, (roots[merge.winner], roots[merge.loser])) for merge in undone)


def fetch_apart(conn: Connection, site_id: int, limit: int, before: int | None = None) -> tuple[KeptApart, ...]:
    """At most `limit` pairs that are kept apart, by the newest merge first, older than merge `before`."""
    query = select(merges).where(
        merges.c.site_id == site_id, merges.c.reversed_at.is_not(None), merges.c.apart_lifted_at.is_(None)
    )
    if before is not None:
        query = query.where(merges.c.merge_id < before)
    rows = conn.execute(query.order_by(merges.c.merge_id.desc()).limit(limit)).mappings()
    return name_people(conn, site_id, [journalled(row) for row in rows])


def lift_apart(conn: Connection, site_id: int, merge_id: int, now: int) -> JournalledMerge | None:
    """Let automatic rules join the two of an undone merge again; None if it keeps nobody apart."""
    own_site(conn, site_id)
    merge = fetch_merge(conn, site_id, merge_id)
    if merge is None or not merge.keeps_apart:
        return None
    conn.execute(update(merges).where(merges.c.merge_id == merge_id).values(apart_lifted_at=now))
    return fetch_merge(conn, site_id, merge_id)
