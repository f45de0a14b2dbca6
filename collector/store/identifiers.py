"""Identifiers that name a person, those that once did, claims that do not, and the journal of merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import (
    CompoundSelect,
    Connection,
    Dialect,
    Insert,
    RowMapping,
    Select,
    Text,
    delete,
    insert,
    literal,
    literal_column,
    select,
    union_all,
)

from collector.domain.event import Trust
from collector.domain.explain import HeldIdentifier, RetiredIdentifier
from collector.store.dialect import insert_or_ignore
from collector.store.prepared import Slot, fetch, write_rows
from collector.store.schema import claims, id_bytes, identifiers, merges, retirements

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
    mine = (identifiers.c.site_id == site_id, identifiers.c.kind == "email", identifiers.c.value == email)
    held = conn.execute(select(identifiers).where(*mine)).mappings().one_or_none()
    if held is not None:
        event_id, trust, now = evidence
        conn.execute(delete(identifiers).where(*mine))
        retired = {"retired_by": event_id, "retired_trust": int(trust), "retired_at": now}
        conn.execute(insert_or_ignore(conn, retirements), {**held, **retired})


def unretire(conn: Connection, site_id: int, retired: RetiredIdentifier) -> None:
    """Give back, exactly as it was held, an identifier that was retired and that nobody has now."""
    held, key = retired.held, (retirements.c.site_id == site_id, retirements.c.retired_by == retired.event_id)
    mine = (retirements.c.profile_id == held.profile_id, retirements.c.kind == held.kind)
    conn.execute(delete(retirements).where(*key, *mine, retirements.c.value == held.value))
    evidence = (held.event_id, held.trust, held.at)
    insert_identifier(conn, site_id, held.kind, held.value, held.profile_id, held.rule, evidence)


def fetch_retirements(conn: Connection, site_id: int, leaves: Sequence[str]) -> tuple[RetiredIdentifier, ...]:
    """The identifiers that a cluster no longer holds, oldest first."""
    query = select(retirements).where(retirements.c.site_id == site_id, retirements.c.profile_id.in_(leaves))
    order = (retirements.c.retired_at, retirements.c.retired_by, retirements.c.value)
    rows = conn.execute(query.order_by(*order)).mappings()
    return tuple(
        RetiredIdentifier(_held(row), row["retired_by"], Trust(row["retired_trust"]), row["retired_at"]) for row in rows
    )


def fetch_held(conn: Connection, site_id: int, leaves: Sequence[str]) -> tuple[HeldIdentifier, ...]:
    """The CID and e-mail of a cluster, as the rules see them."""
    return tuple(_held(row) for row in fetch_identifiers(conn, site_id, leaves))


def _held(row: RowMapping) -> HeldIdentifier:
    return HeldIdentifier(
        row["kind"],
        row["value"],
        row["profile_id"],
        row["rule"],
        row["event_id"],
        Trust(row["trust"]),
        row["assigned_at"],
    )


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
    write_rows(conn, _insert_merge, [(site_id, *ids, rule, id_bytes(event_id), int(trust), now, before, None, None)])


def fetch_identifiers(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    """The CID and e-mail of a cluster, with the evidence for each."""
    query = select(identifiers).where(identifiers.c.site_id == site_id, identifiers.c.profile_id.in_(leaves))
    order = (identifiers.c.assigned_at, identifiers.c.kind, identifiers.c.value)
    return conn.execute(query.order_by(*order)).mappings().all()


def fetch_claims(conn: Connection, site_id: int, leaves: Sequence[str]) -> Sequence[RowMapping]:
    """What was claimed about a cluster and not believed, and as `replaced` what it no longer holds; oldest first."""
    said, old = claims.c, retirements.c
    claimed = select(
        said.profile_id, said.kind, said.value, said.reason, said.trust, said.event_id, said.claimed_at
    ).where(said.site_id == site_id, said.profile_id.in_(leaves))
    replaced = select(
        old.profile_id,
        old.kind,
        old.value,
        literal("replaced", Text),
        old.retired_trust,
        old.retired_by,
        old.retired_at,
    ).where(old.site_id == site_id, old.profile_id.in_(leaves))
    both = union_all(claimed, replaced)
    one = both.selected_columns
    order = (one.claimed_at, one.event_id, one.kind, one.value, one.reason, one.profile_id)
    return conn.execute(both.order_by(*order)).mappings().all()


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


def _owners(site: Slot, cid: Slot, email: Slot) -> CompoundSelect[Any]:
    looked_up = [
        select(literal_column(f"'{kind}'"), identifiers.c.profile_id).where(
            identifiers.c.site_id == site, identifiers.c.kind == kind, identifiers.c.value == value
        )
        for kind, value in (("cid", cid), ("email", email))
    ]
    return union_all(*looked_up)


def fetch_owners(conn: Connection, site_id: int, cid: str | None, email: str | None) -> tuple[str | None, str | None]:
    """The profiles (leaves) that a CID and an e-mail name."""
    if cid is None or email is None:
        by_cid = fetch_identifier(conn, site_id, "cid", cid) if cid is not None else None
        by_email = fetch_identifier(conn, site_id, "email", email) if email is not None else None
        return by_cid, by_email
    named: dict[str, str] = dict(fetch(conn, _owners, site_id, cid, email))
    return named.get("cid"), named.get("email")


def fetch_identifier(conn: Connection, site_id: int, kind: str, value: str) -> str | None:
    """The profile (leaf) that an identifier names."""
    rows = fetch(conn, _identifier, site_id, kind, value)
    return rows[0][0] if rows else None
