"""The shapes of the History API's JSON. Times are ms since 1970 UTC, 0 where something goes on."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


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


class SessionDocument(TypedDict):
    """A stretch of a visit during which a customer is authenticated. `duration` is 0 while it goes on; ms.

    The lists are there only where they were asked for.
    """

    sessionID: str
    identityId: str
    startDate: int
    endDate: int
    duration: int
    eventIds: NotRequired[list[str]]
    events: NotRequired[list[EventDocument] | None]
    pageIds: NotRequired[list[str]]
    pages: NotRequired[list[PageDocument] | None]


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


class RecordedDocument(TypedDict):
    """What became of an event that a server added."""

    eventID: str
    status: str
    warnings: list[str]
