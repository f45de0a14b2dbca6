"""Devices, their UIDs, the bindings of UIDs to profiles, and the boundaries between epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Dialect, Insert, Select, and_, func, insert, select

from collector.domain.event import UidOrigin
from collector.domain.recognition import Binding, Device, Moment
from collector.store.dialect import Slots, fetch_by_ids, insert_on_conflict, insert_or_ignore, write_rows
from collector.store.schema import (
    bindings,
    boundaries,
    devices,
    id_bytes,
    id_text,
    known_id_bytes,
    uids,
    user_identifications,
)


@dataclass(frozen=True, slots=True)
class KnownUid:
    """A UID that was seen before: the browser it was born in, and whose it was when (bindings in order)."""

    uid: str
    device_id: str | None
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class NewUid:
    """A row for a UID seen for the first time."""

    uid: str
    device_id: str | None
    origin: UidOrigin
    born_at: int


@dataclass(frozen=True, slots=True)
class NewBinding:
    """A row that says: from `since` on, `uid` speaks for `profile_id`."""

    uid: str
    since: Moment
    profile_id: str
    rule: str
    event_id: str
    bound_at: int


def _devices(site: BindParameter[int], slots: Slots) -> Select[Any]:
    columns = (devices.c.device_id, devices.c.youngest_uid, devices.c.youngest_born_at, devices.c.last_asserted_at)
    return select(*columns).where(devices.c.site_id == site, devices.c.device_id.in_(slots))


def fetch_devices(conn: Connection, site_id: int, device_ids: Iterable[str]) -> dict[str, Device]:
    """The known ones among `device_ids`, by id."""
    found = {}
    for raw, youngest, youngest_born_at, asserted_at in fetch_by_ids(conn, _devices, site_id, [*device_ids]):
        device_id = id_text(raw)
        found[device_id] = Device(device_id, id_text(youngest) if youngest else None, youngest_born_at, asserted_at)
    return found


def _bindings(site: BindParameter[int], slots: Slots) -> Select[Any]:
    columns = (bindings.c.uid, uids.c.device_id, bindings.c.since_at, bindings.c.since_seq, bindings.c.profile_id)
    return (
        select(*columns)
        .join(uids, and_(uids.c.site_id == bindings.c.site_id, uids.c.uid == bindings.c.uid))
        .where(bindings.c.site_id == site, bindings.c.uid.in_(slots))
    )


def fetch_uids(conn: Connection, site_id: int, wanted: Iterable[str]) -> dict[str, KnownUid]:
    """The known ones among the UIDs in `wanted`, with all their bindings."""
    found: dict[bytes, tuple[bytes | None, list[Binding]]] = {}
    for uid, device_id, since_at, since_seq, profile_id in fetch_by_ids(conn, _bindings, site_id, [*wanted]):
        binding = Binding(Moment(since_at, since_seq), id_text(profile_id))
        found.setdefault(uid, (device_id, []))[1].append(binding)
    known = (
        KnownUid(id_text(uid), id_text(device_id) if device_id else None, tuple(sorted(bound)))
        for uid, (device_id, bound) in found.items()
    )
    return {uid.uid: uid for uid in known}


def fetch_uids_born_between(
    conn: Connection, site_id: int, device_id: str, start: int, end: int
) -> dict[str, KnownUid]:
    """The UIDs of a device that were born in [start, end], both on the device's clock."""
    born = select(uids.c.uid).where(
        uids.c.site_id == site_id, uids.c.device_id == device_id, uids.c.born_at.between(start, end)
    )
    return fetch_uids(conn, site_id, conn.scalars(born).all())


def fetch_boundaries(conn: Connection, site_id: int, device_id: str) -> list[Moment]:
    """Where the epochs of a device begin, in order."""
    rows = conn.execute(
        select(boundaries.c.at, boundaries.c.seq)
        .where(boundaries.c.site_id == site_id, boundaries.c.device_id == device_id)
        .order_by(boundaries.c.at, boundaries.c.seq)
    )
    return [Moment(at, seq) for at, seq in rows]


def fetch_assertions(conn: Connection, site_id: int, device_id: str, since: int) -> list[tuple[Moment, str, str]]:
    """The accepted CID assertions on a device from `since` on, in order: (moment, cid, profile)."""
    table = user_identifications
    rows = conn.execute(
        select(table.c.at, table.c.seq, table.c.cid, table.c.profile_id)
        .where(
            table.c.site_id == site_id, table.c.device_id == device_id, table.c.at >= since, table.c.cid.is_not(None)
        )
        .order_by(table.c.at, table.c.seq)
    )
    return [(Moment(at, seq), cid, profile_id) for at, seq, cid, profile_id in rows]


def count_uids(conn: Connection, site_id: int, profile_ids: Sequence[str]) -> int:
    """How many UIDs speak for these profiles (R13)."""
    query = select(func.count(bindings.c.uid.distinct())).where(
        bindings.c.site_id == site_id, bindings.c.profile_id.in_(profile_ids)
    )
    return conn.scalar(query) or 0


def _insert_uids(_: Dialect) -> Insert:
    return insert(uids)


def insert_uids(conn: Connection, site_id: int, rows: Sequence[NewUid]) -> None:
    """Remember UIDs seen for the first time."""
    write_rows(
        conn,
        _insert_uids,
        [
            (site_id, known_id_bytes(r.uid), known_id_bytes(r.device_id) if r.device_id else None, r.origin, r.born_at)
            for r in rows
        ],
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
                known_id_bytes(row.uid),
                *row.since,
                known_id_bytes(row.profile_id),
                row.rule,
                id_bytes(row.event_id),
                row.bound_at,
            )
            for row in rows
        ],
    )


def insert_boundary(conn: Connection, site_id: int, device_id: str, moment: Moment) -> None:
    """Begin an epoch of a device at `moment`; repeating it changes nothing."""
    conn.execute(
        insert_or_ignore(conn, boundaries),
        {"site_id": site_id, "device_id": device_id, "at": moment.at, "seq": moment.seq},
    )


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
                known_id_bytes(row.device_id),
                known_id_bytes(row.youngest_uid) if row.youngest_uid else None,
                row.youngest_born_at,
                row.last_asserted_at,
            )
            for row in rows
        ],
    )
