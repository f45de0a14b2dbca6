"""Traits of profiles: for each name, trust and kind (value or claim) the one that R10 would pick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Dialect, Insert, and_, or_, select

from collector.domain.event import Trust
from collector.domain.traits import Trait
from collector.store.dialect import insert_on_conflict
from collector.store.prepared import write_rows
from collector.store.schema import id_bytes, traits


def _upsert_traits(dialect: Dialect) -> Insert:
    statement = insert_on_conflict(dialect, traits)
    new = statement.excluded
    is_later = or_(
        traits.c.occurred_at < new.occurred_at,
        and_(traits.c.occurred_at == new.occurred_at, traits.c.event_id < new.event_id),
    )
    return statement.on_conflict_do_update(
        index_elements=list(traits.primary_key.columns),
        set_={"value": new.value, "occurred_at": new.occurred_at, "event_id": new.event_id},
        where=is_later,
    )


def upsert_traits(conn: Connection, site_id: int, said: Iterable[tuple[str, Trait]]) -> None:
    """Save traits of leaves, (leaf, trait); an older value never replaces a newer one of the same trust (R10).

    Two of one leaf differ in name, trust or kind.
    """
    rows = [
        (site_id, id_bytes(leaf), t.name, int(t.trust), t.is_claim, t.value, t.occurred_at, id_bytes(t.event_id))
        for leaf, t in said
    ]
    write_rows(conn, _upsert_traits, rows)


def fetch_traits(conn: Connection, site_id: int, leaves: Sequence[str]) -> list[Trait]:
    """All traits of a cluster, to be folded by `domain.traits`."""
    columns = (
        traits.c.name,
        traits.c.value,
        traits.c.trust,
        traits.c.occurred_at,
        traits.c.event_id,
        traits.c.is_claim,
    )
    rows = conn.execute(select(*columns).where(traits.c.site_id == site_id, traits.c.profile_id.in_(leaves)))
    return [Trait(name, value, Trust(trust), at, event_id, claim) for name, value, trust, at, event_id, claim in rows]
