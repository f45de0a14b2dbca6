"""The shape of an event as the SDK sends it: which fields are interpreted, their types and their ranges."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from collector.wire.clock import MAX_DATE_MS

MAX_SAFE_INTEGER = 2**53 - 1

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]  # indexed, hence not endless
Moment = Annotated[int, msgspec.Meta(ge=-MAX_DATE_MS, le=MAX_DATE_MS)]
MomentWithFraction = Annotated[float, msgspec.Meta(ge=-MAX_DATE_MS, le=MAX_DATE_MS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SAFE_INTEGER)]

_path = re.compile(r"`\$\.?([^`]*)`$").search
_missing = re.compile(r"missing required field `([^`]*)`").search


SHARED = ("uid", "uid_origin", "visit", "page")


class Sent(msgspec.Struct, gc=False):
    """An event's interpreted fields. Null is the same as absent where absent is allowed; unknown keys are welcome.

    The first ten become fields of the event. The rest stays in its body, null as null and what is absent (UNSET, which
    is false) absent.
    """

    event_id: str
    category: Name
    action: Name
    uid: str | None = None
    uid_origin: Literal["first", "reset"] | None = None
    visit: str | None = None
    page: str | None = None
    seq: Count | None = None
    at: Moment | MomentWithFraction | None = None
    url: str | None = None
    campaign: dict[str, Any] | UnsetType | None = UNSET
    dims: dict[str, Any] | UnsetType | None = UNSET
    dropped: int | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    extra: dict[str, Any] | UnsetType | None = UNSET
    items: list[Any] | UnsetType | None = UNSET
    referrer: str | UnsetType | None = UNSET
    title: str | UnsetType | None = UNSET


class KnownSent(Sent, forbid_unknown_fields=True, gc=False):
    """An event with no other keys."""


class KnownRequest(msgspec.Struct, gc=False):
    """A request with no other keys in its events: nearly every one, and it can be decoded without a detour by dicts.

    The fields of SHARED count for each event that does not say them itself.
    """

    events: list[KnownSent]
    sent_at: Any = None
    device: str | None = None
    uid: str | None = None
    uid_origin: Literal["first", "reset"] | None = None
    visit: str | None = None
    page: str | None = None

    def share(self) -> None:
        """Give every event what it inherits."""
        if self.uid is self.uid_origin is self.visit is self.page is None:
            return
        for event in self.events:
            if event.uid is None:
                event.uid = self.uid
            if event.uid_origin is None:
                event.uid_origin = self.uid_origin
            if event.visit is None:
                event.visit = self.visit
            if event.page is None:
                event.page = self.page


class Body(msgspec.Struct, gc=False):
    """What of a `KnownSent` stays in the body, in the order of a dict with sorted keys."""

    campaign: Any
    dims: Any
    dropped: Any
    email: Any
    extra: Any
    items: Any
    referrer: Any
    title: Any


def faulty_field(error: msgspec.ValidationError) -> str:
    """The path of the field that `error` is about, "" for the event itself."""
    match = _missing(str(error)) or _path(str(error))
    return match[1] if match else ""
