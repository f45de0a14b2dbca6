"""R4-R9: what becomes of profiles when a visitor says who they are.

Values in, values out: `decide` gets the people the rules may touch, already folded to roots, and answers with steps
for the store to carry out and the profile that the event belongs to. One function per rule, named by its number in
spec/identity.md. Nothing here knows how people are loaded or how steps are saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from collector.domain.decision import (
    Assign,
    Claim,
    Decision,
    Kind,
    Merge,
    NewProfile,
    Person,
    Retire,
    Situation,
    Step,
    Switch,
)
from collector.domain.event import Trust

MAX_MERGES = 100
MAX_UIDS = 1000


def survivor(a: Person, b: Person) -> tuple[Person, Person]:
    """R9: (winner, loser): has a CID, then older first_seen, then smaller GUID."""

    def rank(person: Person) -> tuple[bool, int, str]:
        return (person.cid is None, person.first_seen_at, person.profile_id)

    return (a, b) if rank(a) <= rank(b) else (b, a)


def why_not_merge(a: Person, b: Person, trust: Trust) -> str | None:
    """The reason that R12, R13 or R14 gives for keeping two roots separate, or None."""
    if b.profile_id in a.apart or a.profile_id in b.apart:
        return "kept_apart"
    if trust is Trust.BROWSER and a.verified and b.verified:
        return "both_verified"
    if a.merges + b.merges >= MAX_MERGES or a.uids + b.uids > MAX_UIDS:
        return "merge_limit_reached"
    return None


def _united(winner: Person, loser: Person) -> Person:
    return replace(
        winner,
        first_seen_at=min(winner.first_seen_at, loser.first_seen_at),
        cid=winner.cid or loser.cid,
        email=winner.email or loser.email,
        verified=winner.verified or loser.verified,
        merges=winner.merges + loser.merges + 1,
        uids=winner.uids + loser.uids,
        apart=winner.apart | loser.apart,
    )


@dataclass(slots=True)
class _Case:
    """The decision while it is being made: `person` is who the event is about, `speaker` the leaf it is written to."""

    situation: Situation
    person: Person
    speaker: str
    steps: list[Step] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    switched: bool = False
    event_leaf: str | None = None

    def merge(self, other: Person, rule: str) -> None:
        winner, loser = survivor(self.person, other)
        self.steps.append(Merge(winner.profile_id, loser.profile_id, rule))
        self.person = _united(winner, loser)
        self.rules.append(rule)

    def assign(self, kind: Kind, value: str, rule: str) -> None:
        self.steps.append(Assign(kind, value, self.speaker, rule))
        verified = self.person.verified or self.situation.trust > Trust.BROWSER
        if kind == "cid":
            self.person = replace(self.person, cid=value, verified=verified)
        else:
            self.person = replace(self.person, email=value, verified=verified)
        self.rules.append(rule)

    def switch(self, person: Person, rule: str, leaf: str | None = None) -> None:
        """R6. The UID speaks for the leaf that holds the identifier, and so follows it when a merge is undone."""
        self.person, self.speaker, self.switched = person, leaf or person.profile_id, True
        self.steps.append(Switch(self.speaker, rule))
        self.rules.append(rule)

    def claim(self, kind: Kind, value: str, reason: str, profile_id: str | None = None) -> None:
        self.steps.append(Claim(kind, value, profile_id or self.speaker, reason))
        self.warnings.append(reason)

    def merge_blocker(self, other: Person) -> str | None:
        return why_not_merge(self.person, other, self.situation.trust)

    def refresh(self, other: Person | None) -> Person | None:
        """`other` as it is now: the current person where it is one of those already united."""
        gone = {step.loser for step in self.steps if isinstance(step, Merge)}
        return self.person if other and other.profile_id in gone | {self.person.profile_id} else other


def decide(
    situation: Situation, cid: str | None, email: str | None, at: int, fresh_profile_ids: Iterable[str]
) -> Decision:
    """What an assertion of `cid`, `email` or both (sanitised, R1) does, at time `at` ms.

    `fresh_profile_ids` supplies GUIDs for profiles that a rule has to create; at most one is taken.
    """
    case = _Case(situation, situation.current, situation.leaf)
    fresh = iter(fresh_profile_ids)

    def new_person() -> Person:
        profile_id = next(fresh)
        case.steps.append(NewProfile(profile_id))
        return Person(profile_id, at)

    if situation.require_verified and situation.trust is Trust.BROWSER:
        return _claims_only(case, cid, email)
    if cid is not None:
        _assign_cid(case, cid, email, new_person)
        if email is not None:
            _email_beside_cid(case, email)
        if not case.switched:
            _back_fill(case)
    elif email is not None:
        _submit_email(case, email, new_person)
    return Decision(
        case.event_leaf or case.speaker,
        case.person.profile_id,
        tuple(case.steps),
        tuple(case.rules),
        tuple(case.warnings),
        traits_are_claims=case.event_leaf is not None and situation.trust is Trust.BROWSER,
    )


def back_fill_late_uid(person: Person, customer: Person, trust: Trust = Trust.BROWSER) -> Merge | None:
    """R7 for a UID first seen after the assertion that it would have been back-filled by."""
    if person.profile_id == customer.profile_id or person.cid is not None:
        return None
    if _emails_conflict(person, customer) or why_not_merge(customer, person, trust):
        return None
    winner, loser = survivor(customer, person)
    return Merge(winner.profile_id, loser.profile_id, "R7")


def _emails_conflict(a: Person, b: Person) -> bool:
    return a.email is not None and b.email is not None and a.email != b.email


def _claims_only(case: _Case, cid: str | None, email: str | None) -> Decision:
    """R14: an unverified assertion on a site that requires verified ones is kept and merges nothing."""
    if cid is not None:
        case.claim("cid", cid, "unverified_identity")
    if email is not None:
        case.claim("email", email, "unverified_identity")
    return Decision(
        case.speaker,
        case.person.profile_id,
        tuple(case.steps),
        ("R14",),
        tuple(dict.fromkeys(case.warnings)),
        traits_are_claims=True,
    )


def _assign_cid(case: _Case, cid: str, email: str | None, new_person: Callable[[], Person]) -> None:
    """R4: the current person says that they are customer `cid`."""
    person, owner = case.person, case.situation.owner_of_cid
    if person.cid == cid:
        case.rules.append("R4c")
    elif person.cid is not None:
        _switch_to_customer(case, cid, owner, "R4d", new_person)
    elif owner is not None:
        _join_customer(case, owner)
    elif email is not None and person.email is not None and email != person.email:
        _somebody_else_becomes_customer(case, cid, new_person)
    else:
        case.assign("cid", cid, "R4a")


def _switch_to_customer(
    case: _Case, cid: str, owner: Person | None, rule: str, new_person: Callable[[], Person]
) -> None:
    """R4d: a CID never changes and two customers never merge."""
    case.switch(owner or new_person(), rule, case.situation.leaf_of_cid)
    if owner is None:
        case.assign("cid", cid, rule)


def _join_customer(case: _Case, owner: Person) -> None:
    """R4b: merge into the customer, unless the e-mails or an earlier decision say that these are two people."""
    blocker = case.merge_blocker(owner)
    if _emails_conflict(case.person, owner) or blocker:
        case.switch(owner, "R4b", case.situation.leaf_of_cid)
        if blocker:
            case.warnings.append(blocker)
    else:
        case.merge(owner, "R4b")


def _somebody_else_becomes_customer(case: _Case, cid: str, new_person: Callable[[], Person]) -> None:
    """R4a, exception: the e-mail beside the new CID is not the current person's, so neither is the CID."""
    owner = case.situation.owner_of_email
    if owner is not None and owner.cid is None:
        case.switch(owner, "R4a", case.situation.leaf_of_email)
    else:
        case.switch(new_person(), "R4a")
    case.assign("cid", cid, "R4a")


