"""One transaction: load what a group of requests may touch, decide event by event, save all of it.

The steps stand in the order in which they happen. Everything here runs on one connection inside one transaction that
the caller opened; nobody is answered before it has committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import orjson
from msgspec.structs import replace
from sqlalchemy import Connection

from collector.domain.event import Arrival, Assertion, Event, EventCode, Outcome, Receipt, Rejection
from collector.domain.identifiers import Clean, sanitise
from collector.domain.privacy import tellable
from collector.domain.recognition import BEGINNING, Device, Moment, born_at, is_younger, profile_at, recognise
from collector.domain.visit import MarkerKind, marker_kind
from collector.recorder.assertion import assert_identity, back_fill_on_arrival, is_erased, mark
from collector.recorder.loading import load
from collector.recorder.locking import lock_meanings, lock_people
from collector.recorder.memory import Memory
from collector.recorder.picture import Picture
from collector.recorder.visiting import assume_whom_visits_are_of, place_in_visit
from collector.store.devices import (
    KnownUid,
    NewBinding,
    NewUid,
    insert_boundary,
    update_uid,
)
from collector.store.erasure import Erasures, has_tombstones
from collector.store.events import alike_rows, event_row, fetch_stored, fingerprint
from collector.store.locks import can_meet, share_site
from collector.store.profiles import are_apart
from collector.store.quarantine import Refused
from collector.store.schema import ids_bytes


def record_group(
    conn: Connection,
    arrivals: Sequence[Arrival],
    now: int,
    fresh_id: Callable[[], str],
    erasures: Erasures,
    memory: Memory | None = None,
) -> list[Receipt]:
    """Record `arrivals` (of any sites, in order of arrival); one receipt for each, valid once the caller commits.

    `memory` spares reading what earlier groups knew; the caller has it `forget` when the transaction fails. Unless it
    is wary, an event that is stored already raises `IntegrityError`.
    """
    memory = memory or Memory()
    memory.revalidate(conn)
    is_wary = memory.wary > 0
    memory.wary -= is_wary
    receipts: dict[int, Receipt] = {}
    by_site: dict[int, list[int]] = {}
    for place, arrival in enumerate(arrivals):
        by_site.setdefault(arrival.site.site_id, []).append(place)
    for site_id, places in sorted(by_site.items()):
        share_site(conn, site_id)
        mine = [arrivals[place] for place in places]
        site = mine[-1].site
        known = memory.of(site.site_id)
        if known.has_tombstones is None:
            known.has_tombstones = can_meet(conn) or has_tombstones(conn, site_id)
        visits = memory.visits_of(site_id)
        picture = Picture(
            conn, site, now, fresh_id, erasures, known.uids, known.devices, known.has_tombstones, visits, known.agents
        )
        if is_wary:
            picture.stored = fetch_stored(conn, site.site_id, [e.event_id for a in mine for e in a.events])
        load(picture, mine)
        if can_meet(conn) and lock_meanings(picture, mine):
            load(picture, mine)
            lock_people(picture, mine)
        raw_ids = _make_ids(picture, [event for arrival in mine for event in arrival.events])
        done = 0
        for place, arrival in zip(places, mine, strict=True):
            end = done + len(arrival.events)
            receipts[place] = _record(picture, arrival, raw_ids[done:end])
            done = end
        picture.flush()
        assume_whom_visits_are_of(picture)
    memory.stamp(conn)
    return [receipts[place] for place in range(len(arrivals))]


def _make_ids(picture: Picture, said: Sequence[Event]) -> list[bytearray]:
    """The bytes of the ids of events; those of what they name are kept in the picture. Together they take less."""
    named = {event.uid for event in said} | {event.visit_id for event in said} | {event.page_id for event in said}
    picture.shared_ids.make([text for text in named if text is not None])
    return ids_bytes([event.event_id for event in said])


def _record(picture: Picture, arrival: Arrival, raw_ids: Sequence[bytearray]) -> Receipt:
    """Decide the events of one request one after the other."""
    device_id = _device_of(picture, arrival)
    picture.arrived_at, picture.user_agent = arrival.received_at, arrival.user_agent
    outcomes = [_refuse(picture, arrival, rejection) for rejection in arrival.rejections]
    done, end = 0, len(arrival.events)
    while done < end:
        event, index = arrival.events[done], arrival.indexes[done] if arrival.indexes else done
        outcome = _record_event(picture, arrival, device_id, event, raw_ids[done], index)
        if outcome is not None:
            outcomes.append(outcome)
        done += 1
        if outcome is None and done < end and not arrival.bot:
            done += _record_alike(picture, arrival, raw_ids, done)
    contact_id = _current_contact(picture, arrival, device_id)
    device_id = device_id if contact_id is not None else arrival.device_id
    if not outcomes:
        return Receipt(len(arrival.events), 0, 0, 0, contact_id, device_id)
    outcomes.sort(key=lambda outcome: outcome.index)
    came_to = Counter(outcome.status for outcome in outcomes)
    return Receipt(
        accepted=len(arrival.events) + len(arrival.rejections) - len(outcomes) + came_to["warned"],
        duplicate=came_to["duplicate"],
        quarantined=came_to["quarantined"],
        suppressed=came_to["suppressed"],
        contact_id=contact_id,
        device_id=device_id,
        outcomes=tuple(outcomes),
    )


def _refuse(picture: Picture, arrival: Arrival, rejection: Rejection) -> Outcome:
    """Keep what was refused before it came here, or is refused here; but nothing of the erased (R16)."""
    if rejection.uid in picture.erased_uids:
        return Outcome(rejection.index, rejection.event_id, "suppressed", "erased")
    refused = Refused(
        rejection.code,
        rejection.field,
        rejection.raw,
        rejection.event_id,
        arrival.sent_at,
        arrival.device_id,
        arrival.contact_id,
        arrival.trust,
        arrival.bot,
    )
    picture.refused.setdefault(arrival.received_at, []).append(refused)
    return Outcome(rejection.index, rejection.event_id, "quarantined", rejection.code, rejection.field)


def _device_of(picture: Picture, arrival: Arrival) -> str | None:
    """The device of the cookies or the SDK; where that one is new but a UID is not, the device the UID was born on.

    An erased one is not taken up again (R3).
    """
    if arrival.device_id in picture.reborn:
        return picture.reborn[arrival.device_id]
    if arrival.device_id is None or arrival.device_id in picture.devices:
        return arrival.device_id
    for event in arrival.events:
        known = picture.uids.get(event.uid) if event.uid else None
        if known and known.device_id:
            return known.device_id
    return arrival.device_id


def _record_event(
    picture: Picture, arrival: Arrival, device_id: str | None, event: Event, raw_id: bytearray, index: int
) -> Outcome | None:
    """One event: a repeat, a conflict, suppressed, or stored with the leaf that it belongs to."""
    event_id, uid = event.event_id, event.uid
    clean = None if event.assertion is None else sanitise(event.assertion)
    if uid in picture.erased_uids or (clean is not None and is_erased(picture, event, clean.assertion)):
        return _suppress(picture, event, index)
    if event_id in picture.arrived or event_id in picture.stored:
        return _repeat(picture, arrival, event, index)
    leaf, warnings = None, event.warnings
    is_visitor = not arrival.bot or picture.site.settings.bots == "include"
    if is_visitor:
        if uid is not None:
            leaf = _leaf_of(picture, arrival, device_id, event, uid)
            if event.visit_id is None or event.page_id is None:
                event = place_in_visit(picture, event, leaf, arrival.trust)
        if clean is not None or (uid is not None and marker_kind(event) is not None):
            clean = clean or Clean(Assertion())
            trust = max(arrival.trust, clean.assertion.trust)
            verdict = assert_identity(picture, trust, event, leaf, clean)
            leaf, warnings = verdict.leaf, (*verdict.warnings, *warnings)  # the first one is told
        picture.widen_visit(event, device_id, leaf)
    picture.arrived[event_id] = event
    if arrival.bot or warnings:
        picture.event_notes[len(picture.event_rows)] = (arrival.bot, " ".join(warnings) or None)
    site_id, received_at = picture.site.site_id, arrival.received_at
    picture.event_rows.append(event_row(site_id, event, raw_id, leaf, received_at, picture.shared_ids))
    if not is_visitor:
        warnings = ("bot", *warnings)
    told = tellable(warnings) if warnings else []
    return Outcome(index, event_id, "warned", told[0]) if told else None


def _record_alike(picture: Picture, arrival: Arrival, raw_ids: Sequence[bytearray], done: int) -> int:
    """Record what the same UID did next in the same visit, as long as it says nothing; how many events that was.

    Nothing has to be decided about them that was not decided about the one before.
    """
    before = arrival.events[done - 1]
    uid, visit_id = before.uid, before.visit_id
    known = picture.uids.get(uid) if uid else None
    span = picture.spans.get(visit_id) if visit_id else None
    if known is None or span is None or len(known.bindings) != 1:
        return 0
    visit, leaf = picture.visits[span.visit_id], known.bindings[0].profile_id
    if leaf not in visit.leaves:
        return 0
    arrived, stored, settled_after = picture.arrived, picture.stored, visit.settled_after
    stretch: list[Event] = []
    for event in arrival.events[done:]:
        event_id, category = event.event_id, event.category
        if (
            event.uid != uid
            or event.visit_id != visit_id
            or event.tracked_at < settled_after
            or category == "user"
            or event.assertion is not None
            or event.warnings
            or event_id in arrived
            or event_id in stored
            or (category == "page" and event.page_id is None)
        ):
            break
        arrived[event_id] = event
        stretch.append(event)
    if stretch:
        span.cover_all(stretch)
        picture.event_rows += alike_rows(
            picture.site.site_id, stretch, raw_ids[done:], leaf, arrival.received_at, picture.shared_ids
        )
    return len(stretch)


def _suppress(picture: Picture, event: Event, index: int) -> Outcome:
    """R16. What is somebody else's by now may name the erased: a repeat of it is told to be one, like any other."""
    earlier = fetch_stored(picture.conn, picture.site.site_id, [event.event_id]).get(event.event_id)
    if earlier == fingerprint(event):
        return Outcome(index, event.event_id, "duplicate", "duplicate")
    return Outcome(index, event.event_id, "suppressed", "erased")


