"""What happens, inside the transaction, when an event says who the visitor is: load, decide, save.

The rules are in `domain.identity`; this module finds the rows that they look at and carries out the steps they answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from msgspec.structs import replace

from collector.domain.decision import (
    Assign,
    Claim,
    Decision,
    Merge,
    NewProfile,
    Person,
    Retire,
    Situation,
    Step,
    Switch,
)
from collector.domain.event import Assertion, Event, Trust
from collector.domain.identifiers import Clean
from collector.domain.identity import back_fill_late_uid, decide
from collector.domain.recognition import Moment, born_at, epoch_of, profile_at
from collector.domain.traits import Trait, can_be_named
from collector.domain.visit import NAMING, Folded, Marker, MarkerKind, marker_kind, session_at
from collector.recorder.picture import Picture
from collector.store import devices, identifiers, marks, profiles, visits
from collector.store.assumptions import is_shared_device
from collector.store.devices import NewBinding
from collector.store.identifiers import Evidence
from collector.store.marks import UserIdentification


@dataclass(frozen=True, slots=True)
class Verdict:
    """The leaf that the event belongs to, and what is to be noted on it."""

    leaf: str
    warnings: tuple[str, ...] = ()


def assert_identity(picture: Picture, trust: Trust, event: Event, leaf: str | None, clean: Clean) -> Verdict:
    """Apply R4-R14 to one event of the profile `leaf` (None: a server that knows no UID), after R1 made it `clean`."""
    picture.flush_people()
    claimed = clean.assertion
    if leaf is None:
        leaf = _leaf_for_server(picture, claimed, event)
    kind = marker_kind(event)
    if claimed.hint:
        return _take_hint(picture, event, leaf, claimed, clean.warnings)
    if claimed.cid is None and claimed.email is None:
        _save_traits(picture, trust, event, leaf, claimed, is_claim=False)
        if kind is not None:
            mark(picture, event, leaf, kind)
        return Verdict(leaf, clean.warnings)
    decision = decide(
        fetch_situation(picture, trust, event, leaf, claimed),
        claimed.cid,
        claimed.email,
        event.occurred_at,
        iter(picture.fresh_id, ""),
    )
    evidence = (event.event_id, trust, picture.now)
    for step in decision.steps:
        _carry_out(picture, step, event, evidence)
    _save_traits(picture, trust, event, decision.leaf, claimed, is_claim=decision.traits_are_claims)
    _remember_assertion(picture, event, decision, claimed, kind)
    return Verdict(decision.leaf, (*clean.warnings, *decision.warnings))


def is_erased(picture: Picture, event: Event, claimed: Assertion) -> bool:
    """R16: whoever the event says it is about was erased after it occurred."""
    if not picture.has_tombstones:
        return False
    said = [(kind, value) for kind, value in (("cid", claimed.cid), ("email", claimed.email)) if value is not None]
    erased_at = picture.erasures.fetch_time(picture.conn, picture.site.site_id, said)
    return erased_at is not None and event.occurred_at < erased_at


def _leaf_for_server(picture: Picture, claimed: Assertion, event: Event) -> str:
    """R11: without a UID, a server's event belongs to whom its CID or e-mail names, or to a new profile."""
    leaf = find_leaf(picture, claimed)
    if leaf is not None:
        return leaf
    leaf = picture.fresh_id()
    profiles.insert_profiles(picture.conn, picture.site.site_id, [(leaf, event.occurred_at)])
    return leaf


def find_leaf(picture: Picture, claimed: Assertion) -> str | None:
    """The profile that the CID, else the e-mail, names."""
    for kind, value in (("cid", claimed.cid), ("email", claimed.email)):
        leaf = identifiers.fetch_identifier(picture.conn, picture.site.site_id, kind, value) if value else None
        if leaf is not None:
            return leaf
    return None


