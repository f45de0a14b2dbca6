"""The History API's own JSON: its shapes, how stored values become them, and what is masked in them.

Times are ms since 1970 UTC, 0 where something goes on. Lists inside of a visit are null unless they were asked for.
A key without `pii:read` gets the masked form; ids, times and counts are the same in both.
"""

# ruff: noqa: N815 - the names are the interface's

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import orjson

from collector.domain.history import (
    VISIT_CATEGORY,
    VISIT_STARTED,
    EventType,
    Identification,
    Identity,
    SeenContact,
    StoredEvent,
    Visit,
    active_session,
    end_reason,
    event_name,
    is_over,
    session_end,
)
from collector.domain.masking import mask_identity_id, mask_text, mask_value
from collector.domain.page import Page, duration_of
from collector.domain.visit import Session, session_at

MASK = "***"


class EventDocument(TypedDict):
    """Something that happened. `timestamp` is when, `serverTimestamp` when it was received."""

    eventID: str
    category: str
    eventType: str
    eventName: str
    timestamp: int
    serverTimestamp: int
    visitID: str | None
    pageID: str | None
    globalVisitID: str | None
    url: str | None
    data: dict[str, Any]


class IdentificationDocument(EventDocument):
    """A system event with whom it is about."""

    identityId: str | None
    sessionId: str | None


class PageDocument(TypedDict):
    """A page view. `duration` is the active time, else from entering to exit; ms."""

    pageID: str
    visitID: str
    sessionID: str | None
    identityId: str | None
    url: str | None
    title: str | None
    referrer: str | None
    enterDate: int
    exitDate: int
    duration: int
    globalVisitID: str | None
    eventIds: NotRequired[list[str]]
    events: NotRequired[list[EventDocument] | None]


class SessionDocument(TypedDict):
    """A stretch of a visit during which a customer is authenticated. `duration` is 0 while it goes on; ms."""

    sessionID: str
    identityId: str
    startDate: int
    endDate: int
    duration: int
    pageIds: NotRequired[list[str]]
    pages: NotRequired[list[PageDocument] | None]
    eventIds: NotRequired[list[str]]
    events: NotRequired[list[EventDocument] | None]


class IdentityDocument(TypedDict):
    """Who was named. `visitScope` are the devices on which they were seen, some 50 at most."""

    identityId: str
    name: str | None
    location: str | None
    visitScope: list[str]
    firstDate: int
    lastDate: int


class VisitDocument(TypedDict):
    """A run of activity on one device."""

    visitId: str
    startDate: int
    endDate: int
    endReason: str | None
    activeSessionId: str | None
    globalVisitID: str | None
    userAgentID: str | None
    state: str
    eventIds: list[str] | None
    events: list[EventDocument] | None
    pageIds: list[str] | None
    pages: list[PageDocument] | None
    sessionIds: list[str] | None
    sessions: list[SessionDocument] | None
    identityIds: list[str] | None
    identities: list[IdentityDocument] | None


class ContactDocument(TypedDict):
    """An identity in a visit, and in a session of it if there was one."""

    contactId: str
    identityId: str
    sessionId: str | None
    visitId: str
    globalVisitID: str | None
    timestamp: int


class UserAgentDocument(TypedDict):
    """What a browser said it is."""

    userAgentID: str
    userAgent: str


def visit_document(visit: Visit, sessions: list[Session], now: int, own_hosts: tuple[str, ...]) -> VisitDocument:
    """A visit without lists. `sessions` are its own."""
    active = active_session(sessions, visit, now)
    return {
        "visitId": visit.visit_id,
        "startDate": visit.started_at,
        "endDate": visit.last_event_at if is_over(visit, now) else 0,
        "endReason": end_reason(visit, now, own_hosts),
        "activeSessionId": active.session_id if active else None,
        "globalVisitID": visit.device_id,
        "userAgentID": visit.user_agent_id,
        "state": visit.state,
        "eventIds": None,
        "events": None,
        "pageIds": None,
        "pages": None,
        "sessionIds": None,
        "sessions": None,
        "identityIds": None,
        "identities": None,
    }


def visit_started(visit: Visit) -> EventDocument:
    """The event that stands for the beginning of a visit; it is not stored, and has the id of the visit."""
    return {
        "eventID": visit.visit_id,
        "category": VISIT_CATEGORY,
        "eventType": EventType.SYSTEM,
        "eventName": VISIT_STARTED,
        "timestamp": visit.started_at,
        "serverTimestamp": visit.arrived_at,
        "visitID": visit.visit_id,
        "pageID": None,
        "globalVisitID": visit.device_id,
        "url": None,
        "data": {},
    }


def event_document(event: StoredEvent, device_id: str | None) -> EventDocument:
    """An event. `device_id` is that of its visit."""
    kind, name = event_name(event.category, event.action)
    return {
        "eventID": event.event_id,
        "category": event.category,
        "eventType": kind,
        "eventName": name,
        "timestamp": event.occurred_at,
        "serverTimestamp": event.received_at,
        "visitID": event.visit_id,
        "pageID": event.page_id,
        "globalVisitID": device_id,
        "url": event.url,
        "data": orjson.loads(event.body),
    }


def identification_document(
    event: EventDocument, found: Identification | None = None
) -> IdentificationDocument:
    """A system event with whom it is about; VisitStarted is about nobody."""
    return {
        **event,
        "identityId": found.identity_id if found else None,
        "sessionId": found.session_id if found else None,
    }


def page_document(page: Page, visit: Visit, sessions: Sequence[Session]) -> PageDocument:
    """A page of `visit`, whose sessions these are."""
    session = session_at(sessions, page.moment)
    return {
        "pageID": page.page_id,
        "visitID": visit.visit_id,
        "sessionID": session.session_id if session else None,
        "identityId": session.identity_id if session else None,
        "url": page.url,
        "title": page.title,
        "referrer": page.referrer,
        "enterDate": page.entered_at,
        "exitDate": page.exited_at or 0,
        "duration": duration_of(page),
        "globalVisitID": visit.device_id,
    }


def session_document(session: Session, visit: Visit, now: int) -> SessionDocument:
    """A session of `visit`."""
    end = session_end(session, visit, now)
    return {
        "sessionID": session.session_id,
        "identityId": session.identity_id,
        "startDate": session.started_at,
        "endDate": end,
        "duration": end - session.started_at if end else 0,
    }


def identity_document(identity: Identity) -> IdentityDocument:
    """An identity."""
    return {
        "identityId": identity.identity_id,
        "name": identity.name,
        "location": identity.location,
        "visitScope": list(identity.devices),
        "firstDate": identity.first_at,
        "lastDate": identity.last_at,
    }


def contact_document(contact: SeenContact) -> ContactDocument:
    """A contact."""
    return {
        "contactId": contact.contact_id,
        "identityId": contact.identity_id,
        "sessionId": contact.session_id,
        "visitId": contact.visit_id,
        "globalVisitID": contact.device_id,
        "timestamp": contact.occurred_at,
    }


_TEXTS = frozenset({"url", "title", "referrer", "category", "eventName"})
_MASKED = frozenset({"name", "location"})


def mask_document(document: Any) -> Any:
    """A document of this module, or a list of them, as a key without `pii:read` gets it."""
    if isinstance(document, list):
        return [mask_document(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {name: _masked(name, value) for name, value in document.items()}


def _masked(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "data":
        return mask_value(None, value)
    if name == "identityId":
        return mask_identity_id(value)
    if name == "identityIds":
        return [mask_identity_id(each) for each in value]
    if name in _MASKED:
        return MASK
    return mask_text(value) if name in _TEXTS else mask_document(value)
