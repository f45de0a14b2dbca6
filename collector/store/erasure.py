"""R16: deleting all that is known of a person, and keyed hashes that keep it from coming back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, or_, select, update

from collector.domain.mention import mentions_of
from collector.store.assumptions import settle_assumption
from collector.store.consents import Consent, insert_consent
from collector.store.dialect import insert_on_conflict, insert_or_ignore
from collector.store.marks import fold_again
from collector.store.prepared import Slot, fetch_by_ids, is_one_of
from collector.store.profiles import fetch_cluster
from collector.store.schema import (
    bindings,
    boundaries,
    claims,
    consents,
    contacts,
    devices,
    events,
    id_text,
    identifiers,
    merges,
    profiles,
    retirements,
    sessions,
    tombstones,
    traits,
    uids,
    user_identifications,
    visit_profiles,
    visits,
)
from collector.store.traces import (
    erase_naming_claims,
    erase_naming_events,
    erase_naming_history,
    erase_naming_quarantine,
    fetch_alone,
)

THEIRS = (  # by leaf
    events,
    user_identifications,
    sessions,
    contacts,
    visit_profiles,
    traits,
    claims,
    retirements,
    identifiers,
    bindings,
    profiles,
)


def _tombstones(site: Slot, *hashes: Slot) -> Select[Any]:
    # The hash covers the kind, so that one look-up serves all kinds.
    mine = (tombstones.c.site_id == site, is_one_of(tombstones.c.hash, hashes))
    return select(tombstones.c.hash, tombstones.c.erased_at).where(*mine)


def has_tombstones(conn: Connection, site_id: int) -> bool:
    """Whether anybody of the site was ever erased."""
    return conn.scalar(select(tombstones.c.hash).where(tombstones.c.site_id == site_id).limit(1)) is not None


class Erasures:
    """Tombstones: what was erased is known only by a hash keyed with the installation's secret."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"erasure {secret}".encode()).digest()

    def _hash(self, kind: str, value: str) -> bytes:
        return hashlib.blake2b(f"{kind}\0{value}".encode(), key=self._key, digest_size=16).digest()

    def nobody(self, uid: str) -> str:
        """The id of the profile that stands in for whoever was erased from a UID that others use too."""
        return id_text(self._hash("nobody", uid))

    def find(self, conn: Connection, site_id: int, kind: str, values: Iterable[str]) -> set[str]:
        """Those of `values` that were erased at any time."""
        hashes = {self._hash(kind, value): value for value in values}
        return {hashes[digest] for digest in self._fetch(conn, site_id, hashes)}

    def fetch_time(self, conn: Connection, site_id: int, said: Iterable[tuple[str, str]]) -> int | None:
        """When the latest of the (kind, value) in `said` was erased, ms; None if none was."""
        found = self._fetch(conn, site_id, [self._hash(kind, value) for kind, value in said])
        return max(found.values(), default=None)

    def _fetch(self, conn: Connection, site_id: int, hashes: Iterable[bytes]) -> dict[bytes, int]:
        rows = fetch_by_ids(conn, _tombstones, site_id, [*hashes])
        return {row[0]: row[1] for row in rows}

    def insert(self, conn: Connection, site_id: int, kind: str, values: Iterable[str], now: int) -> None:
        """Bury `values`; a later burial of the same value counts."""
        rows = [{"site_id": site_id, "hash": self._hash(kind, value), "erased_at": now} for value in values]
        if rows:
            statement = insert_on_conflict(conn, tombstones)
            conn.execute(
                statement.on_conflict_do_update(
                    index_elements=list(tombstones.primary_key.columns),
                    set_={"erased_at": statement.excluded.erased_at},
                ),
                rows,
            )


def erase_person(conn: Connection, site_id: int, root: str, erasures: Erasures, now: int) -> dict[str, int]:
    """Delete the whole cluster of `root`, its events and its quarantine rows; returns rows deleted by table.

    Also what others claimed of the person's identifiers, and the events of theirs that name them. What remains are
    tombstones. The bytes leave the files with `Database.scrub`, which the caller runs afterwards.
    """
    leaves = [leaf for leaf, _ in fetch_cluster(conn, site_id, root)]
    spoken = set(conn.scalars(select(bindings.c.uid).where(_of(bindings, site_id, leaves))))
    spoken -= _leave_to_others(conn, site_id, leaves, spoken, erasures, now)
    used = set(conn.scalars(select(uids.c.device_id).where(uids.c.site_id == site_id, uids.c.uid.in_(spoken)))) - {None}
    named = _bury(conn, site_id, leaves, spoken, erasures, now)
    mentions = mentions_of(spoken, named)
    claimants, folded = erase_naming_claims(conn, site_id, leaves, named)
    marked = user_identifications.c.visit_id
    folded |= set(conn.scalars(select(marked).where(_of(user_identifications, site_id, leaves)))) - {None}
    shared = _fetch_shared_visits(conn, site_id, leaves)
    erased = erase_naming_history(conn, site_id, leaves, named, mentions)
    for table in THEIRS:
        erased[str(table.name)] = conn.execute(delete(table).where(_of(table, site_id, leaves))).rowcount
    erased["events"] += erase_naming_events(conn, site_id, claimants, spoken, mentions)
    for table in (consents, uids):
        is_theirs = (table.c.site_id == site_id) & table.c.uid.in_(spoken)
        erased[str(table.name)] = conn.execute(delete(table).where(is_theirs)).rowcount
    journal = or_(merges.c.winner_id.in_(leaves), merges.c.loser_id.in_(leaves))
    erased["merges"] = conn.execute(delete(merges).where(merges.c.site_id == site_id, journal)).rowcount
    alone = used - _still_used(conn, site_id, used)
    erasures.insert(conn, site_id, "device", alone, now)
    erased |= _forget_devices(conn, site_id, alone, spoken, shared)
    erased["quarantine"] = erase_naming_quarantine(conn, site_id, alone, leaves, mentions)
    for visit_id in sorted(folded | shared):  # those that are left: somebody else was in them too
        fold_again(conn, site_id, visit_id)
        settle_assumption(conn, site_id, visit_id)
    return erased


