"""What a transaction reads before it decides, as far as the recorder does not remember it."""

from __future__ import annotations

from collections.abc import Sequence

from collector.domain.event import Arrival
from collector.recorder.picture import Picture
from collector.store.devices import fetch_devices, fetch_uids
from collector.store.profiles import fetch_roots


def load(picture: Picture, arrivals: Sequence[Arrival]) -> None:
    """What the plain events of one site need: devices and UIDs; for unknown UIDs also cookies and erasures."""
    conn, site_id = picture.conn, picture.site.site_id
    uids, devices = picture.uids, picture.devices
    wanted = {arrival.device_id for arrival in arrivals}
    _load_devices(picture, wanted)
    mentioned = {event.uid for arrival in arrivals for event in arrival.events}
    mentioned |= {rejection.uid for arrival in arrivals for rejection in arrival.rejections}
    _load_uids(picture, mentioned | _youngest(picture, wanted))
    unknown = {uid for uid in mentioned if uid is not None and uid not in uids}
    if unknown:
        if picture.has_tombstones:
            picture.erased_uids = picture.erasures.find(conn, site_id, "uid", unknown)
            strangers = {device_id for device_id in wanted if device_id is not None and device_id not in devices}
            erased = picture.erasures.find(conn, site_id, "device", strangers) - picture.reborn.keys()
            picture.reborn |= {device_id: picture.fresh_id() for device_id in erased}
        contacts = {
            arrival.contact_id
            for arrival in arrivals
            if arrival.contact_id and any(event.uid in unknown for event in arrival.events)
        }
        picture.live_contacts = set(fetch_roots(conn, site_id, contacts)) if contacts else set()
    # Known UIDs bring their own device, which may differ from what the cookies said.
    # (Not `- devices.keys()`, which looks at each device that is remembered.)
    brought = {uids[uid].device_id for uid in mentioned if uid in uids}
    brought = {device_id for device_id in brought if device_id not in devices}
    _load_devices(picture, brought)
    _load_uids(picture, _youngest(picture, brought))


def _load_devices(picture: Picture, wanted: set[str | None]) -> None:
    missing = [device_id for device_id in wanted if device_id is not None and device_id not in picture.devices]
    if missing:
        picture.devices |= fetch_devices(picture.conn, picture.site.site_id, missing)


def _load_uids(picture: Picture, wanted: set[str | None]) -> None:
    missing = [uid for uid in wanted if uid is not None and uid not in picture.uids]
    if missing:
        picture.uids |= fetch_uids(picture.conn, picture.site.site_id, missing)


def _youngest(picture: Picture, device_ids: set[str | None]) -> set[str | None]:
    return {picture.devices[device_id].youngest_uid for device_id in device_ids if device_id in picture.devices}
