"""Why one profile is one person: what it holds, the rule behind each part, and a plain sentence for each rule.

Pure shaping: `Profile` and `Explanation` are filled by the store, the documents below are what the HTTP API answers
and `regulars profile --json` prints. Ids are canonical UUID text, times milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from collector.domain.event import Trust
from collector.domain.traits import Trait, fold_traits

Document = dict[str, Any]

# One sentence for each rule of recognition that leaves a trace, as operators read it.
RULE_TEXT = {
    "R3": "A UID that was not known came with a CurrentContact cookie that named this profile.",
    "R3 (new)": "A UID that was not known came without a cookie naming a profile, so an anonymous profile began.",
    "R4a": "The visitor gave a customer id that nobody had, so this profile became that customer.",
    "R4b": "The visitor gave a customer id that another profile had, so both are one person.",
    "R4c": "The visitor gave the customer id that this profile has already.",
    "R4d": "The visitor gave another customer id than the one this profile has; customers never merge.",
    "R5a": "The visitor gave an e-mail address that nobody had, so this profile got it.",
    "R5b": "The visitor gave an e-mail address that another profile had, so both are one person.",
    "R5c": "The visitor gave the e-mail address that this profile has already.",
    "R5d": "The visitor gave an e-mail address while another one was known here; the event went to the owner of it.",
    "R5e": "The site's server, or a token it signed, changed the e-mail address.",
    "R6": "From this event on somebody else uses the browser; what came before stays with the previous person.",
    "R7": "The same browser was used anonymously before the visitor said who they are, so both are one person.",
    "R8": "The site called resetAnonymousUId(), so an anonymous profile began.",
    "R14": "The site accepts verified identities only, so what the visitor said is kept as a claim.",
}

CLAIM_TEXT = {
    "email_change_unverified": "the customer has another e-mail address, which a browser may not change",
    "email_owned_by_other_customer": "another customer has this e-mail address",
    "unverified_identity": "the site accepts verified identities only",
    "kept_apart": "an operator keeps these two profiles apart",
    "both_verified": "both profiles are verified, and a browser may not join them",
    "merge_limit_reached": "the profile has as many merges or UIDs as one may have",
    "replaced": "an earlier e-mail address, changed since",
    "unverified": "said by a browser where a verified value counts",
}

TRUST_NAMES = {Trust.BROWSER: "browser", Trust.SIGNED_TOKEN: "signed_token", Trust.SECRET_KEY: "secret_key"}


@dataclass(frozen=True, slots=True)
class HeldIdentifier:
    """A CID or e-mail that names the person, the leaf that said it, and the evidence. `at` is when it was recorded."""

    kind: str
    value: str
    profile_id: str
    rule: str
    event_id: str
    trust: Trust
    at: int


@dataclass(frozen=True, slots=True)
class RetiredIdentifier:
    """An e-mail that is history since event `event_id` changed it (R5e); `held` is how it was held until then."""

    held: HeldIdentifier
    event_id: str
    trust: Trust
    at: int


@dataclass(frozen=True, slots=True)
class IdentifierClaim:
    """A CID or e-mail that was said and does not name the person; `reason` is a key of `CLAIM_TEXT`."""

    kind: str
    value: str
    profile_id: str
    reason: str
    event_id: str
    trust: Trust
    at: int


@dataclass(frozen=True, slots=True)
class UidBinding:
    """From (`since_at`, `since_seq`) on, on the browser's clock, `uid` speaks for the leaf `profile_id`.

    `begins_profile` marks the binding that the profile was made for.
    """

    uid: str
    since_at: int
    since_seq: int
    profile_id: str
    rule: str
    event_id: str
    trust: Trust
    at: int
    begins_profile: bool

    @property
    def text(self) -> str:
        """The sentence for this binding. One that starts in mid-life of its UID is a switch of person (R6)."""
        if (self.since_at, self.since_seq) > (0, 0):
            return RULE_TEXT["R6"]
        return rule_text("R3 (new)" if self.rule == "R3" and self.begins_profile else self.rule)


@dataclass(frozen=True, slots=True)
class JournalledMerge:
    """One row of the journal of merges. `followers` are the profiles that pointed at the loser before.

    `reversed_at` is None while it holds; from then until `apart_lifted_at` it keeps its two apart (R12).
    """

    merge_id: int
    winner: str
    loser: str
    rule: str
    event_id: str
    trust: Trust
    at: int
    followers: tuple[str, ...] = ()
    reversed_at: int | None = None
    apart_lifted_at: int | None = None

    @property
    def keeps_apart(self) -> bool:
        """Whether no automatic rule may join the two."""
        return self.reversed_at is not None and self.apart_lifted_at is None


@dataclass(frozen=True, slots=True)
class KeptApart:
    """An undone merge whose two no automatic rule joins, and the people (roots) they belong to: winner's, loser's."""

    merge: JournalledMerge
    people: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The event behind a rule. It may be missing: one of another person, erased since."""

    event_id: str
    category: str
    action: str
    occurred_at: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A person: the root and all that its leaves hold. `leaves` are (profile_id, first seen), the root first."""

    profile_id: str
    leaves: tuple[tuple[str, int], ...]
    identifiers: tuple[HeldIdentifier, ...]
    claims: tuple[IdentifierClaim, ...]
    uids: tuple[str, ...]
    traits: tuple[Trait, ...]
    first_seen_at: int
    last_seen_at: int

    def identifier(self, kind: str) -> str | None:
        """The CID or e-mail."""
        return next((held.value for held in self.identifiers if held.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All the reasons: `evidence` holds, by id, the events that the others name; `history` what is held no longer."""

    profile: Profile
    bindings: tuple[UidBinding, ...]
    merges: tuple[JournalledMerge, ...]
    apart: tuple[KeptApart, ...]
    history: tuple[RetiredIdentifier, ...]
    evidence: dict[str, Evidence]

    def joined_by(self, leaf: str) -> JournalledMerge | None:
        """The merge that made `leaf` a part of this person, None for the root."""
        standing = (merge for merge in self.merges if merge.loser == leaf and merge.reversed_at is None)
        return next(standing, None)