def _fetch_shared_visits(conn: Connection, site_id: int, leaves: Sequence[str]) -> set[str]:
    """The visits in which the person spoke, and somebody else too, who may be the first speaker now."""
    other = visit_profiles.alias("other")
    same = (other.c.site_id == visit_profiles.c.site_id) & (other.c.visit_id == visit_profiles.c.visit_id)
    query = select(visit_profiles.c.visit_id).join(other, same)
    return set(conn.scalars(query.where(_of(visit_profiles, site_id, leaves), other.c.profile_id.not_in(leaves))))


def _bury(
    conn: Connection, site_id: int, leaves: Sequence[str], spoken: Iterable[str], erasures: Erasures, now: int
) -> set[tuple[str, str]]:
    """Tombstones for what named the person now or earlier; returns that, and what they claimed and nobody else is."""
    held = conn.execute(select(identifiers.c.kind, identifiers.c.value).where(_of(identifiers, site_id, leaves)))
    theirs = {(kind, value) for kind, value in held} | fetch_alone(conn, site_id, leaves, retirements)
    erasures.insert(conn, site_id, "uid", spoken, now)
    for kind in ("cid", "email"):
        erasures.insert(conn, site_id, kind, [value for k, value in theirs if k == kind], now)
    return theirs | fetch_alone(conn, site_id, leaves, claims)


def _leave_to_others(
    conn: Connection, site_id: int, leaves: Sequence[str], spoken: set[str], erasures: Erasures, now: int
) -> set[str]:
    """UIDs through which somebody else spoke too: they stay, and late events of the erased person are nobody's."""
    others = select(bindings.c.uid).where(
        bindings.c.site_id == site_id, bindings.c.uid.in_(spoken), bindings.c.profile_id.not_in(leaves)
    )
    shared = set(conn.scalars(others))
    for uid in shared:
        nobody = erasures.nobody(uid)
        values = {"site_id": site_id, "profile_id": nobody, "first_seen_at": now}
        conn.execute(insert_or_ignore(conn, profiles), values)
        conn.execute(
            update(bindings).where(_of(bindings, site_id, leaves), bindings.c.uid == uid).values(profile_id=nobody)
        )
    return shared


def _still_used(conn: Connection, site_id: int, used: set[str]) -> set[str]:
    """Devices that somebody else used too; asked after the UIDs of the person went."""
    return set(conn.scalars(select(uids.c.device_id).where(uids.c.site_id == site_id, uids.c.device_id.in_(used))))


def _forget_devices(
    conn: Connection, site_id: int, alone: set[str], erased_uids: set[str], shared: set[str]
) -> dict[str, int]:
    """Devices that nobody else used go, with their epochs and visits; the others forget the UIDs that were erased.

    Visits in which others spoke too (`shared`) stay, of no known device.
    """
    begun_there = (visits.c.site_id == site_id, visits.c.device_id.in_(alone), visits.c.visit_id.in_(shared))
    conn.execute(update(visits).where(*begun_there).values(device_id=None))
    conn.execute(
        update(devices)
        .where(devices.c.site_id == site_id, devices.c.youngest_uid.in_(erased_uids))
        .values(youngest_uid=None)
    )
    erased = {}
    for table in (devices, boundaries, visits):
        is_theirs = (table.c.site_id == site_id) & table.c.device_id.in_(alone)
        erased[str(table.name)] = conn.execute(delete(table).where(is_theirs)).rowcount
    return erased


def _of(table: Table, site_id: int, leaves: Sequence[str]) -> ColumnElement[bool]:
    return (table.c.site_id == site_id) & table.c.profile_id.in_(leaves)


def record_consent(conn: Connection, site_id: int, consent: Consent, erasures: Erasures) -> None:
    """Keep a decision; without its UID if that one was erased, for it stays erased."""
    uid = consent.uid
    if uid is not None and erasures.find(conn, site_id, "uid", [uid]):
        consent = replace(consent, uid=None)
    insert_consent(conn, site_id, consent)
