"""What a parser of requests hands on: a batch of events and rejections, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from collector.domain.event import Event, Rejection


class Batch(NamedTuple):
    """One request's events. `indexes[i]` is the place of `events[i]` among the `count` that were sent.

    `device` is the SDK's own device id in canonical form, `sent_at` the device's clock in ms when it sent; either may
    be None. (A NamedTuple because one is made per request and a frozen dataclass takes three times as long.)
    """

    events: tuple[Event, ...]
    indexes: tuple[int, ...]
    rejections: tuple[Rejection, ...]
    device: str | None
    sent_at: int | None
    count: int  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class RequestError:
    """A request refused as a whole. `count` is the number of events in it, 1 where they cannot be counted."""

    code: Literal["malformed_json", "too_many_events"]
    count: int = 1
