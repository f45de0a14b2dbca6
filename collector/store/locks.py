"""Who may not work at the same time (spec/identity.md, Properties). On SQLite nobody can, so nothing is locked there.

Three kinds of locks, each held until the end of the transaction and always taken in this order:

1. the site, shared by everybody who records, exclusively by who changes people as a whole (erasure): `share_site`,
   `own_site`;
2. names that are about to get or change a meaning (device, UID, visit, CID, e-mail, cookie), sorted: `lock_names`;
3. the rows of the people whom a rule may merge or change, sorted: `lock_roots`.

Who looked something up before it held the lock looks again afterwards, and raises `Changed` if it is different.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from sqlalchemy import Connection

from collector.store.driver import await_rows
from collector.store.schema import id_bytes

MIGRATION = "migration"
PURGE = "purge"
RETENTION = "retention"

_LOCK_ALL = "SELECT count(pg_advisory_xact_lock(key)) FROM unnest($1::bigint[]) AS keys (key)"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared($1::bigint)"
_LOCK = "SELECT pg_advisory_xact_lock($1::bigint)"
_TRY = "SELECT pg_try_advisory_xact_lock($1::bigint)"
# Whom the rules may touch: whom a UID speaks for, who owns an identifier or a cookie's profile, who spoke on a device
# in the epoch of a moment (R7), and who said who they are on a device next after a moment (R7 for a UID that is late).
_CONCERNED = """
WITH leaves AS (
    SELECT b.profile_id FROM unnest($2::bytea[]) AS heard (uid)
        CROSS JOIN LATERAL (SELECT profile_id FROM bindings WHERE site_id = $1 AND uid = heard.uid OFFSET 0) AS b
    UNION SELECT i.profile_id FROM unnest($3::text[], $4::text[]) AS said (kind, value)
        CROSS JOIN LATERAL (
            SELECT profile_id FROM identifiers WHERE site_id = $1 AND kind = said.kind AND value = said.value OFFSET 0
        ) AS i
    UNION SELECT unnest($5::bytea[])
    UNION SELECT spoken.profile_id FROM unnest($6::bytea[], $7::bigint[]) AS asked (device_id, at)
        CROSS JOIN LATERAL (
            SELECT coalesce(max(o.at), 0) AS start FROM boundaries o
            WHERE o.site_id = $1 AND o.device_id = asked.device_id AND o.at <= asked.at
        ) AS epoch
        CROSS JOIN LATERAL (
            SELECT uid FROM uids
            WHERE site_id = $1 AND device_id = asked.device_id AND born_at BETWEEN epoch.start AND asked.at OFFSET 0
        ) AS born
        CROSS JOIN LATERAL (
            SELECT profile_id FROM bindings WHERE site_id = $1 AND uid = born.uid OFFSET 0
        ) AS spoken
    UNION SELECT next.profile_id FROM unnest($6::bytea[], $7::bigint[]) AS asked (device_id, at)
        CROSS JOIN LATERAL (
            SELECT profile_id FROM user_identifications a
            WHERE a.site_id = $1 AND a.device_id = asked.device_id AND a.at > asked.at AND a.cid IS NOT NULL
            ORDER BY a.at, a.seq LIMIT 1
        ) AS next
)
SELECT p.profile_id, p.root FROM leaves CROSS JOIN LATERAL (
    SELECT profile_id, coalesce(merged_into, profile_id) AS root FROM profiles
    WHERE site_id = $1 AND profile_id = leaves.profile_id OFFSET 0
) AS p
"""
_REACH = "LOCK TABLE events, visits, uids, bindings, profiles, devices IN ROW EXCLUSIVE MODE NOWAIT"
_LOCK_ROOTS = """
SELECT profile_id FROM profiles WHERE site_id = $1 AND profile_id = ANY($2::bytea[]) ORDER BY profile_id FOR UPDATE
"""


class Changed(Exception):
    """Somebody else changed what this transaction had looked at; it begins again."""


def can_meet(conn: Connection) -> bool:
    """Whether other transactions may write at the same time."""
    return conn.dialect.name == "postgresql"


def _key(*parts: object) -> int:
    """A lock's number. Two names that share one by chance wait for each other without need, and that is all."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def share_site(conn: Connection, site_id: int) -> None:
    """Record for a site beside others who do."""
    if can_meet(conn):
        await_rows(conn, _LOCK_SHARED, (_key("site", site_id),))


def own_site(conn: Connection, site_id: int) -> None:
    """Change people of a site while nobody records for it."""
    if can_meet(conn):
        await_rows(conn, _LOCK, (_key("site", site_id),))


def lock_names(conn: Connection, site_id: int, names: Iterable[tuple[str, str]]) -> None:
    """Be the only one who gives a meaning to these (kind, value), or changes it."""
    if can_meet(conn):
        await_rows(conn, _LOCK_ALL, (sorted({_key(site_id, kind, value) for kind, value in names}),))


@dataclass(frozen=True, slots=True)
class Concern:
    """What says whom the rules may touch: UIDs, (kind, value) of identifiers, profiles, and (device, moment)."""

    uids: set[str] = field(default_factory=set)
    identifiers: set[tuple[str, str]] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)
    moments: set[tuple[str, int]] = field(default_factory=set)


def fetch_concerned(conn: Connection, site_id: int, concern: Concern) -> dict[bytes, bytes]:
    """Leaf to root of the people whom the rules may touch, as bytes. Only where transactions can meet."""
    kinds, values = [kind for kind, _ in concern.identifiers], [value for _, value in concern.identifiers]
    devices, moments = [id_bytes(device) for device, _ in concern.moments], [at for _, at in concern.moments]
    named = [id_bytes(profile) for profile in concern.profiles]
    uids = [id_bytes(uid) for uid in concern.uids]
    rows = await_rows(conn, _CONCERNED, (site_id, uids, kinds, values, named, devices, moments))
    return {row[0]: row[1] for row in rows}


def lock_roots(conn: Connection, site_id: int, roots: Collection[str]) -> None:
    """Be the only one who merges or changes these people. They may have been merged before this got the lock."""
    if roots and can_meet(conn):
        await_rows(conn, _LOCK_ROOTS, (site_id, [id_bytes(root) for root in roots]))


def lock_alone(conn: Connection, what: str) -> None:
    """Be the only one in the whole installation who does `what`; waits for whoever does it now."""
    if can_meet(conn):
        await_rows(conn, _LOCK, (_key(what),))


def reach_tables(conn: Connection) -> None:
    """Fail at once if somebody keeps the tables of recording from being written, instead of waiting for them."""
    if can_meet(conn):
        await_rows(conn, _REACH)


def try_alone(conn: Connection, what: str) -> bool:
    """Like `lock_alone`, but False instead of waiting."""
    return not can_meet(conn) or bool(await_rows(conn, _TRY, (_key(what),))[0][0])
