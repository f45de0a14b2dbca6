"""What visitors decided about being recorded."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert

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
