"""What visitors decided about being recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select

from collector.store.schema import consents


@dataclass(frozen=True, slots=True)
class Consent:
    """One decision. `uid` is None for a denial: it would identify somebody who asked not to be."""

    uid: str | None
    state: str
    decided_at: int
    received_at: int


def insert_consent(conn: Connection, site_id: int, consent: Consent) -> None:
    """Keep a decision; earlier ones stay, as proof of what was in force when."""
    conn.execute(
        insert(consents),
        {
            "site_id": site_id,
            "uid": consent.uid,
            "state": consent.state,
            "decided_at": consent.decided_at,
            "received_at": consent.received_at,
        },
    )


def fetch_consents(conn: Connection, site_id: int, uids: Sequence[str]) -> Sequence[RowMapping]:
    """The decisions made under these UIDs, oldest first."""
    query = select(consents).where(consents.c.site_id == site_id, consents.c.uid.in_(uids))
    return conn.execute(query.order_by(consents.c.consent_id)).mappings().all()
