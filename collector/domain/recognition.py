"""R3, R8 and the epochs of R6/R7: which profile a UID speaks for, and which stretch of a device's life a time lies in.

Times here are the device's own clock (UID births and tracked times alike), so that a wrong clock is wrong in the same
way on both sides of a comparison and the jitter of the network cannot reorder the messages of one browser.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from collector.domain.event import UidOrigin

DAY_MS = 24 * 60 * 60 * 1000


class Moment(NamedTuple):
    """A point in the life of one browser: (milliseconds on its own clock, its event counter)."""

    at: int
    seq: int


BEGINNING = Moment(0, 0)


class Binding(NamedTuple):
    """From `since` on, the UID speaks for this profile (a leaf, never rewritten by a merge)."""

    since: Moment
    profile_id: str


class Device(Struct, frozen=True, gc=False):
    """What recognition needs to know of a browser: its youngest UID, and when somebody last said who they are on it."""

    device_id: str
    youngest_uid: str | None = None
    youngest_born_at: int = -1
    last_asserted_at: int | None = None


class Recognition(Struct, frozen=True, gc=False):
    """Where an unknown UID belongs. `is_new` asks for a new anonymous profile of that id."""

    profile_id: str
    rule: str
    is_new: bool


def born_at(uid: str) -> int:
    """The birth time of a UUIDv7, ms on the clock of the browser that minted it."""
    return int(uid[:8] + uid[9:13], 16)


def profile_at(bindings: Sequence[Binding], moment: Moment) -> str:
    """The profile that a UID spoke for: its latest binding at or before `moment` (the first one covers what is older).

    `bindings` are in order of `since` and at least one.
    """
    place = bisect_right(bindings, moment, key=lambda binding: binding.since)
    return bindings[max(place - 1, 0)].profile_id


def recognise(
    uid: str, origin: UidOrigin, device: Device | None, contact_id: str | None, fresh_profile_id: str
) -> Recognition:
    """R3 for a UID that was never seen: join the profile of the cookie, or get an anonymous one.

    `contact_id` is the live profile that a validly signed `CurrentContact` names, else None. A UID that is older than
    the device's youngest is a late message from before the cookie, so the cookie says nothing about it.
    """
    if origin == "reset":
        return Recognition(fresh_profile_id, "R8", is_new=True)
    is_youngest = device is None or born_at(uid) > device.youngest_born_at
    if contact_id is not None and is_youngest:
        return Recognition(contact_id, "R3", is_new=False)
    return Recognition(fresh_profile_id, "R3", is_new=True)


def is_younger(uid: str, device: Device) -> bool:
    """Whether `uid` becomes the youngest of `device`; of equal births the greater id is the younger, in any order."""
    return (born_at(uid), uid) > (device.youngest_born_at, device.youngest_uid or "")


def epoch_of(moment: Moment, boundaries: Sequence[Moment]) -> tuple[Moment, Moment | None]:
    """The epoch that `moment` lies in, as (start, end): looked up in time, never counted on arrival.

    `boundaries` are in order; `end` is None for the epoch that is still running.
    """
    place = bisect_right(boundaries, moment)
    start = boundaries[place - 1] if place else BEGINNING
    end = boundaries[place] if place < len(boundaries) else None
    return start, end


def is_shared(cids: Sequence[tuple[int, str]], at: int, limit: int = 3) -> bool:
    """R13: more than `limit` CIDs on one device in 24 h make it shared, until 24 h after the last switch of person.

    `cids` are (time, cid) of the assertions on the device, in order of time.
    """
    past = [(time, cid) for time, cid in cids if time <= at]
    shared_until = -1
    for (time, cid), (_, before) in zip(past[1:], past, strict=False):
        if cid != before:
            recent = {other for moment, other in past if time - DAY_MS < moment <= time}
            if len(recent) > limit or time < shared_until:
                shared_until = time + DAY_MS
    return at < shared_until