def fetch_situation(
    picture: Picture, trust: Trust, event: Event, leaf: str, claimed: Assertion, newcomer: Person | None = None
) -> Situation:
    """Load the people whom R4, R5 and R7 may touch. `newcomer` is the one of `leaf` if that is not stored."""
    conn, site_id = picture.conn, picture.site.site_id
    while True:
        by_cid, by_email = identifiers.fetch_owners(conn, site_id, claimed.cid, claimed.email)
        speakers = _earlier_speakers(picture, event, claimed.cid) if claimed.cid else set()
        roots = profiles.fetch_roots(conn, site_id, {leaf, *filter(None, (by_cid, by_email)), *speakers})
        if not picture.hold(roots.values()):
            break
    if len(set(roots.values())) > 1:
        picture.flush()  # a merge asks when people were first seen
    people = profiles.fetch_people(conn, site_id, set(roots.values()), newcomers=newcomer is not None)
    if newcomer is not None:
        roots[leaf], people[leaf] = leaf, newcomer
    candidates = {roots[speaker] for speaker in speakers} - {roots[leaf]}
    return Situation(
        leaf=leaf,
        current=people[roots[leaf]],
        owner_of_cid=people[roots[by_cid]] if by_cid else None,
        owner_of_email=people[roots[by_email]] if by_email else None,
        candidates=tuple(sorted((people[root] for root in candidates), key=lambda p: (p.first_seen_at, p.profile_id))),
        trust=trust,
        require_verified=picture.site.settings.require_verified_identity,
        leaf_of_cid=by_cid,
        leaf_of_email=by_email,
    )


def _earlier_speakers(picture: Picture, event: Event, cid: str) -> set[str]:
    """R7: the leaves that spoke on this device in this epoch before the assertion; none on a shared device (R13)."""
    conn, site_id = picture.conn, picture.site.site_id
    known = picture.uids.get(event.uid) if event.uid else None
    if known is None or known.device_id is None:
        return set()
    moment = Moment(event.tracked_at, event.seq)
    device = picture.devices.get(known.device_id)
    was_named = device is None or device.last_asserted_at is not None
    if was_named and is_shared_device(conn, site_id, known.device_id, moment.at, (moment.at, cid)):
        return set()
    start, _ = epoch_of(moment, devices.fetch_boundaries(conn, site_id, known.device_id))
    # Strictly before: a UID born by a reset in the millisecond of the assertion is somebody else's already.
    born = devices.fetch_uids_born_between(conn, site_id, known.device_id, start.at, moment.at - 1)
    return {profile_at(uid.bindings, moment) for uid in born.values()}


def _carry_out(picture: Picture, step: Step, event: Event, evidence: Evidence) -> None:
    """Save one step of a decision."""
    conn, site_id = picture.conn, picture.site.site_id
    match step:
        case NewProfile(profile_id):
            profiles.insert_profiles(conn, site_id, [(profile_id, event.occurred_at)])
        case Assign(kind, value, profile_id, rule):
            identifiers.insert_identifier(conn, site_id, kind, value, profile_id, rule, evidence)
        case Retire(email):
            identifiers.retire_email(conn, site_id, email, evidence)
        case Merge(winner, loser, rule):
            followers = profiles.point_at(conn, site_id, winner, loser)
            identifiers.insert_merge(conn, site_id, winner, loser, rule, followers, evidence)
            picture.name(winner, event.occurred_at)
            picture.joined.add(winner)
        case Claim(kind, value, profile_id, reason):
            identifiers.insert_claim(conn, site_id, profile_id, kind, value, reason, evidence)
        case Switch(profile_id, rule):
            _switch(picture, event, profile_id, rule, evidence[1])


def _switch(picture: Picture, event: Event, profile_id: str, rule: str, trust: Trust) -> None:
    """R6: a new binding of the same UID from this event on, and an epoch boundary at its time."""
    if event.uid is None:
        return
    moment = Moment(event.tracked_at, event.seq)
    known = picture.uids[event.uid]
    picture.bind(NewBinding(event.uid, moment, profile_id, rule, event.event_id, trust, picture.now), known.device_id)
    if known.device_id is not None:
        devices.insert_boundary(picture.conn, picture.site.site_id, known.device_id, moment)


def _save_traits(
    picture: Picture, trust: Trust, event: Event, leaf: str, claimed: Assertion, *, is_claim: bool
) -> None:
    for name, value in claimed.traits.items():
        if can_be_named(name):
            text = orjson.dumps(value).decode()
            picture.note_trait(leaf, Trait(name, text, trust, event.occurred_at, event.event_id, is_claim))


def _remember_assertion(
    picture: Picture, event: Event, decision: Decision, claimed: Assertion, kind: MarkerKind | None
) -> None:
    """Keep the assertion for R7 and R13, and move the state of the visit."""
    is_believed = "R14" not in decision.rules
    cid = claimed.cid if is_believed else None
    if kind is None and cid is None:
        return
    identity_id = (claimed.cid or claimed.email) if is_believed else None
    mark(picture, event, decision.leaf, kind or MarkerKind.ASSERTION, identity_id, cid)
    if cid is not None:
        picture.name(decision.root, event.occurred_at)
    known = picture.uids.get(event.uid) if event.uid else None
    device = picture.devices.get(known.device_id) if known and known.device_id else None
    if cid is None or device is None:
        return
    if device.last_asserted_at is not None:  # the first one ever does not make it a shared device
        picture.said.setdefault(device.device_id, []).append((event.occurred_at, event.tracked_at))
    if (device.last_asserted_at or -1) < event.tracked_at:
        picture.change_device(replace(device, last_asserted_at=event.tracked_at))


