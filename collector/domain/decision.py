"""The values that the identity rules work with: people and a situation in, a decision made of steps out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.domain.event import Trust

Kind = Literal["cid", "email"]


@dataclass(frozen=True, slots=True)
class Person:
    """A root profile with everything its cluster holds. `apart` names profiles that an operator keeps separate."""

    profile_id: str
    first_seen_at: int
    cid: str | None = None
    email: str | None = None
    verified: bool = False
    merges: int = 0
    uids: int = 1
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Situation:
    """All that R4-R7 look at.

    `leaf` is the profile that the event's UID speaks for, `current` its root. `candidates` are the roots with a UID
    born on this device in this epoch before the assertion (R7), empty on a shared device (R13). `leaf_of_cid` and
    `leaf_of_email` are the profiles that hold the identifiers; without them the roots of their owners count.
    """

    leaf: str
    current: Person
    owner_of_cid: Person | None = None
    owner_of_email: Person | None = None
    candidates: tuple[Person, ...] = ()
    trust: Trust = Trust.BROWSER
    require_verified: bool = False
    leaf_of_cid: str | None = None
    leaf_of_email: str | None = None


@dataclass(frozen=True, slots=True)
class NewProfile:
    """Create an anonymous profile."""

    profile_id: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give an identifier to a profile (the leaf that spoke)."""

    kind: Kind
    value: str
    profile_id: str
    rule: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Keep an e-mail as history of its person; it no longer resolves (R5e)."""

    email: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Point `loser` and its followers at `winner`; both are roots."""

    winner: str
    loser: str
    rule: str


@dataclass(frozen=True, slots=True)
class Switch:
    """R6: from this event on the UID speaks for `profile_id`, and a new epoch of the device begins."""

    profile_id: str
    rule: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Keep an identifier that was claimed but not believed."""

    kind: Kind
    value: str
    profile_id: str
    reason: str


Step = NewProfile | Assign | Retire | Merge | Switch | Claim


@dataclass(frozen=True, slots=True)
class Decision:
    """`leaf` owns the event and its traits, `root` is the person who stays current, `rules` those that applied."""

    leaf: str
    root: str
    steps: tuple[Step, ...] = ()
    rules: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    traits_are_claims: bool = False