def _repeat(picture: Picture, arrival: Arrival, event: Event, index: int) -> Outcome:
    """An id that came before: with the same content it is the same event, else somebody made a mistake."""
    arrived = picture.arrived.get(event.event_id)
    earlier = picture.stored[event.event_id] if arrived is None else fingerprint(arrived)
    if fingerprint(event) == earlier:
        return Outcome(index, event.event_id, "duplicate", "duplicate")
    conflict = Rejection(index, EventCode.ID_CONFLICT, "event_id", raw_event(event), event.event_id)
    return _refuse(picture, arrival, conflict)


def _leaf_of(picture: Picture, arrival: Arrival, device_id: str | None, event: Event, uid: str) -> str:
    """The profile that the event's UID speaks for at the event's own time; an unknown UID is recognised first (R3)."""
    known = picture.uids.get(uid)
    if known is None:
        _greet(picture, arrival, device_id, event, uid)
        known = picture.uids[uid]
    elif known.device_id is None and device_id is not None:
        _place_later(picture, device_id, event, known)
    bindings = known.bindings
    return bindings[0].profile_id if len(bindings) == 1 else profile_at(bindings, Moment(event.tracked_at, event.seq))


def _greet(picture: Picture, arrival: Arrival, device_id: str | None, event: Event, uid: str) -> None:
    """R3 and R8 for a UID seen for the first time, and R7 where it comes late."""
    device = picture.devices.get(device_id) if device_id else None
    contact_id = arrival.contact_id if arrival.contact_id in picture.live_contacts else None
    if contact_id is not None and device is not None and _keeps_away(picture, device, contact_id):
        contact_id = None
    found = recognise(uid, event.uid_origin, device, contact_id, picture.fresh_id())
    if found.is_new:
        picture.new_profiles.append((found.profile_id, event.occurred_at))
    picture.new_uids.append(NewUid(uid, device_id, event.uid_origin, born_at(uid)))
    picture.bind(
        NewBinding(uid, BEGINNING, found.profile_id, found.rule, event.event_id, arrival.trust, picture.now), device_id
    )
    if device_id is not None:
        _place(picture, device_id, event, uid, found.profile_id)


