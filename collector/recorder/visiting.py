"""Of which visit and page an event is, and of whom a visit is before anybody signs in.

Visits and pages of the SDK carry ids that it minted. Clients that send none get them here, by order of arrival.
"""

from __future__ import annotations

from msgspec.structs import replace

from collector.domain.event import Event, Trust
from collector.domain.recognition import DAY_MS
from collector.domain.visit import SILENCE_MS
from collector.recorder.picture import Picture
from collector.store import visits
from collector.store.assumptions import (
    Begun,
    assume_begun,
    fetch_customers,
    fetch_visits_shared_with,
    settle_assumption,
)
from collector.store.marks import fetch_marked, fold_again

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
    """WM-Recognized, or not, for visits of which this group may have news; runs when all of it is stored."""
    conn, site_id = picture.conn, picture.site.site_id
    changed = picture.widened.keys() | _marked_before(picture)
    for visit_id in changed:
        fold_again(conn, site_id, visit_id)
    customers = _fetch_customers(picture)
    in_question = {
        visit_id for visit_id in picture.beginning if not customers.keys().isdisjoint(picture.visits[visit_id].leaves)
    }
    in_question |= changed
    begun = [_begun(picture, visit_id) for visit_id in in_question if picture.beginning.get(visit_id) is not None]
    for root, since in picture.named.items():
        in_question |= _visits_after(picture, root, since)
    for device_id, said in picture.said.items():
        in_question |= fetch_visits_shared_with(conn, site_id, device_id, said)
    for visit_id in sorted(in_question - assume_begun(conn, site_id, begun, customers)):
        settle_assumption(conn, site_id, visit_id)
    picture.beginning.clear()
    picture.spoken.clear()
    picture.widened.clear()
    picture.named.clear()
    picture.said.clear()


def _visits_after(picture: Picture, root: str, since: int) -> set[str]:
    """The visits of a person that began after `since` (ms)."""
    if root in picture.newborn and root not in picture.joined:  # all that they did is in this group
        return {visit_id for visit_id in picture.spoken.get(root, ()) if picture.visits[visit_id].started_at > since}
    return visits.fetch_visits_after(picture.conn, picture.site.site_id, root, since)


def _marked_before(picture: Picture) -> set[str]:
    """Of the visits that seem to begin in this group, those of which the database knew something that can change now.

    They are not remembered but stored, and perhaps begin earlier than they did, with somebody else.
    """
    marked = fetch_marked(picture.conn, picture.site.site_id, picture.beginning.keys() - picture.widened.keys())
    return {visit_id for visit_id, event_id in marked if event_id not in picture.arrived}


def _begun(picture: Picture, visit_id: str) -> Begun:
    leaf = picture.beginning[visit_id]
    assert leaf is not None
    return Begun(visit_id, leaf)


def _fetch_customers(picture: Picture) -> dict[str, str]:
    """Who of those that speak in visits which the group began is a customer, signed in or not, and their CIDs."""
    spoken = {leaf for visit_id in picture.beginning for leaf in picture.visits[visit_id].leaves if leaf is not None}
    spoken -= picture.newborn
    return fetch_customers(picture.conn, picture.site.site_id, spoken) if spoken else {}
