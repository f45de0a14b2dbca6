"""`/identities`, `/sessions`, `/contacts`, `/useridentifications`: who was authenticated or named, when and where."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.domain.history import Visit
from collector.store import history_views as views
from collector.store.history_identifications import fetch_identified, fetch_system_page
from collector.store.history_identities import Narrowed, fetch_contacts, fetch_identities
from collector.web.api.endpoint import Call
from collector.web.api.history import asking
from collector.web.api.history.asking import answer, answer_list, there_is
from collector.web.api.history.visits import answer_events, answer_pages, session_documents, visit_documents
from collector.web.api.parameters import EntityId
from collector.wire.history import (
    contact_document,
    event_document,
    identification_document,
    identity_document,
    session_view_document,
    started_document,
)


async def get_identities(call: Call[asking.Identities]) -> web.Response:
    """The identities of the site, the last to be named for the first time first."""
    query, paging = call.query, asking.read_paging(call.query, int, str)
    found, following = await call.read(
        fetch_identities,
        paging.limit,
        paging.start,
        since=asking.read_since(call),
        device_id=query.device_id,
        agent=asking.read_agent(query),
    )
    return answer_list(call, list(map(identity_document, found)), following)


async def get_identity(call: Call[Any]) -> web.Response:
    """One identity, by any identityId that its person ever had."""
    found = there_is(await call.read(views.fetch_identity_view, call.path["identityId"]), "identity")
    return answer(call, identity_document(found))


async def get_visits(call: Call[asking.VisitsOfIdentity]) -> web.Response:
    """The visits in which a person spoke or was named, the last to arrive first."""
    included, detailed = asking.read_included(call.query)
    wanted, paging = asking.read_visit_filter(call), asking.read_paging(call.query, int, EntityId)
    identity_id = call.path["identityId"]
    found = await call.read(views.fetch_visits_of_identity, call.now(), identity_id, wanted, paging, included)
    visits, following = there_is(found, "identity")
    return answer_list(call, visit_documents(call, visits, included, detailed), following)


async def get_events(call: Call[asking.EventsOfIdentity]) -> web.Response:
    """The events of a person, newest first."""
    wanted, paging = asking.read_event_filter(call), asking.read_paging(call.query, int, int)
    found = await call.read(views.fetch_events_of_identity, call.path["identityId"], wanted, paging)
    events, devices, following = there_is(found, "identity")
    return answer_list(call, [event_document(event, devices.get(event.visit_id)) for event in events], following)


async def get_sessions(call: Call[asking.SessionsOfIdentity]) -> web.Response:
    """The sessions of a person, newest first."""
    included, detailed = asking.read_included(call.query)
    wanted, paging = asking.read_visit_filter(call), asking.read_paging(call.query, int, EntityId)
    identity_id = call.path["identityId"]
    found = await call.read(views.fetch_sessions_of_identity, call.now(), identity_id, wanted, paging, included)
    sessions, following = there_is(found, "identity")
    return answer_list(call, session_documents(call, sessions, included, detailed), following)


async def get_session(call: Call[asking.OneSession]) -> web.Response:
    """One session."""
    included, detailed = asking.read_included(call.query)
    now, session_id = call.now(), call.path["sessionID"]
    view = there_is(await call.read(views.fetch_session_view, now, session_id, included), "session")
    return answer(call, session_view_document(view, included, detailed, now))


async def get_session_events(call: Call[asking.Events]) -> web.Response:
    """The events in a session, in order."""
    wanted, paging = asking.read_event_filter(call), asking.read_paging(call.query, int, int)
    found = await call.read(views.fetch_events_of_session, call.path["sessionID"], wanted, paging)
    return answer_events(call, there_is(found, "session"))


async def get_session_pages(call: Call[asking.Pages]) -> web.Response:
    """The pages that were entered in a session, in order."""
    wanted, paging = asking.read_event_filter(call), asking.read_paging(call.query, int, EntityId)
    found = await call.read(views.fetch_pages_of_session, call.now(), call.path["sessionID"], wanted, paging)
    return answer_pages(call, there_is(found, "session"))


async def get_contacts(call: Call[asking.Contacts]) -> web.Response:
    """Which identity was in which session and visit, newest first."""
    paging = asking.read_paging(call.query, int, EntityId)
    found = await call.read(fetch_contacts, _narrowed(call), paging.limit + 1, paging.start)
    shown = found[: paging.limit]
    following = (shown[-1].occurred_at, shown[-1].contact_id) if len(found) > paging.limit else None
    return answer_list(call, list(map(contact_document, shown)), following)


async def get_user_identifications(call: Call[asking.UserIdentifications]) -> web.Response:
    """System events with whom they are about, newest first; only those that name somebody, if so asked."""
    if call.query.identified or call.query.identity_id is not None:
        paging = asking.read_paging(call.query, int, EntityId)
        named, last = await call.read(fetch_identified, _narrowed(call), paging.limit, paging.start)
        return answer_list(call, list(map(identification_document, named)), last)
    paging = asking.read_paging(call.query, int, int, int, EntityId)
    found, following = await call.read(fetch_system_page, _narrowed(call), paging.limit, paging.start)
    documents = [started_document(each) if isinstance(each, Visit) else identification_document(each) for each in found]
    return answer_list(call, documents, following)


def _narrowed(call: Call[Any]) -> Narrowed:
    query = call.query
    return Narrowed(query.identity_id, query.session_id, query.visit_id, query.device_id, asking.read_since(call))