def _keeps_away(picture: Picture, device: Device, contact_id: str) -> bool:
    """R12: the cookie names somebody from whom an operator keeps the person of this browser apart."""
    known = picture.uids.get(device.youngest_uid) if device.youngest_uid else None
    here = known.bindings[-1].profile_id if known else contact_id
    return here != contact_id and are_apart(picture.conn, picture.site.site_id, here, contact_id)


def _place_later(picture: Picture, device_id: str, event: Event, known: KnownUid) -> None:
    """A UID that somebody without its browser named first (a server, a pixel): now the browser itself comes."""
    picture.flush_people()
    update_uid(picture.conn, picture.site.site_id, known.uid, device_id, event.uid_origin)
    picture.uids[known.uid] = replace(known, device_id=device_id)
    _place(picture, device_id, event, known.uid, known.bindings[0].profile_id)


def _place(picture: Picture, device_id: str, event: Event, uid: str, profile_id: str) -> None:
    """What the first event of a UID does to its device: youngest UID (R3), epoch (R8), late back-fill (R7)."""
    device = picture.devices.get(device_id) or Device(device_id)
    birth = born_at(uid)
    if is_younger(uid, device):
        picture.change_device(Device(device_id, uid, birth, device.last_asserted_at))
    if event.uid_origin == "reset":
        insert_boundary(picture.conn, picture.site.site_id, device_id, Moment(birth, 0))
        mark(picture, event, profile_id, MarkerKind.RESET)
    if device.last_asserted_at is not None and device.last_asserted_at > birth:
        back_fill_on_arrival(picture, device_id, uid, event)


