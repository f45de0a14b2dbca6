"""The shape of an event as the SDK sends it: which fields are interpreted, their types and their ranges."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from collector.wire.clock import MAX_DATE_MS

MAX_SAFE_INTEGER = 2**53 - 1

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]  # indexed, hence not endless
Moment = Annotated[int, msgspec.Meta(ge=-MAX_DATE_MS, le=MAX_DATE_MS)]
MomentWithFraction = Annotated[float, msgspec.Meta(ge=-MAX_DATE_MS, le=MAX_DATE_MS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SAFE_INTEGER)]

_path = re.compile(r"`\$\.?([^`]*)`$").search
_missing = re.compile(r"missing required field `([^`]*)`").search


class Sent(msgspec.Struct, gc=False):
    """An event's interpreted fields. Null is the same as absent where absent is allowed; unknown keys are welcome.

    All but the first ten stay in the body as well; they are here to have their types checked.
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
    title: str | None = None
    referrer: str | None = None
    email: str | None = None
    dims: dict[str, Any] | None = None
    items: list[Any] | None = None
    extra: dict[str, Any] | None = None
    campaign: dict[str, Any] | None = None
    dropped: int | None = None


def faulty_field(error: msgspec.ValidationError) -> str:
    """The path of the field that `error` is about, "" for the event itself."""
    match = _missing(str(error)) or _path(str(error))
    return match[1] if match else ""
