"""Addresses that need no secret key: what pages, operators and readers ask for.

Their handlers read requests by themselves, for they have to be fast or are older than the rest of the web; an `Address`
only says what they take and answer. What servers ask for is described, and read, by `web.api.endpoint`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aiohttp import web
from msgspec import Meta, Struct

from collector.web.api.parameters import EntityId, NoQuery
from collector.web.api.shapes import Id, Ms
from collector.wire.sent import Sent


class Audience(StrEnum):
    """Who asks, and what they need."""

    PAGE = "page"  # pages of a site: its write key, in the query
    SCRIPT = "script"  # what any page may load
    OPERATOR = "operator"  # asks for nothing
    READER = "reader"  # likewise


@dataclass(frozen=True, slots=True)
class Answer:
    """A way in which a request succeeds; `body` is the type of a JSON body, or None."""

    meaning: str
    status: int = 200
    media_type: str | None = "application/json"
    body: Any = None


@dataclass(frozen=True, slots=True)
class Address:
    """One method of one address. `errors` are the codes of failures; `is_keyed`: it takes the write key of a site."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    summary: str
    audience: Audience
    answers: tuple[Answer, ...]
    errors: tuple[str, ...] = ()
    name: str | None = None
    query: type[Struct] = NoQuery
    body: Any = None
    is_keyed: bool = False


class SentBatch(TypedDict):
    """The SDK's batch. `uid`, `uid_origin`, `visit` and `page` count for every event that does not say its own."""

    events: Annotated[list[Sent], Meta(max_length=500)]
    sent_at: NotRequired[Ms | None]
    tz: NotRequired[Any]
    sdk: NotRequired[Any]
    device: NotRequired[Id | None]
    uid: NotRequired[Id | None]
    uid_origin: NotRequired[Literal["first", "reset"] | None]
    visit: NotRequired[Id | None]
    page: NotRequired[Id | None]


class Result(TypedDict):
    """What is to be remarked about one event."""

    index: int
    event_id: str | None
    status: Literal["duplicate", "quarantined", "suppressed", "warned"]
    code: str
    field: NotRequired[str]


class BatchVerdict(TypedDict):
    """How many events came to what; an event that is not among the results was stored."""

    accepted: int
    duplicate: int
    quarantined: int
    suppressed: int
    results: list[Result]


class Consent(TypedDict):
    """A visitor's decision."""

    state: Literal["granted", "denied"]
    uid: NotRequired[Id | None]
    at: NotRequired[Ms | None]


class ConsentKept(TypedDict):
    """The decision that was kept."""

    state: Literal["granted", "denied"]


class Pixel(Struct, frozen=True):
    """One event in a query; `d.NAME` adds to its dims."""

    c: Annotated[str, Meta(description="Category; without `c` and `a` it is a page view.")] | None = None
    a: Annotated[str, Meta(description="Action.")] | None = None
    uid: EntityId | None = None
    visit: EntityId | None = None
    page: EntityId | None = None
    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    e: Annotated[str, Meta(description="The visitor's e-mail address.")] | None = None


class SdkVersion(TypedDict):
    """For a script element that pins the SDK."""

    version: str
    path: str
    integrity: str


class Health(TypedDict):
    """How it is."""

    status: Literal["alive", "ready", "cannot store"]
