"""Devices, their UIDs, the bindings of UIDs to profiles, and the boundaries between epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Dialect, Insert, Select, and_, func, insert, select, update

from collector.domain.event import Trust, UidOrigin
from collector.domain.recognition import Binding, Device, Moment
from collector.store.dialect import insert_on_conflict, insert_or_ignore
from collector.store.driver import Row
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, padded, write_rows
from collector.store.schema import (
    bindings,
    boundaries,
    devices,
    id_bytes,
    uids,
    user_identifications,
)


class KnownUid(Struct, frozen=True, gc=False):
    """A UID that was seen before: the browser it was born in, and whose it was when (bindings in order)."""

    uid: str
    device_id: str | None
    bindings: tuple[Binding, ...]


class NewUid(Struct, frozen=True, gc=False):
    """A row for a UID seen for the first time."""

    uid: str
    device_id: str | None
    origin: UidOrigin
    born_at: int


class NewBinding(Struct, frozen=True, gc=False):
    """A row that says: from `since` on, `uid` speaks for `profile_id`."""

    uid: str
    since: Moment
    profile_id: str
    rule: str
    event_id: str
    trust: Trust
    bound_at: int


class Asserted(NamedTuple):
    """A CID that R4 accepted on a device, the leaf that it was accepted for, and the event that said it."""

    moment: Moment
    cid: str
    profile_id: str
    event_id: str


def _devices(site: Slot, *ids: Slot) -> Select[Any]:
    columns = (devices.c.device_id, devices.c.youngest_uid, devices.c.youngest_born_at, devices.c.last_asserted_at)
    return select(*columns).where(devices.c.site_id == site, is_one_of(devices.c.device_id, ids))


def fetch_devices(conn: Connection, site_id: int, device_ids: Iterable[str]) -> dict[str, Device]:
    """The known ones among `device_ids`, by id."""
    return {row[0]: Device(*row) for row in fetch_by_ids(conn, _devices, site_id, [*device_ids])}


_bound = select(
    bindings.c.uid, uids.c.device_id, bindings.c.since_at, bindings.c.since_seq, bindings.c.profile_id
).join(uids, and_(uids.c.site_id == bindings.c.site_id, uids.c.uid == bindings.c.uid))


def _bindings(site: Slot, *ids: Slot) -> Select[Any]:
    return _bound.where(bindings.c.site_id == site, is_one_of(bindings.c.uid, ids))


def fetch_uids(conn: Connection, site_id: int, wanted: Iterable[str]) -> dict[str, KnownUid]:
    """The known ones among the UIDs in `wanted`, with all their bindings."""
    return _with_bindings(fetch_by_ids(conn, _bindings, site_id, [*wanted]))


def _with_bindings(rows: Iterable[Row]) -> dict[str, KnownUid]:
    found: dict[str, tuple[str | None, list[Binding]]] = {}
    for uid, device_id, since_at, since_seq, profile_id in rows:
        binding = Binding(Moment(since_at, since_seq), profile_id)
        found.setdefault(uid, (device_id, []))[1].append(binding)
    return {uid: KnownUid(uid, device_id, tuple(sorted(bound))) for uid, (device_id, bound) in found.items()}


def _born_between(site: Slot, device: Slot, start: Slot, end: Slot) -> Select[Any]:
    mine = (uids.c.site_id == site, uids.c.device_id == device, uids.c.born_at.between(start, end))
    return _bound.where(*mine)


def fetch_uids_born_between(
    conn: Connection, site_id: int, device_id: str, start: int, end: int
) -> dict[str, KnownUid]:
    """The UIDs of a device that were born in [start, end], both on the device's clock."""
    return _with_bindings(fetch(conn, _born_between, site_id, device_id, start, end))


def _boundaries(site: Slot, device: Slot) -> Select[Any]:
    mine = (boundaries.c.site_id == site, boundaries.c.device_id == device)
    return select(boundaries.c.at, boundaries.c.seq).where(*mine).order_by(boundaries.c.at, boundaries.c.seq)


