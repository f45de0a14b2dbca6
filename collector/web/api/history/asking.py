"""What can be asked of the History API: the parameters of its addresses, and what they come to as values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from collector.domain.history import Agent, EventFilter, EventType, Included, VisitFilter
from collector.domain.visit import State
from collector.store.history_views import Paging
from collector.web.api.access import Problem, empty, reply
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Call
from collector.web.api.parameters import DEFAULT_LIMIT, EntityId, Limit
from collector.wire.history import mask_document
from collector.wire.ids import parse_id

PAGING_NEXT = {"Paging-Next": "Where the list goes on: the `page_start` of the next request. Missing on the last page."}

PageStart = Annotated[str, Meta(description="The `Paging-Next` of the page before; without it the list begins.")]
Age = Annotated[int, Meta(ge=0, le=10**9, description="Seconds: nothing that began or happened longer ago.")]
Url = Annotated[str, Meta(min_length=1, max_length=2048, description="The address, or its beginning followed by `*`.")]
Name = Annotated[str, Meta(min_length=1, max_length=600, description="Such as `PageEntered` or `product/view`.")]
Category = Annotated[str, Meta(min_length=1, max_length=256)]
IdentityId = Annotated[str, Meta(min_length=1, max_length=512, description="A customer id or an e-mail, as asserted.")]
UserAgent = Annotated[str, Meta(min_length=1, max_length=500, description="A userAgentID, or a part of a user agent.")]
StateName = Literal["Anonymous", "Recognized", "WM-Recognized", "Authenticated"]
Kind = Literal["SYSTEM", "BUSINESS"]

DEVICE = {"device_id": "globalVisitID"}
EVENT = {**DEVICE, "name": "eventName", "kind": "eventType", "agent": "userAgent"}
NARROWED = {**DEVICE, "identity_id": "identityId", "session_id": "sessionId", "visit_id": "visitId"}


class Paged(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list, and of which age."""

    page_size: Limit = DEFAULT_LIMIT
    page_start: PageStart | None = None
    age: Age | None = None


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """Lists that one visit or session may hold, and whether in detail."""

    include_pages_detail: bool = False
    include_events: bool = False
    include_events_detail: bool = False


class OneSession(Embedding, frozen=True, kw_only=True):
    """One session."""

    include_pages: bool = False


class OneVisit(Embedding, frozen=True, kw_only=True):
    """One visit. Where it embeds its pages anyway, `include_pages=false` leaves them out."""

    include_pages: bool | None = None
    include_sessions: bool = False
    include_sessions_detail: bool = False
    include_identities: bool = False
    include_identities_detail: bool = False


class Sessions(Paged, frozen=True, kw_only=True):
    """The sessions of a visit."""

    include_pages: bool = False
    include_pages_detail: bool = False
    include_events: bool = False
    include_events_detail: bool = False


class Visits(Sessions, frozen=True, kw_only=True, rename=DEVICE):
    """The visits of a site."""

    device_id: EntityId | None = None
    state: StateName | None = None
    include_sessions: bool = False
    include_sessions_detail: bool = False
    include_identities: bool = False
    include_identities_detail: bool = False


class VisitsOfIdentity(Visits, frozen=True, kw_only=True, rename={**DEVICE, "agent": "userAgent"}):
    """The visits of a person."""

    agent: UserAgent | None = None


class Pages(Paged, frozen=True, kw_only=True):
    """The pages of a visit or session."""

    url: Url | None = None


class Events(Paged, frozen=True, kw_only=True, rename=EVENT):
    """The events of a visit or session."""

    name: Name | None = None
    kind: Kind | None = None
    category: Category | None = None
    url: Url | None = None


class EventsOfIdentity(Events, frozen=True, kw_only=True, rename=EVENT):
    """The events of a person."""

    device_id: EntityId | None = None
    agent: UserAgent | None = None


class SessionsOfIdentity(Sessions, frozen=True, kw_only=True, rename={**DEVICE, "agent": "userAgent"}):
    """The sessions of a person."""

    device_id: EntityId | None = None
    agent: UserAgent | None = None


class Identities(Paged, frozen=True, kw_only=True, rename={**DEVICE, "agent": "userAgent"}):
    """The identities of a site."""

    device_id: EntityId | None = None
    agent: UserAgent | None = None


class Contacts(Paged, frozen=True, kw_only=True, rename=NARROWED):
    """Contacts, by what they associate."""

    identity_id: IdentityId | None = None
    session_id: EntityId | None = None
    visit_id: EntityId | None = None
    device_id: EntityId | None = None


class UserIdentifications(Contacts, frozen=True, kw_only=True, rename=NARROWED):
    """System events."""

    identified: bool = False


LISTS = ("pages", "events", "sessions", "identities")


def read_included(query: Any) -> tuple[Included, frozenset[str]]:
    """The lists wanted inside, and those of them that are wanted in detail. Raises `Problem`."""
    wanted = {name for name in LISTS if getattr(query, f"include_{name}", False)}
    detailed = frozenset(name for name in LISTS if getattr(query, f"include_{name}_detail", False))
    for name in LISTS:
        if name in detailed and name not in wanted:
            parameter = f"include_{name}_detail"
            raise Problem("invalid_parameter", parameter, f"{parameter} needs include_{name} beside it.")
    return Included(**dict.fromkeys(wanted, True)), detailed


def read_paging(query: Paged, *shape: Any) -> Paging:
    """How many items, and from where on. `shape` are the types of a key. Raises `Problem`."""
    return Paging(query.page_size, read_cursor(query.page_start, shape, "page_start"))


def read_since(call: Call[Any]) -> int | None:
    """The time before which nothing is wanted, ms."""
    return None if call.query.age is None else call.now() - call.query.age * 1000


def read_agent(query: Any) -> Agent | None:
    """The user agents that are wanted."""
    text: str | None = getattr(query, "agent", None)
    if text is None:
        return None
    agent_id = parse_id(text)
    return Agent(agent_id) if agent_id else Agent(None, text)


def read_visit_filter(call: Call[Any]) -> VisitFilter:
    """Which visits or sessions are wanted."""
    query = call.query
    state = getattr(query, "state", None)
    return VisitFilter(read_since(call), State(state) if state else None, query.device_id, read_agent(query))


def read_event_filter(call: Call[Any]) -> EventFilter:
    """Which events or pages are wanted."""
    query = call.query
    kind = getattr(query, "kind", None)
    return EventFilter(
        read_since(call),
        getattr(query, "name", None),
        EventType(kind) if kind else None,
        getattr(query, "category", None),
        query.url,
        getattr(query, "device_id", None),
        read_agent(query),
    )


def answer(call: Call[Any], document: Any) -> web.Response:
    """One document, masked unless the key may see personal data."""
    return reply(document if call.may_see_pii else mask_document(document))


def answer_list(call: Call[Any], documents: list[Any], following: tuple[Any, ...] | None) -> web.Response:
    """A page of a list: 204 where there is nothing, the header where it goes on."""
    headers = {"Paging-Next": cursor(*following)} if following else {}
    if not documents and not following:
        return empty()
    return reply(documents if call.may_see_pii else mask_document(documents), headers=headers)


def there_is(found: Any, what: str) -> Any:
    """What was found. Raises `Problem` (404) for nothing."""
    if found is None:
        raise Problem("not_found", message=f"There is no such {what}.")
    return found
