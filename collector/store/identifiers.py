"""Identifiers that name a person, claims that do not, and the journal of merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Insert, RowMapping, Select, delete, insert, select

from collector.domain.event import Trust
from collector.store.dialect import insert_or_ignore
from collector.store.prepared import Slot, fetch, write_rows
from collector.store.schema import claims, id_bytes, identifiers, merges

Evidence = tuple[str, Trust, int]  # (event_id, trust, ms when recorded)


def _insert_identifier(_: Dialect) -> Insert:
    return insert(identifiers)


def insert_identifier(
    conn: Connection, site_id: int, kind: str, value: str, profile_id: str, rule: str, evidence: Evidence
) -> None:
    """Give a free identifier to a profile."""
    event_id, trust, now = evidence
    row = (site_id, kind, value, id_bytes(profile_id), int(trust), rule, id_bytes(event_id), now)
    write_rows(conn, _insert_identifier, [row])


def retire_email(conn: Connection, site_id: int, email: str, evidence: Evidence) -> None:
    """Turn an e-mail into history of its profile: it no longer resolves (R5e)."""
    profile_id = fetch_identifier(conn, site_id, "email", email)
    if profile_id is not None:
        mine = (identifiers.c.site_id == site_id, identifiers.c.kind == "email", identifiers.c.value == email)
        conn.execute(delete(identifiers).where(*mine))
        insert_claim(conn, site_id, profile_id, "email", email, "replaced", evidence)


def _insert_claim(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, claims)


def insert_claim(
    conn: Connection, site_id: int, profile_id: str, kind: str, value: str, reason: str, evidence: Evidence
) -> None:
    """Keep what was claimed and not believed; the same claim again changes nothing."""
    event_id, trust, now = evidence
    row = (site_id, id_bytes(profile_id), kind, value, reason, int(trust), id_bytes(event_id), now)
    write_rows(conn, _insert_claim, [row])


def _insert_merge(_: Dialect) -> Insert:
    return insert(merges)


def insert_merge(
    conn: Connection, site_id: int, winner: str, loser: str, rule: str, followers: Sequence[str], evidence: Evidence
) -> None:
    """Journal a merge: ids only, with the pointers as they were before (R12)."""
    event_id, trust, now = evidence
    before = orjson.dumps(list(followers)).decode()
    ids = (id_bytes(winner), id_bytes(loser))
    write_rows(conn, _insert_merge, [(site_id, *ids, rule, id_bytes(event_id), int(trust), now, before, None)])


def fetch_identifiers(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    """The CID and e-mail of a cluster, with the evidence for each."""
    query = select(identifiers).where(identifiers.c.site_id == site_id, identifiers.c.profile_id.in_(leaves))
    return conn.execute(query.order_by(identifiers.c.assigned_at)).mappings().all()


def fetch_claims(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    """What was claimed about a cluster and not believed."""
    query = select(claims).where(claims.c.site_id == site_id, claims.c.profile_id.in_(leaves))
    return conn.execute(query.order_by(claims.c.claimed_at)).mappings().all()


def fetch_merges_of(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    """The merges that made a cluster, reversed ones included, oldest first."""
    of_site = select(merges).where(merges.c.site_id == site_id)
    both = of_site.where(merges.c.winner_id.in_(leaves)).union(of_site.where(merges.c.loser_id.in_(leaves)))
    return conn.execute(both.order_by(both.selected_columns.merge_id)).mappings().all()


def fetch_merges(conn: Connection, site_id: int, before: int | None, limit: int) -> Sequence[RowMapping]:
    """A page of the journal of a site, newest first, of merges older than merge `before`."""
    query = select(merges).where(merges.c.site_id == site_id)
    if before is not None:
        query = query.where(merges.c.merge_id < before)
    return conn.execute(query.order_by(merges.c.merge_id.desc()).limit(limit)).mappings().all()


def _identifier(site: Slot, kind: Slot, value: Slot) -> Select[Any]:
    return select(identifiers.c.profile_id).where(
        identifiers.c.site_id == site, identifiers.c.kind == kind, identifiers.c.value == value
    )


def fetch_identifier(conn: Connection, site_id: int, kind: str, value: str) -> str | None:
    """The profile (leaf) that an identifier names."""
    rows = fetch(conn, _identifier, site_id, kind, value)
    return rows[0][0] if rows else None