def _current_contact(picture: Picture, arrival: Arrival, device_id: str | None) -> str | None:
    """R3: the profile of the device's youngest UID; None where cookies are not ours to set or nothing is known.

    It is the leaf, not its root: a merged profile's id resolves to its root anyway, an un-merge then needs no new
    cookie, and nobody can learn from a changed cookie that an e-mail they typed is known (R17).
    """
    if arrival.device_id is None or device_id is None:
        return None
    device = picture.devices.get(device_id)
    known = picture.uids.get(device.youngest_uid) if device and device.youngest_uid else None
    if known is None:
        spoken = [picture.uids[event.uid] for event in arrival.events if event.uid in picture.uids]
        known = spoken[-1] if spoken else None
    return known.bindings[-1].profile_id if known else None


def raw_event(event: Event) -> bytes:
    """An event as JSON again, for the quarantine."""
    known = {
        "event_id": event.event_id,
        "category": event.category,
        "action": event.action,
        "uid": event.uid,
        "uid_origin": event.uid_origin,
        "visit": event.visit_id,
        "page": event.page_id,
        "seq": event.seq,
        "at": event.tracked_at,
        "url": event.url,
    }
    return orjson.dumps(
        {**orjson.loads(event.body), **{key: value for key, value in known.items() if value is not None}}
    )