def _email_beside_cid(case: _Case, email: str) -> None:
    """R5 on the person that R4 arrived at; the event stays theirs whatever the e-mail says (R4c)."""
    if case.person.email is None:
        _first_email(case, email)
    elif case.person.email == email:
        case.rules.append("R5c")
    elif case.situation.trust > Trust.BROWSER:
        _change_email(case, email)
    else:
        case.claim("email", email, "email_change_unverified")


def _submit_email(case: _Case, email: str, new_person: Callable[[], Person]) -> None:
    """R5 for an event that asserts an e-mail alone."""
    if case.person.email is None:
        _first_email(case, email)
    elif case.person.email == email:
        case.rules.append("R5c")
    elif case.situation.trust > Trust.BROWSER:
        _change_email(case, email)
    else:
        _collide(case, email, new_person)


def _first_email(case: _Case, email: str) -> None:
    """R5a, R5b: the person has no e-mail yet."""
    owner = case.refresh(case.situation.owner_of_email)
    if owner is None:
        case.assign("email", email, "R5a")
    elif owner.profile_id == case.person.profile_id:
        case.rules.append("R5c")
    elif owner.cid is not None and case.person.cid is not None:
        case.claim("email", email, "email_owned_by_other_customer")
    elif blocker := case.merge_blocker(owner):
        case.claim("email", email, blocker)
    else:
        case.merge(owner, "R5b")


def _collide(case: _Case, email: str, new_person: Callable[[], Person]) -> None:
    """R5d: the event is about whoever owns the e-mail; the current person, their e-mail and cookie stay."""
    owner = case.situation.owner_of_email
    if owner is None:
        stranger = new_person()
        case.steps.append(Assign("email", email, stranger.profile_id, "R5d"))
        owner = stranger
    case.event_leaf = case.situation.leaf_of_email or owner.profile_id
    case.rules.append("R5d")
    case.warnings.append("email_collision")


def _change_email(case: _Case, email: str) -> None:
    """R5e: a server or a signed token may change the e-mail; the old one is history and no longer resolves."""
    owner = case.refresh(case.situation.owner_of_email)
    old = case.person.email
    if owner is not None and owner.cid is not None:
        case.claim("email", email, "email_owned_by_other_customer")
        return
    if owner is not None and (blocker := case.merge_blocker(owner)):
        case.claim("email", email, blocker)
        return
    if old is not None:
        case.steps.append(Retire(old))
    case.person = replace(case.person, email=None)
    if owner is None:
        case.assign("email", email, "R5e")
    else:
        case.merge(owner, "R5e")


def _back_fill(case: _Case) -> None:
    """R7: anonymous profiles of the same device and epoch, from before the assertion, were the same person."""
    for candidate in case.situation.candidates:
        other = case.refresh(candidate)
        if other is None or other.profile_id == case.person.profile_id:
            continue
        merge = back_fill_late_uid(other, case.person, case.situation.trust)
        if merge is not None:
            case.merge(other, "R7")
