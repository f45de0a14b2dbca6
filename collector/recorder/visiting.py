"""Of which visit and page an event is, and of whom a visit is before anybody signs in.

Visits and pages of the SDK carry ids that it minted. Clients that send none get them here, by order of arrival.
"""

from __future__ import annotations

from msgspec.structs import replace

from collector.domain.event import Event, Trust
from collector.domain.recognition import DAY_MS
from collector.domain.visit import SILENCE_MS, Marker, MarkerKind, is_assumed
from collector.recorder.assertion import is_shared_device, refold
from collector.recorder.picture import Picture
from collector.store import devices, profiles, visits
from collector.store.visits import UserIdentification

PAGE_VIEW = ("page", "view")


def place_in_visit(picture: Picture, event: Event, leaf: str, trust: Trust) -> Event:
    """`event` with the visit and the page that its client did not name; what a server says is in no visit."""
    if event.visit_id is None and trust is not Trust.SECRET_KEY:
        event = replace(event, visit_id=_find_visit(picture, event, leaf))
    if event.page_id is None and (event.category, event.action) == PAGE_VIEW:
        event = replace(event, page_id=event.event_id)
    return event


def _find_visit(picture: Picture, event: Event, leaf: str) -> str:
    """The visit of the profile that goes on at the time of the event, or else a new one, named after the event."""
    picture.flush_people()
    picture.flush_visits()
    at = event.occurred_at
    near = visits.fetch_visits_near(picture.conn, picture.site.site_id, leaf, at - SILENCE_MS, at + SILENCE_MS)
    fitting = [(start, visit_id) for visit_id, start, end in near if max(end, at) - min(start, at) <= DAY_MS]
    return min(fitting)[1] if fitting else event.event_id


def assume_whom_visits_are_of(picture: Picture) -> None:
    """WM-Recognized, or not, for the visits that this group began or moved back; runs after their events are stored."""
    for visit_id in picture.beginning:
        known = picture.visits.get(visit_id)
        if known is None or not known.leaves <= picture.newborn:
            _assume(picture, visit_id)
    picture.beginning.clear()


def _assume(picture: Picture, visit_id: str) -> None:
    conn, site_id = picture.conn, picture.site.site_id
    begun = visits.fetch_beginning(conn, site_id, visit_id)
    if begun is None:
        return
    leaf, moment = begun
    person = profiles.fetch_person(conn, site_id, leaf)
    cid = person.cid if person else None
    assumed = visits.fetch_assumption(conn, site_id, visit_id)
    if cid is None and assumed is None:
        return
    device_id = visits.hold_visit(conn, site_id, visit_id)
    first = devices.fetch_first_assertion(conn, site_id, device_id, cid) if device_id and cid else None
    is_shared = device_id is not None and is_shared_device(picture, device_id, moment.at)
    wanted = cid if cid is not None and is_assumed(moment, first, is_shared=is_shared) else None
    if wanted == assumed:
        return
    visits.delete_marker(conn, site_id, visit_id)
    if wanted is not None:
        made = Marker(visit_id, MarkerKind.ASSUMPTION, 0, 0, _occurred(picture, visit_id), leaf, wanted)
        visits.insert_user_identification(conn, site_id, UserIdentification(made, visit_id, device_id, None, None))
    refold(picture, visit_id, device_id)


def _occurred(picture: Picture, visit_id: str) -> int:
    known = picture.visits.get(visit_id)
    return known.started_at if known else picture.now