def _take_hint(picture: Picture, event: Event, leaf: str, claimed: Assertion, warnings: tuple[str, ...]) -> Verdict:
    """R14: `user/info` is associated with its visit and merges nothing; its traits count only for a known CID."""
    current = profiles.fetch_person(picture.conn, picture.site.site_id, leaf)
    is_same = current is not None and claimed.cid is not None and current.cid == claimed.cid
    _save_traits(picture, Trust.BROWSER, event, leaf, claimed, is_claim=not is_same)
    identity_id = claimed.cid or claimed.email
    if identity_id is None and claimed.visit_id is not None:
        picture.flush_visit(claimed.visit_id)
        identity_id = visits.fetch_identity_of(picture.conn, picture.site.site_id, claimed.visit_id)
    folded = mark(picture, event, leaf, MarkerKind.USER_INFO, identity_id)
    session = session_at(folded.sessions, Moment(event.tracked_at, event.seq)) if folded else None
    if session is not None and identity_id not in (None, session.identity_id):
        warnings = (*warnings, "info_names_other_identity")
    return Verdict(leaf, warnings)


def mark(
    picture: Picture,
    event: Event,
    leaf: str,
    kind: MarkerKind,
    identity_id: str | None = None,
    cid: str | None = None,
) -> Folded | None:
    """Keep an event that moves the state of its visit, and fold the visit again; what it comes to, None without one."""
    conn, site_id = picture.conn, picture.site.site_id
    known = picture.uids.get(event.uid) if event.uid else None
    device_id = known.device_id if known else None
    picture.widen_visit(event, device_id, leaf)
    picture.flush_people()
    picture.flush_visit(event.visit_id)
    marker = _reset_marker(event, leaf) if kind is MarkerKind.RESET else _marker(event, leaf, kind, identity_id)
    marks.insert_user_identification(
        conn, site_id, UserIdentification(marker, event.visit_id, device_id, event.uid, cid)
    )
    if identity_id is not None and kind in NAMING:
        picture.note_identity(identity_id, event.occurred_at)
    if event.visit_id is not None:
        return marks.fold_again(conn, site_id, event.visit_id, is_marked=True)
    return None


def _marker(event: Event, leaf: str, kind: MarkerKind, identity_id: str | None) -> Marker:
    return Marker(event.event_id, kind, event.tracked_at, event.seq, event.occurred_at, leaf, identity_id)


def _reset_marker(event: Event, leaf: str) -> Marker:
    """R8: a reset happens at the birth of its UID, whichever event brings it; its own event knows in which visit."""
    assert event.uid is not None
    birth = born_at(event.uid)
    marker_id = event.event_id if marker_kind(event) is MarkerKind.RESET else event.uid
    return Marker(marker_id, MarkerKind.RESET, birth, -1, event.occurred_at - event.tracked_at + birth, leaf)


def back_fill_on_arrival(picture: Picture, device_id: str, uid: str, event: Event) -> None:
    """R7 for a UID that was born before an assertion on its device and is first seen after it."""
    picture.flush()
    conn, site_id = picture.conn, picture.site.site_id
    birth = Moment(born_at(uid), 0)
    _, end = epoch_of(birth, devices.fetch_boundaries(conn, site_id, device_id))
    made = devices.fetch_assertions(conn, site_id, device_id, birth.at + 1)
    later = [asserted for asserted in made if end is None or asserted.moment < end]
    if not later or is_shared_device(picture.conn, picture.site.site_id, device_id, later[0].moment.at):
        return
    asserted_by, leaf = later[0].profile_id, picture.uids[uid].bindings[0].profile_id
    while picture.hold(profiles.fetch_roots(conn, site_id, (asserted_by, leaf)).values()):
        pass
    customer = profiles.fetch_person(conn, site_id, asserted_by)
    person = profiles.fetch_person(conn, site_id, leaf)
    if person is None or customer is None or customer.cid != later[0].cid:
        return  # whoever said so is not that customer any more: the merge was undone (R12)
    merge = back_fill_late_uid(person, customer)
    if merge is not None:
        # The evidence is the assertion, as it would be if the UID had come in time.
        _carry_out(picture, merge, event, (later[0].event_id, Trust.BROWSER, picture.now))
