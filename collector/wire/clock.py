"""When an event occurred, from a clock that may be wrong (spec/wire.md, Limits)."""

from __future__ import annotations

from typing import NamedTuple

from collector.wire.warnings import CLOCK_SKEW, NO_SENT_AT

MAX_SKEW_MS = 60_000
MAX_AHEAD_MS = 5 * 60_000
MAX_AGE_MS = 30 * 86_400_000
MAX_DATE_MS = 8_640_000_000_000_000  # the last moment that a JavaScript Date can hold


class Clock(NamedTuple):
    """How one request's device counts time; made once per request, hence the cheap kind of value.

    Add `shift_ms` to what the device says; outside `floor` to `ceiling` (ms UTC) the result is not to be believed.
    `warnings` go to every event of the request.
    """

    received_at: int
    sent_at: int | None
    shift_ms: int
    floor: int
    ceiling: int
    warnings: tuple[str, ...]

    @property
    def now(self) -> int:
        """When the request was sent, by the device's clock if it told."""
        return self.received_at if self.sent_at is None else self.sent_at


def read_clock(sent_at: object, received_at: int) -> Clock:
    """The device's clock, judged by what it said when it sent.

    Within a minute it is left alone, because the way here takes time and correcting for that would change the order
    of one browser's events. Beyond, occurred_at = received - (sent - tracked).
    """
    sent: int | None = None
    shift_ms = 0
    warnings: tuple[str, ...] = (NO_SENT_AT,)
    if type(sent_at) in (int, float) and -MAX_DATE_MS <= sent_at <= MAX_DATE_MS:  # type: ignore[operator]
        sent = int(sent_at)  # type: ignore[call-overload]
        warnings = ()
        if not -MAX_SKEW_MS <= received_at - sent <= MAX_SKEW_MS:
            shift_ms = received_at - sent
            warnings = (CLOCK_SKEW,)
    floor, ceiling = received_at - MAX_AGE_MS, received_at + MAX_AHEAD_MS
    return tuple.__new__(Clock, (received_at, sent, shift_ms, floor, ceiling, warnings))