def rule_text(rule: str) -> str:
    """The sentence for a rule; the rule itself where there is none."""
    return RULE_TEXT.get(rule, rule)


def profile_document(profile: Profile) -> Document:
    """The profile as JSON: identifiers, traits that count, and claims apart from both."""
    counted, _ = fold_traits(profile.traits)
    return {
        "profile_id": profile.profile_id,
        "cid": profile.identifier("cid"),
        "email": profile.identifier("email"),
        "uids": list(profile.uids),
        "merged_profile_ids": [leaf for leaf, _ in profile.leaves if leaf != profile.profile_id],
        "traits": {name: orjson.loads(trait.value) for name, trait in sorted(counted.items())},
        "claims": claim_documents(profile),
        "first_seen_at": profile.first_seen_at,
        "last_seen_at": profile.last_seen_at,
    }


def claim_documents(profile: Profile, found: dict[str, Evidence] | None = None) -> list[Document]:
    """What was said about the person and does not count: identifiers first, then values of traits.

    With `found`, events by id, each claim has its `event`.
    """
    _, shown = fold_traits(profile.traits)
    said = [
        {"kind": claim.kind, "value": claim.value, "reason": claim.reason, "profile_id": claim.profile_id}
        | _evidence(claim.event_id, claim.trust, claim.at, found)
        for claim in profile.claims
    ]
    return said + [
        {"kind": "trait", "name": trait.name, "value": orjson.loads(trait.value), "reason": "unverified"}
        | _evidence(trait.event_id, trait.trust, trait.occurred_at, found)
        for trait in shown
    ]


def explain_document(explanation: Explanation) -> Document:
    """Every identifier, binding and merge with its rule, a sentence, the evidence, trust and time."""
    found = explanation.evidence
    return {
        "profile_id": explanation.profile.profile_id,
        "identifiers": [_held_document(held, found) for held in explanation.profile.identifiers],
        "history": [
            _held_document(old.held, found) | {"replaced": _evidence(old.event_id, old.trust, old.at, found)}
            for old in explanation.history
        ],
        "bindings": [
            {"uid": b.uid, "profile_id": b.profile_id, "since_at": b.since_at, "since_seq": b.since_seq}
            | _rule(b.rule, b.text)
            | _evidence(b.event_id, b.trust, b.at, found)
            for b in explanation.bindings
        ],
        "merges": [
            merge_document(merge) | {"event": _event(found.get(merge.event_id))} for merge in explanation.merges
        ],
        "apart": [apart_document(pair) for pair in explanation.apart],
        "claims": claim_documents(explanation.profile, found),
    }


def _held_document(held: HeldIdentifier, found: dict[str, Evidence]) -> Document:
    return (
        {"kind": held.kind, "value": held.value, "profile_id": held.profile_id}
        | _rule(held.rule, rule_text(held.rule))
        | _evidence(held.event_id, held.trust, held.at, found)
    )


def merge_document(merge: JournalledMerge) -> Document:
    """One row of the journal as JSON."""
    return (
        {"merge_id": merge.merge_id, "winner": merge.winner, "loser": merge.loser}
        | _rule(merge.rule, rule_text(merge.rule))
        | _evidence(merge.event_id, merge.trust, merge.at)
        | {"reversed_at": merge.reversed_at, "apart_lifted_at": merge.apart_lifted_at}
    )


def apart_document(pair: KeptApart) -> Document:
    """Two profiles that an operator keeps apart, the people they belong to now, and the merge that was undone."""
    merge = pair.merge
    return {
        "merge_id": merge.merge_id,
        "profile_ids": [merge.winner, merge.loser],
        "people": list(pair.people),
        "rule": merge.rule,
        "text": rule_text(merge.rule),
        "since_at": merge.reversed_at,
    }


def event_document(row: Any) -> Document:
    """One stored event (a row of `events`) as JSON; `body` holds what the event said beyond its own columns."""
    plain = ("event_id", "category", "action", "profile_id", "uid", "visit_id", "page_id", "seq", "url")
    times = ("occurred_at", "tracked_at", "received_at")
    return {
        **{name: row[name] for name in (*plain, *times)},
        "bot": bool(row["bot"]),
        "warnings": (row["warnings"] or "").split(),
        "body": orjson.loads(row["body"]),
    }


def _rule(rule: str, text: str) -> Document:
    return {"rule": rule, "text": text}


def _evidence(event_id: str, trust: Trust, at: int, found: dict[str, Evidence] | None = None) -> Document:
    document: Document = {"event_id": event_id, "trust": TRUST_NAMES[trust], "at": at}
    return document if found is None else document | {"event": _event(found.get(event_id))}


def _event(evidence: Evidence | None) -> Document | None:
    if evidence is None:
        return None
    return {"category": evidence.category, "action": evidence.action, "occurred_at": evidence.occurred_at}