def fetch_boundaries(conn: Connection, site_id: int, device_id: str) -> list[Moment]:
    """Where the epochs of a device begin, in order."""
    return [Moment(at, seq) for at, seq in fetch(conn, _boundaries, site_id, device_id)]


def _assertions(site: Slot, device: Slot, since: Slot) -> Select[Any]:
    table = user_identifications
    return (
        select(table.c.at, table.c.seq, table.c.cid, table.c.profile_id, table.c.event_id)
        .where(table.c.site_id == site, table.c.device_id == device, table.c.at >= since, table.c.cid.is_not(None))
        .order_by(table.c.at, table.c.seq)
    )


def fetch_assertions(conn: Connection, site_id: int, device_id: str, since: int) -> list[Asserted]:
    """The accepted CID assertions on a device from `since` on, in order."""
    rows = fetch(conn, _assertions, site_id, device_id, since)
    return [Asserted(Moment(at, seq), *rest) for at, seq, *rest in rows]


def _count_uids(site: Slot, *profile_ids: Slot) -> Select[Any]:
    mine = (bindings.c.site_id == site, is_one_of(bindings.c.profile_id, profile_ids))
    return select(func.count(bindings.c.uid.distinct())).where(*mine)


def count_uids(conn: Connection, site_id: int, profile_ids: Sequence[str]) -> int:
    """How many UIDs speak for these profiles (R13)."""
    return int(fetch(conn, _count_uids, site_id, *padded(profile_ids))[0][0])


def _insert_uids(_: Dialect) -> Insert:
    return insert(uids)


def insert_uids(conn: Connection, site_id: int, rows: Sequence[NewUid]) -> None:
    """Remember UIDs seen for the first time."""
    write_rows(
        conn,
        _insert_uids,
        [(site_id, id_bytes(r.uid), id_bytes(r.device_id) if r.device_id else None, r.origin, r.born_at) for r in rows],
    )


def update_uid(conn: Connection, site_id: int, uid: str, device_id: str, origin: UidOrigin) -> None:
    """Say in which browser, and how, a known UID was born."""
    conn.execute(
        update(uids).where(uids.c.site_id == site_id, uids.c.uid == uid).values(device_id=device_id, origin=origin)
    )


def _insert_bindings(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, bindings)


def insert_bindings(conn: Connection, site_id: int, rows: Sequence[NewBinding]) -> None:
    """Bind UIDs to profiles; a binding that exists at the same moment stays as it is."""
    write_rows(
        conn,
        _insert_bindings,
        [
            (
                site_id,
                id_bytes(row.uid),
                *row.since,
                id_bytes(row.profile_id),
                row.rule,
                id_bytes(row.event_id),
                int(row.trust),
                row.bound_at,
            )
            for row in rows
        ],
    )


def _insert_boundary(dialect: Dialect) -> Insert:
    return insert_or_ignore(dialect, boundaries)


def insert_boundary(conn: Connection, site_id: int, device_id: str, moment: Moment) -> None:
    """Begin an epoch of a device at `moment`; repeating it changes nothing."""
    write_rows(conn, _insert_boundary, [(site_id, id_bytes(device_id), *moment)])


def _upsert_devices(dialect: Dialect) -> Insert:
    statement = insert_on_conflict(dialect, devices)
    replaced = {name: statement.excluded[name] for name in ("youngest_uid", "youngest_born_at", "last_asserted_at")}
    return statement.on_conflict_do_update(index_elements=[devices.c.site_id, devices.c.device_id], set_=replaced)


def upsert_devices(conn: Connection, site_id: int, rows: Sequence[Device]) -> None:
    """Save devices as they are given."""
    write_rows(
        conn,
        _upsert_devices,
        [
            (
                site_id,
                id_bytes(row.device_id),
                id_bytes(row.youngest_uid) if row.youngest_uid else None,
                row.youngest_born_at,
                row.last_asserted_at,
            )
            for row in rows
        ],
    )
