"""The History API: visits with their pages, events, sessions and identities, under `/backend/data` and `/server/data`.

Every address on one screen. The two prefixes answer alike, but for the pages that a single visit embeds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web

from collector.domain.keys import Scope
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.history import addition, asking, identities, visits
from collector.web.api.parameters import EntityId, NoQuery
from collector.wire.history_shapes import (
    ContactDocument,
    EventDocument,
    IdentificationDocument,
    IdentityDocument,
    PageDocument,
    RecordedDocument,
    SessionDocument,
    UserAgentDocument,
    VisitDocument,
)

PREFIXES = ("/backend/data", "/server/data")
IDS = {"visitId": EntityId, "sessionID": EntityId, "userAgentID": EntityId, "identityId": asking.IdentityId}

Handler = Callable[[Call[Any]], Awaitable[web.Response]]


def _lists(path: str, handler: Handler, summary: str, query: Any, item: Any) -> Iterator[Endpoint]:
    """A list, in pages."""
    more = {"may_be_empty": True, "headers": asking.PAGING_NEXT}
    return _gets(path, _twice(handler), summary, query, list[item], **more)


def _gets(
    path: str, handlers: tuple[Handler, Handler], summary: str, query: Any, reply: Any, **more: Any
) -> Iterator[Endpoint]:
    """What is read; `handlers` are those of the prefixes."""
    unknown = ["not_found"] if "{" in path else []
    for prefix, handler in zip(PREFIXES, handlers, strict=True):
        yield Endpoint(
            "GET",
            prefix + path,
            handler,
            summary,
            Scope.HISTORY_READ,
            query=query,
            path_types=_ids_in(path),
            reply=reply,
            errors=("invalid_parameter", "malformed_request", *unknown),
            **more,
        )


def _ids_in(path: str) -> dict[str, Any]:
    return {name: kind for name, kind in IDS.items() if f"{{{name}}}" in path}


def _twice(handler: Handler) -> tuple[Handler, Handler]:
    return handler, handler


VISIT, IDENTITY, SESSION = "/visits/{visitId}", "/identities/{identityId}", "/sessions/{sessionID}"

ENDPOINTS = (
    *_lists("/visits", visits.get_visits, "Visits, the last to arrive first", asking.Visits, VisitDocument),
    *_gets(VISIT, (visits.get_visit_with_pages, visits.get_visit), "One visit", asking.OneVisit, VisitDocument),
    *_lists(f"{VISIT}/pages", visits.get_pages, "The pages of a visit, in order", asking.Pages, PageDocument),
    *_lists(f"{VISIT}/events", visits.get_events, "The events of a visit, in order", asking.Events, EventDocument),
    *_lists(
        f"{VISIT}/sessions", visits.get_sessions, "The sessions of a visit, in order", asking.Sessions, SessionDocument
    ),
    *_lists(f"{VISIT}/identities", visits.get_identities, "Who was in a visit, by id", asking.Paged, IdentityDocument),
    *_lists(
        "/identities",
        identities.get_identities,
        "Who was ever named, the last to be named first",
        asking.Identities,
        IdentityDocument,
    ),
    *_gets(IDENTITY, _twice(identities.get_identity), "One identity", NoQuery, IdentityDocument),
    *_lists(
        f"{IDENTITY}/visits",
        identities.get_visits,
        "The visits of a person, the last to arrive first",
        asking.VisitsOfIdentity,
        VisitDocument,
    ),
    *_lists(
        f"{IDENTITY}/events",
        identities.get_events,
        "The events of a person, newest first",
        asking.EventsOfIdentity,
        EventDocument,
    ),
    *_lists(
        f"{IDENTITY}/sessions",
        identities.get_sessions,
        "The sessions of a person, newest first",
        asking.SessionsOfIdentity,
        SessionDocument,
    ),
    *_gets(SESSION, _twice(identities.get_session), "One session", asking.OneSession, SessionDocument),
    *_lists(
        f"{SESSION}/events",
        identities.get_session_events,
        "The events in a session, in order",
        asking.Events,
        EventDocument,
    ),
    *_lists(
        f"{SESSION}/pages", identities.get_session_pages, "The pages in a session, in order", asking.Pages, PageDocument
    ),
    *_lists(
        "/contacts",
        identities.get_contacts,
        "Which identity was in which visit and session, newest first",
        asking.Contacts,
        ContactDocument,
    ),
    *_lists(
        "/useridentifications",
        identities.get_user_identifications,
        "System events with whom they are about, newest first",
        asking.UserIdentifications,
        IdentificationDocument,
    ),
    *_gets("/useragents/{userAgentID}", _twice(visits.get_user_agent), "A user agent", NoQuery, UserAgentDocument),
    *(
        Endpoint(
            "POST",
            f"{prefix}{VISIT}/events",
            addition.post_event,
            "Add an event to a visit",
            Scope.EVENTS_WRITE,
            path_types={"visitId": EntityId},
            body=addition.Said,
            reply=RecordedDocument,
            errors=("not_found", "id_conflict"),
        )
        for prefix in PREFIXES
    ),
)
