"""`/api/v1/visitors/current`: who is on the site now, for whoever is about to route a conversation."""

from __future__ import annotations

from typing import Any, TypedDict

from aiohttp import web
from msgspec import Struct

from collector.domain.history import active_session
from collector.domain.interaction import Identification, default_identification
from collector.domain.keys import Scope
from collector.domain.masking import mask_identity_id, mask_value
from collector.store.standing import Current, fetch_current
from collector.web.api.access import Problem, reply
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.interactions import Identified
from collector.web.api.parameters import EntityId
from collector.web.api.shapes import Id, Ms, StateName

NOT_HERE = "No visit of this visitor goes on."


class Visitor(Struct, frozen=True):
    """Who is asked for."""

    uid: EntityId


class PageSeen(TypedDict):
    """The page that was entered last."""

    url: str | None
    title: str | None


class CurrentDocument(TypedDict):
    """A visit that goes on. `identification` is how an interaction would be identified that does not say it itself."""

    uid: Id
    profile_id: Id
    visitId: Id
    globalVisitID: Id | None
    state: StateName
    identityId: str | None
    sessionID: Id | None
    confidence: float
    needs_agent_validation: bool
    identification: Identified
    startDate: Ms
    lastEventDate: Ms
    page: PageSeen | None


async def get_current(call: Call[Visitor]) -> web.Response:
    """The visit that goes on in the browser of a UID; 404 when there is none, or the UID is unknown."""
    now = call.now()
    current = await call.read(fetch_current, call.query.uid, now)
    if current is None:
        raise Problem("not_found", message=NOT_HERE)
    document = _document(call.query.uid, current, Identification(call.site.settings.uncertain_interactions), now)
    return reply(document if call.may_see_pii else _masked(document))


def _document(uid: str, current: Current, of_uncertain: Identification, now: int) -> dict[str, Any]:
    standing = current.standing
    visit, folded = standing.visit, standing.folded
    session = active_session(list(folded.sessions), visit, now)
    chosen = default_identification(visit.state, is_confirmed=folded.is_confirmed, of_uncertain=of_uncertain)
    return {
        "uid": uid,
        "profile_id": current.profile_id,
        "visitId": visit.visit_id,
        "globalVisitID": visit.device_id,
        "state": str(visit.state),
        "identityId": visit.identity_id,
        "sessionID": session.session_id if session else None,
        "confidence": standing.confidence,
        "needs_agent_validation": standing.needs_agent_validation,
        "identification": str(chosen),
        "startDate": visit.started_at,
        "lastEventDate": visit.last_event_at,
        "page": None if current.page is None else {"url": current.page[0], "title": current.page[1]},
    }


def _masked(document: dict[str, Any]) -> dict[str, Any]:
    identity_id, masked = document["identityId"], dict(mask_value(None, document))
    return masked | {"identityId": None if identity_id is None else mask_identity_id(identity_id)}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/visitors/current",
        get_current,
        "Who is on the site now, in the browser of a UID",
        Scope.HISTORY_READ,
        query=Visitor,
        reply=CurrentDocument,
        errors=("not_found",),
    ),
)
