"""Where somebody is: the visit of a person or of a UID, with its state and how sure that is. A few look-ups each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Select, select

from collector.domain.confidence import SignIns, Standing, confidence_of
from collector.domain.explain import Profile
from collector.domain.history import Visit, is_over
from collector.domain.visit import Folded, State, fold_visit
from collector.store.events import fetch_events_of, in_visit
from collector.store.history import fetch_visit
from collector.store.marks import fetch_markers
from collector.store.people import fetch_profile
from collector.store.prepared import Slot, fetch, is_one_of, padded
from collector.store.profiles import fetch_cluster, fetch_root
from collector.store.schema import bindings, events, uids, user_identifications, visit_profiles, visits


class Current(NamedTuple):
    """A visit that goes on, the person (root) of the UID, and the page (url, title) that was entered last."""

    profile_id: str
    standing: Standing
    page: tuple[str | None, str | None] | None


def fetch_standing(conn: Connection, site_id: int, visit: Visit) -> Standing:
    """How sure it is whom a visit is of."""
    if visit.state is State.ANONYMOUS:
        return Standing(visit, Folded(), 0.0)
    folded = fold_visit(fetch_markers(conn, site_id, visit.visit_id), visit.started_at)
    before = _fetch_sign_ins(conn, site_id, visit) if visit.state is State.WM_RECOGNIZED else SignIns()
    return Standing(visit, folded, confidence_of(visit, folded, before))


def fetch_profile_standing(conn: Connection, site_id: int, profile_id: str) -> tuple[Profile, Standing | None] | None:
    """A person with where they were last; None if there is no such profile."""
    profile = fetch_profile(conn, site_id, profile_id)
    if profile is None:
        return None
    return profile, fetch_last_standing(conn, site_id, [leaf for leaf, _ in profile.leaves])


def fetch_last_standing(conn: Connection, site_id: int, leaves: Sequence[str]) -> Standing | None:
    """The last visit in which a person spoke, None if there is none.

    Their last event leads there: an index has the events of a leaf in order of time, but not its visits.
    """
    visit = _fetch_last_visit(conn, site_id, leaves)
    return None if visit is None else fetch_standing(conn, site_id, visit)


def _fetch_last_visit(conn: Connection, site_id: int, leaves: Sequence[str]) -> Visit | None:
    if not fetch(conn, _any_visit, site_id, *padded(leaves)):
        return None  # somebody whom only servers speak of may have many events, none of which is in a visit
    last = fetch_events_of(conn, site_id, leaves, 1, only=lambda columns: [columns.visit_id.is_not(None)])
    return fetch_visit(conn, site_id, last[0]["visit_id"]) if last else None


def _any_visit(site: Slot, *leaves: Slot) -> Select[Any]:
    mine = (visit_profiles.c.site_id == site, is_one_of(visit_profiles.c.profile_id, leaves))
    return select(visit_profiles.c.visit_id).where(*mine).limit(1)


def _speaker(site: Slot, uid: Slot) -> Select[Any]:
    same = (uids.c.site_id == bindings.c.site_id) & (uids.c.uid == bindings.c.uid)
    mine = (bindings.c.site_id == site, bindings.c.uid == uid)
    order = (bindings.c.since_at.desc(), bindings.c.since_seq.desc())
    return select(bindings.c.profile_id, uids.c.device_id).join(uids, same).where(*mine).order_by(*order).limit(1)


def fetch_current(conn: Connection, site_id: int, uid: str, now: int) -> Current | None:
    """The visit that goes on, in which the person of a UID spoke on the UID's device; None if there is none.

    Only the last visit of a device can go on: the next one ends those before it.
    """
    speakers = fetch(conn, _speaker, site_id, uid)
    if not speakers:
        return None
    leaf, device_id = speakers[0]
    if device_id is None:
        visit = _fetch_last_visit(conn, site_id, [leaf])
    else:
        last = fetch(conn, _last_on_device, site_id, device_id)
        visit = fetch_visit(conn, site_id, last[0][0]) if last else None
    root = fetch_root(conn, site_id, leaf)
    if visit is None or root is None or is_over(visit, now):
        return None
    leaves = [member for member, _ in fetch_cluster(conn, site_id, root)]
    if not fetch(conn, _spoke, site_id, visit.visit_id, *padded(leaves)):
        return None
    return Current(root, fetch_standing(conn, site_id, visit), _fetch_page(conn, site_id, visit.visit_id))


def _last_on_device(site: Slot, device: Slot) -> Select[Any]:
    mine = (visits.c.site_id == site, visits.c.device_id == device)
    return (
        select(visits.c.visit_id).where(*mine).order_by(visits.c.started_at.desc(), visits.c.visit_id.desc()).limit(1)
    )


def _spoke(site: Slot, visit: Slot, *leaves: Slot) -> Select[Any]:
    # By leaf: asked for the leaves of a visit, SQLite would read all pairs of the site, because that index covers it.
    mine = (visit_profiles.c.site_id == site, visit_profiles.c.visit_id == visit)
    return select(visit_profiles.c.profile_id).where(*mine, is_one_of(visit_profiles.c.profile_id, leaves)).limit(1)


def _last_page(site: Slot, visit: Slot) -> Select[Any]:
    views = (events.c.category == "page", events.c.action == "view")
    order = (events.c.occurred_at.desc(), events.c.row_id.desc())
    return select(events.c.url, events.c.body).where(*in_visit(site, visit), *views).order_by(*order).limit(1)


def _fetch_page(conn: Connection, site_id: int, visit_id: str) -> tuple[str | None, str | None] | None:
    for url, body in fetch(conn, _last_page, site_id, visit_id):
        return url, orjson.loads(body).get("title")
    return None


_on_device = user_identifications.c.occurred_at + 0  # by the bare column an engine might read the whole site in order


def _last_sign_in(site: Slot, device: Slot, before: Slot) -> Select[Any]:
    table = user_identifications.c
    mine = (table.site_id == site, table.device_id == device, table.cid.is_not(None), _on_device < before)
    return select(table.cid, table.occurred_at).where(*mine).order_by(table.at.desc(), table.seq.desc()).limit(1)


def _other_sign_in(site: Slot, device: Slot, before: Slot, cid: Slot) -> Select[Any]:
    table = user_identifications.c
    mine = (table.site_id == site, table.device_id == device, table.cid != cid, _on_device < before)
    return select(table.occurred_at).where(*mine).order_by(table.at.desc(), table.seq.desc()).limit(1)


def _fetch_sign_ins(conn: Connection, site_id: int, visit: Visit) -> SignIns:
    """Who signed in on the device before the visit. A `cid` is kept only of an assertion that was believed."""
    if visit.device_id is None:
        return SignIns()
    last = fetch(conn, _last_sign_in, site_id, visit.device_id, visit.started_at)
    others = fetch(conn, _other_sign_in, site_id, visit.device_id, visit.started_at, visit.identity_id)
    last_cid, last_at = last[0] if last else (None, 0)
    return SignIns(last_cid, last_at, others[0][0] if others else None)
