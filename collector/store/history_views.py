"""What one answer of the History API needs, read in one snapshot: visits, sessions and pages with the lists asked for.

A list inside of another has at most `EMBEDDED` items, those of one answer some `EMBEDDED_IN_ALL`: then its page ends.
Everything answers None where the visit, session or identity asked for is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from collector.domain.history import (
    EventFilter,
    Identity,
    Included,
    SessionView,
    StoredEvent,
    Visit,
    VisitFilter,
    VisitView,
    Whom,
    is_over,
)
from collector.domain.page import Page
from collector.domain.visit import Session, session_at
from collector.store.history import (
    fetch_devices,
    fetch_session,
    fetch_sessions_in,
    fetch_sessions_of,
    fetch_visit,
    fetch_visits,
)
from collector.store.history_events import Place, Window, fetch_events_in, fetch_events_of_person, fetch_pages
from collector.store.history_identities import fetch_identities_in, fetch_identity, find_whom

T = TypeVar("T")
EMBEDDED = 500
EMBEDDED_IN_ALL = 5000
BEGINNING = (-1, 0)  # the key of VisitStarted among the events of its visit: before all
ANY = EventFilter()


class Paging(NamedTuple):
    """How many items a page may have, and the key of the last one already shown."""

    limit: int
    start: tuple[Any, ...] | None = None


Listed = tuple[list[T], tuple[Any, ...] | None]  # a page of a list, and the key from which it goes on


class EventsOfVisit(NamedTuple):
    """Some events of a visit; `with_start`: the one that stands for its beginning comes first."""

    visit: Visit
    with_start: bool
    events: list[StoredEvent]
    following: tuple[Any, ...] | None


class PagesOfVisit(NamedTuple):
    """Some pages of a visit."""

    visit: Visit
    sessions: list[Session]
    pages: list[Page]
    following: tuple[Any, ...] | None


def fetch_visit_page(
    conn: Connection,
    site_id: int,
    now: int,
    wanted: VisitFilter,
    paging: Paging,
    included: Included,
    of: Whom | None = None,
) -> Listed[VisitView]:
    """A page of the visits of a site, or of those of a person."""
    found = fetch_visits(conn, site_id, wanted, paging.limit + 1, paging.start, of)
    sessions = fetch_sessions_in(conn, site_id, [visit.visit_id for visit in found])
    views: list[VisitView] = []
    room = EMBEDDED_IN_ALL
    for visit in found[: paging.limit]:
        view = _view(conn, site_id, now, visit, sessions[visit.visit_id], included)
        room -= view.size
        if views and room < 0:
            break
        views.append(view)
    last = views[-1].visit if views else None
    return views, (last.arrived_at, last.visit_id) if last and len(views) < len(found) else None


def fetch_visits_of_identity(
    conn: Connection,
    site_id: int,
    now: int,
    identity_id: str,
    wanted: VisitFilter,
    paging: Paging,
    included: Included,
) -> Listed[VisitView] | None:
    """A page of the visits in which a person spoke, or was named by this identityId."""
    of = find_whom(conn, site_id, identity_id)
    return None if of is None else fetch_visit_page(conn, site_id, now, wanted, paging, included, of)


def fetch_visit_view(conn: Connection, site_id: int, now: int, visit_id: str, included: Included) -> VisitView | None:
    """One visit."""
    visit = fetch_visit(conn, site_id, visit_id)
    if visit is None:
        return None
    return _view(conn, site_id, now, visit, fetch_sessions_in(conn, site_id, [visit_id])[visit_id], included)


def _view(
    conn: Connection, site_id: int, now: int, visit: Visit, sessions: list[Session], included: Included
) -> VisitView:
    pages = fetch_pages(conn, site_id, visit, is_over=is_over(visit, now)) if included.pages else []
    found = fetch_events_in(conn, site_id, Place(visit.visit_id), ANY, EMBEDDED - 1) if included.events else []
    named = fetch_identities_in(conn, site_id, visit) if included.identities else []
    return VisitView(visit, sessions, pages[:EMBEDDED], found, named[:EMBEDDED])


def fetch_pages_of_visit(
    conn: Connection, site_id: int, now: int, visit_id: str, wanted: EventFilter, paging: Paging
) -> PagesOfVisit | None:
    """A page of the page views of a visit, in order."""
    visit = fetch_visit(conn, site_id, visit_id)
    return None if visit is None else _pages(conn, site_id, now, visit, wanted, paging)


def fetch_pages_of_session(
    conn: Connection, site_id: int, now: int, session_id: str, wanted: EventFilter, paging: Paging
) -> PagesOfVisit | None:
    """A page of the page views that were entered in a session, in order."""
    found = fetch_session(conn, site_id, session_id)
    return None if found is None else _pages(conn, site_id, now, found[0], wanted, paging, found[1])


def _pages(
    conn: Connection,
    site_id: int,
    now: int,
    visit: Visit,
    wanted: EventFilter,
    paging: Paging,
    within: Session | None = None,
) -> PagesOfVisit:
    sessions = fetch_sessions_in(conn, site_id, [visit.visit_id])[visit.visit_id]
    pages = [
        page
        for page in fetch_pages(conn, site_id, visit, is_over=is_over(visit, now))
        if wanted.takes_page(page) and (within is None or session_at([within], page.moment) is not None)
    ]
    shown, following = _cut(pages, paging, lambda page: page.key)
    return PagesOfVisit(visit, sessions, shown, following)


def _cut(items: Sequence[T], paging: Paging, key: Callable[[T], tuple[Any, ...]]) -> Listed[T]:
    """The page of a list that was read whole, in order of its keys."""
    left = [item for item in items if paging.start is None or key(item) > paging.start]
    shown = left[: paging.limit]
    return shown, key(shown[-1]) if len(left) > paging.limit else None


def fetch_events_of_visit(
    conn: Connection, site_id: int, visit_id: str, wanted: EventFilter, paging: Paging
) -> EventsOfVisit | None:
    """A page of the events of a visit in order, VisitStarted first."""
    visit = fetch_visit(conn, site_id, visit_id)
    if visit is None:
        return None
    with_start = paging.start is None and wanted.takes_visit_started(visit)
    return _events(conn, site_id, visit, wanted, paging, with_start=with_start)


def fetch_events_of_session(
    conn: Connection, site_id: int, session_id: str, wanted: EventFilter, paging: Paging
) -> EventsOfVisit | None:
    """A page of the events in a session, in order."""
    found = fetch_session(conn, site_id, session_id)
    if found is None:
        return None
    visit, session = found
    return _events(conn, site_id, visit, wanted, paging, Window(session.since, session.until))


def _events(
    conn: Connection,
    site_id: int,
    visit: Visit,
    wanted: EventFilter,
    paging: Paging,
    window: Window | None = None,
    *,
    with_start: bool = False,
) -> EventsOfVisit:
    limit = paging.limit - with_start
    found = fetch_events_in(conn, site_id, Place(visit.visit_id, window), wanted, limit + 1, paging.start)
    shown = found[:limit]
    last = (shown[-1].occurred_at, shown[-1].row_id) if shown else BEGINNING
    return EventsOfVisit(visit, with_start, shown, last if len(found) > limit else None)


def fetch_events_of_identity(
    conn: Connection, site_id: int, identity_id: str, wanted: EventFilter, paging: Paging
) -> tuple[list[StoredEvent], dict[str | None, str | None], tuple[int, int] | None] | None:
    """A page of the events of a person, newest first, and the devices of their visits."""
    of = find_whom(conn, site_id, identity_id)
    if of is None:
        return None
    found = fetch_events_of_person(conn, site_id, of.leaves, wanted, paging.limit + 1, paging.start)
    shown = found[: paging.limit]
    following = (shown[-1].occurred_at, shown[-1].row_id) if len(found) > paging.limit else None
    return shown, fetch_devices(conn, site_id, [event.visit_id for event in shown]), following


def fetch_session_view(
    conn: Connection, site_id: int, now: int, session_id: str, included: Included
) -> SessionView | None:
    """One session."""
    found = fetch_session(conn, site_id, session_id)
    return None if found is None else _with_lists(conn, site_id, now, [found], included)[0]


def fetch_sessions_of_visit(
    conn: Connection, site_id: int, now: int, visit_id: str, since: int | None, paging: Paging, included: Included
) -> Listed[SessionView] | None:
    """A page of the sessions of a visit, in order."""
    visit = fetch_visit(conn, site_id, visit_id)
    if visit is None:
        return None
    sessions = fetch_sessions_in(conn, site_id, [visit_id])[visit_id]
    young = [session for session in sessions if since is None or session.started_at >= since]
    shown, following = _cut(young, paging, lambda session: tuple(session.since))
    views = _with_lists(conn, site_id, now, [(visit, session) for session in shown], included)
    return views, following if len(views) == len(shown) else tuple(views[-1].session.since)


def fetch_sessions_of_identity(
    conn: Connection, site_id: int, now: int, identity_id: str, wanted: VisitFilter, paging: Paging, included: Included
) -> Listed[SessionView] | None:
    """A page of the sessions of a person, newest first."""
    of = find_whom(conn, site_id, identity_id)
    if of is None:
        return None
    found = fetch_sessions_of(conn, site_id, of, wanted, paging.limit + 1, paging.start)
    views = _with_lists(conn, site_id, now, found[: paging.limit], included)
    last = views[-1].session if views else None
    return views, (last.started_at, last.session_id) if last and len(views) < len(found) else None


def _with_lists(
    conn: Connection, site_id: int, now: int, found: Iterable[tuple[Visit, Session]], included: Included
) -> list[SessionView]:
    """Sessions with the lists asked for, as long as there is room for them."""
    views: list[SessionView] = []
    room = EMBEDDED_IN_ALL
    for visit, session in found:
        pages = fetch_pages(conn, site_id, visit, is_over=is_over(visit, now)) if included.pages else []
        inside = [page for page in pages if session_at([session], page.moment) is not None]
        place = Place(visit.visit_id, Window(session.since, session.until))
        listed = fetch_events_in(conn, site_id, place, ANY, EMBEDDED) if included.events else []
        view = SessionView(visit, session, inside[:EMBEDDED], listed)
        room -= view.size
        if views and room < 0:
            break
        views.append(view)
    return views


def fetch_identities_of_visit(
    conn: Connection, site_id: int, visit_id: str, since: int | None, paging: Paging
) -> Listed[Identity] | None:
    """A page of the identities that were in a visit, in order of their ids."""
    visit = fetch_visit(conn, site_id, visit_id)
    if visit is None:
        return None
    named = [each for each in fetch_identities_in(conn, site_id, visit) if since is None or each.first_at >= since]
    return _cut(sorted(named, key=lambda each: each.identity_id), paging, lambda each: (each.identity_id,))


def fetch_identity_view(conn: Connection, site_id: int, identity_id: str) -> Identity | None:
    """One identity, by any identityId that its person ever had."""
    of = find_whom(conn, site_id, identity_id)
    return None if of is None else fetch_identity(conn, site_id, of)
