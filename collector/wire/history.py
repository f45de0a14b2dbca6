"""The History API's own JSON: how stored values become its shapes, and what is masked in them.

Times are ms since 1970 UTC, 0 where something goes on. Lists inside of a visit are null unless they were asked for.
A key without `pii:read` gets the masked form; ids, times and counts are the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from collector.domain.history import (
    VISIT_CATEGORY,
    VISIT_STARTED,
    EventType,
    Identification,
    Identity,
    Included,
    SeenContact,
    SessionView,
    StoredEvent,
    Visit,
    VisitView,
    active_session,
    end_reason,
    event_name,
    is_over,
    session_end,
)
from collector.domain.masking import MASK, mask_identity_id, mask_text, mask_value
from collector.domain.page import Page, duration_of
from collector.domain.visit import Session, session_at
from collector.wire.history_shapes import (
    ContactDocument,
    EventDocument,
    IdentificationDocument,
    IdentityDocument,
    PageDocument,
    SessionDocument,
    VisitDocument,
)


def visit_document(
    view: VisitView, included: Included, detailed: frozenset[str], now: int, own_hosts: tuple[str, ...]
) -> VisitDocument:
    """A visit with the ids of the lists that are `included`, and the items themselves of those `detailed`."""
    document = _bare_visit(view.visit, view.sessions, now, own_hosts)
    if included.pages:
        pages = [page_document(page, view.visit, view.sessions) for page in view.pages]
        document["pageIds"] = [page["pageID"] for page in pages]
        document["pages"] = pages if "pages" in detailed else None
    if included.events:
        events = [visit_started(view.visit), *(event_document(event, view.visit.device_id) for event in view.events)]
        document["eventIds"] = [event["eventID"] for event in events]
        document["events"] = events if "events" in detailed else None
    if included.sessions:
        sessions = [session_document(session, view.visit, now) for session in view.sessions]
        document["sessionIds"] = [session["sessionID"] for session in sessions]
        document["sessions"] = sessions if "sessions" in detailed else None
    if included.identities:
        identities = list(map(identity_document, view.identities))
        document["identityIds"] = [identity["identityId"] for identity in identities]
        document["identities"] = identities if "identities" in detailed else None
    return document


def _bare_visit(visit: Visit, sessions: list[Session], now: int, own_hosts: tuple[str, ...]) -> VisitDocument:
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


def identification_document(found: Identification) -> IdentificationDocument:
    """A system event with whom it is about."""
    event = event_document(found.event, found.device_id)
    return {**event, "identityId": found.identity_id, "sessionId": found.session_id}


def started_document(visit: Visit) -> IdentificationDocument:
    """The beginning of a visit among the others: about nobody."""
    return {**visit_started(visit), "identityId": None, "sessionId": None}


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


def session_view_document(view: SessionView, included: Included, detailed: frozenset[str], now: int) -> SessionDocument:
    """A session, and the lists that are `included`."""
    document = session_document(view.session, view.visit, now)
    if included.pages:
        pages = [page_document(page, view.visit, [view.session]) for page in view.pages]
        document["pageIds"] = [page["pageID"] for page in pages]
        document["pages"] = pages if "pages" in detailed else None
    if included.events:
        events = [event_document(event, view.visit.device_id) for event in view.events]
        document["eventIds"] = [event["eventID"] for event in events]
        document["events"] = events if "events" in detailed else None
    return document


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
