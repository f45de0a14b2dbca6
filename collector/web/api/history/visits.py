"""`/visits`: runs of activity on one device, with their pages, events, sessions and identities."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.domain.history import Included, SessionView, VisitView, own_hosts
from collector.store import history_views as views
from collector.store.history import fetch_user_agent
from collector.web.api.endpoint import Call
from collector.web.api.history import asking
from collector.web.api.history.asking import answer, answer_list, there_is
from collector.web.api.parameters import EntityId, NoQuery
from collector.wire.history import (
    event_document,
    identity_document,
    page_document,
    session_view_document,
    visit_document,
    visit_started,
)
from collector.wire.history_shapes import SessionDocument, VisitDocument


async def get_visits(call: Call[asking.Visits]) -> web.Response:
    """The visits of the site, the last to arrive first."""
    included, detailed = asking.read_included(call.query)
    wanted, paging = asking.read_visit_filter(call), asking.read_paging(call.query, int, EntityId)
    found, following = await call.read(views.fetch_visit_page, call.now(), wanted, paging, included)
    return answer_list(call, visit_documents(call, found, included, detailed), following)


def visit_documents(
    call: Call[Any], found: list[VisitView], included: Included, detailed: frozenset[str]
) -> list[VisitDocument]:
    """Visits as they are answered."""
    own = own_hosts(call.site)
    return [visit_document(view, included, detailed, call.now(), own) for view in found]


async def get_visit(call: Call[asking.OneVisit]) -> web.Response:
    """One visit."""
    included, detailed = asking.read_included(call.query)
    return await _answer_visit(call, included, detailed)


async def get_visit_with_pages(call: Call[asking.OneVisit]) -> web.Response:
    """One visit; with its pages, unless the request says whether it wants them."""
    included, detailed = asking.read_included(call.query)
    if call.query.include_pages is None:
        included = Included(True, included.events, included.sessions, included.identities)
        detailed |= {"pages"}
    return await _answer_visit(call, included, detailed)


async def _answer_visit(call: Call[asking.OneVisit], included: Included, detailed: frozenset[str]) -> web.Response:
    now = call.now()
    view = there_is(await call.read(views.fetch_visit_view, now, call.path["visitId"], included), "visit")
    return answer(call, visit_document(view, included, detailed, now, own_hosts(call.site)))


async def get_pages(call: Call[asking.Pages]) -> web.Response:
    """The pages of a visit, in the order in which they were entered."""
    wanted, paging = asking.read_event_filter(call), asking.read_paging(call.query, int, EntityId)
    found = await call.read(views.fetch_pages_of_visit, call.now(), call.path["visitId"], wanted, paging)
    return answer_pages(call, there_is(found, "visit"))


def answer_pages(call: Call[asking.Pages], found: views.PagesOfVisit) -> web.Response:
    """Some pages as they are answered."""
    return answer_list(
        call, [page_document(page, found.visit, found.sessions) for page in found.pages], found.following
    )


async def get_events(call: Call[asking.Events]) -> web.Response:
    """The events of a visit in order, VisitStarted first."""
    wanted, paging = asking.read_event_filter(call), asking.read_paging(call.query, int, int)
    found = await call.read(views.fetch_events_of_visit, call.path["visitId"], wanted, paging)
    return answer_events(call, there_is(found, "visit"))


def answer_events(call: Call[asking.Events], found: views.EventsOfVisit) -> web.Response:
    """Some events of a visit as they are answered."""
    documents = [event_document(event, found.visit.device_id) for event in found.events]
    if found.with_start:
        documents.insert(0, visit_started(found.visit))
    return answer_list(call, documents, found.following)


async def get_sessions(call: Call[asking.Sessions]) -> web.Response:
    """The sessions of a visit, in order."""
    included, detailed = asking.read_included(call.query)
    paging, since, now = asking.read_paging(call.query, int, int), asking.read_since(call), call.now()
    visit_id = call.path["visitId"]
    found = await call.read(views.fetch_sessions_of_visit, now, visit_id, since, paging, included)
    sessions, following = there_is(found, "visit")
    return answer_list(call, session_documents(call, sessions, included, detailed), following)


def session_documents(
    call: Call[Any], found: list[SessionView], included: Included, detailed: frozenset[str]
) -> list[SessionDocument]:
    """Sessions as they are answered."""
    return [session_view_document(view, included, detailed, call.now()) for view in found]


async def get_identities(call: Call[asking.Paged]) -> web.Response:
    """The identities that were in a visit, and whom it is held to be of."""
    paging, since = asking.read_paging(call.query, str), asking.read_since(call)
    found = await call.read(views.fetch_identities_of_visit, call.path["visitId"], since, paging)
    identities, following = there_is(found, "visit")
    return answer_list(call, list(map(identity_document, identities)), following)


async def get_user_agent(call: Call[NoQuery]) -> web.Response:
    """What a browser said it is."""
    user_agent_id = call.path["userAgentID"]
    text = there_is(await call.read(fetch_user_agent, user_agent_id), "user agent")
    return answer(call, {"userAgentID": user_agent_id, "userAgent": text})
