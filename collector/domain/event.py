"""What arrives: an event, a refused event, one request's worth of both, and the receipt for it.

Plain values only. Ids are canonical lower-case UUID text, times are integer milliseconds UTC. Reading bytes is the
job of `wire`, deciding what an event means is the job of the other modules here.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from collector.domain.site import Site

UidOrigin = Literal["first", "reset"]


class Trust(IntEnum):
    """How far an assertion is believed (DESIGN, Trust)."""

    BROWSER = 0
    SIGNED_TOKEN = 1
    SECRET_KEY = 2


class EventCode(StrEnum):
    """Why one event was quarantined (spec/wire.md); its neighbours are stored all the same."""

    EVENT_TOO_LARGE = "event_too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    MISSING_ID = "missing_id"
    MALFORMED_ID = "malformed_id"
    INVALID_FIELD = "invalid_field"
    ID_CONFLICT = "id_conflict"
    STORAGE_REJECTED = "storage_rejected"


class Assertion(Struct, frozen=True, gc=False):
    """Who the visitor says they are, as sent: not yet sanitised (spec/identity.md, Objects and R1).

    `traits` are the remaining `dims.customers.*` values. `hint` marks `user/info`, which never asserts (R14). `token`
    is an identity token that nobody has looked at yet; `trust` is what it earned once somebody has. `visit_id` is the
    visit whose identity a hint means, where it names no other.
    """

    cid: str | None = None
    email: str | None = None
    traits: dict[str, object] = field(default_factory=dict)
    hint: bool = False
    token: str | None = None
    trust: Trust = Trust.BROWSER
    visit_id: str | None = None


class Event(Struct, frozen=True, gc=False):
    """One valid event.

    `occurred_at` is corrected for the device's clock, `tracked_at` is what the device said. `seq` orders events of
    one browser inside a millisecond. `body` is JSON (sorted keys) of everything that has no field of its own.
    `uid` is None for events from a client without one (pixel). `assertion` is None for the great majority.
    """

    event_id: str
    category: str
    action: str
    uid: str | None
    uid_origin: UidOrigin
    seq: int
    occurred_at: int
    tracked_at: int
    visit_id: str | None
    page_id: str | None
    url: str | None
    body: bytes
    assertion: Assertion | None = None
    warnings: tuple[str, ...] = ()


class Rejection(Struct, frozen=True, gc=False):
    """One event that was refused, with what is needed to repair and replay it. `index` is its place in the batch.

    `event_id` and `uid` are canonical, None where there is none that can be read.
    """

    index: int
    code: EventCode
    field: str
    raw: bytes
    event_id: str | None = None
    uid: str | None = None


class Arrival(Struct, frozen=True, gc=False):
    """What one request brought, ready to be recorded.

    `device_id` is the device named by the cookie, else by the SDK, else freshly minted; None when cookies are neither
    read nor set (no Origin header). `contact_id` is the profile named by a validly signed `CurrentContact`, else None.
    `indexes[i]` is the place in the batch of `events[i]`. `sent_at` is what the device's clock said, ms. `size` is
    that of the request's body in bytes, 0 for one that is short by nature.
    """

    site: Site
    received_at: int
    device_id: str | None
    contact_id: str | None
    events: tuple[Event, ...]
    indexes: tuple[int, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    trust: Trust = Trust.BROWSER
    bot: bool = False
    user_agent: str = ""
    sent_at: int | None = None
    size: int = 0


class Outcome(Struct, frozen=True, gc=False):
    """What became of one event that was not simply accepted."""

    index: int
    event_id: str | None
    status: Literal["duplicate", "quarantined", "suppressed", "warned"]
    code: str
    field: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """The answer to an arrival; it exists only after the commit.

    `contact_id` is the profile that `CurrentContact` must name from now on (R3), None to leave the cookie alone;
    `device_id` is the device that `GlobalVisit` must name, None likewise.
    """

    accepted: int
    duplicate: int
    quarantined: int
    suppressed: int
    contact_id: str | None
    device_id: str | None = None
    outcomes: tuple[Outcome, ...] = ()
