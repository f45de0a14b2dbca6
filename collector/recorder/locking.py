"""Several collectors on one database: what a group locks before it decides (spec/identity.md, Properties).

Plain events of browsers that are known lock nothing but, shared, their site: they change nobody. What makes a UID known
or says who somebody is locks the names whose meaning it may change, then the people whom the rules may merge. All of it
is taken for the whole group at once and in order, so that two groups rarely wait for each other crosswise; where they
do, the database ends one of them and it begins again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.domain.event import Arrival, Event
from collector.domain.identifiers import sanitise
from collector.domain.recognition import born_at
from collector.domain.visit import marker_kind
from collector.recorder.picture import Picture
from collector.store.locks import Changed, Concern, fetch_concerned, lock_names
from collector.store.schema import id_text

Name = tuple[str, str]


def lock_meanings(picture: Picture, arrivals: Sequence[Arrival]) -> bool:
    """Lock the names that the group may give a meaning, and forget what was loaded of them; False if there are none."""
    names = _names(picture, arrivals)
    if not names:
        return False
    lock_names(picture.conn, picture.site.site_id, names)
    picture.names = names
    for kind, value in names:
        if kind == "uid":
            picture.uids.pop(value, None)
        elif kind == "device":
            picture.devices.pop(value, None)
    return True


def lock_people(picture: Picture, arrivals: Sequence[Arrival]) -> None:
    """Lock the people whom the group may merge or change. Raises `Changed` if others did so meanwhile."""
    if not _names(picture, arrivals) <= picture.names:
        raise Changed
    concern = _concern(picture, arrivals)
    if concern == Concern():
        return
    roots = fetch_concerned(picture.conn, picture.site.site_id, concern)
    picture.hold(id_text(root) for root in roots.values())
    if fetch_concerned(picture.conn, picture.site.site_id, concern) != roots:
        raise Changed


def _deciding(picture: Picture, arrivals: Sequence[Arrival]) -> Iterator[tuple[Arrival, Event, set[str]]]:
    """The events that may change what is known of anybody, with the devices on which they may do so."""
    for arrival in arrivals:
        if arrival.bot and picture.site.settings.bots != "include":
            continue
        homes = {picture.uids[event.uid].device_id for event in arrival.events if event.uid in picture.uids}
        devices = {device_id for device_id in (arrival.device_id, *homes) if device_id is not None}
        for event in arrival.events:
            if _is_new(picture, arrival, event) or event.assertion is not None or marker_kind(event) is not None:
                yield arrival, event, devices


def _is_new(picture: Picture, arrival: Arrival, event: Event) -> bool:
    """Whether a UID becomes known, or known on a device."""
    if event.uid is None:
        return False
    known = picture.uids.get(event.uid)
    return known is None or (known.device_id is None and arrival.device_id is not None)


def _names(picture: Picture, arrivals: Sequence[Arrival]) -> set[Name]:
    names: set[Name] = set()
    for arrival, event, devices in _deciding(picture, arrivals):
        names.update(("device", device_id) for device_id in devices)
        named = {"uid": event.uid, "visit": event.visit_id, "contact": arrival.contact_id}
        names.update((kind, value) for kind, value in named.items() if value is not None)
        names.update(_said(event))
    return names


def _said(event: Event) -> set[Name]:
    """The identifiers that an event asserts, as R1 leaves them."""
    if event.assertion is None:
        return set()
    claimed = sanitise(event.assertion).assertion
    return {(kind, value) for kind, value in (("cid", claimed.cid), ("email", claimed.email)) if value is not None}


def _concern(picture: Picture, arrivals: Sequence[Arrival]) -> Concern:
    """Whom the group may merge or change: those whom its assertions are about, and those whom R7 may find."""
    concern = Concern()
    for arrival, event, devices in _deciding(picture, arrivals):
        said = _said(event)
        births = {event.uid: born_at(event.uid)} if event.uid and _is_new(picture, arrival, event) else {}
        late = {
            (device_id, birth)
            for device_id in devices
            for birth in births.values()
            if device_id in picture.devices and (picture.devices[device_id].last_asserted_at or -1) > birth
        }
        if not said and not late:
            continue
        concern.identifiers.update(said)
        concern.moments.update(late)
        concern.moments.update((device_id, event.tracked_at) for device_id in devices if said)
        if event.uid is not None:
            concern.uids.add(event.uid)
        if arrival.contact_id is not None:
            concern.profiles.add(arrival.contact_id)
    return concern
