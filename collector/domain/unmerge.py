"""R12: whether a merge can be undone, what keeps it from being undone, and who the two people are afterwards.

Values in, values out. Undoing restores the pointers of before; everything else belongs to a leaf and goes where its
leaf goes. The one thing that a merge takes from a leaf is an e-mail that it replaced (R5e), so that comes back too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from collector.domain.explain import HeldIdentifier, JournalledMerge, RetiredIdentifier


@dataclass(frozen=True, slots=True)
class MergeCase:
    """All that undoing `merge` looks at.

    `leaves` are the profiles of the person that its winner belongs to now. `later` are the merges made after it that
    still hold within that person, and `spoken_by` has, by event, the leaf that each one's evidence lies on. `retired`
    is what the merge's own event replaced, `owners` who (root) holds such an identifier now, by kind and value.
    """

    merge: JournalledMerge
    leaves: tuple[str, ...]
    later: tuple[JournalledMerge, ...] = ()
    spoken_by: Mapping[str, str | None] = field(default_factory=dict)
    identifiers: tuple[HeldIdentifier, ...] = ()
    retired: tuple[RetiredIdentifier, ...] = ()
    owners: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Half:
    """One of the two people after the merge is undone; `leaves` begin with the root, `profile_id`."""

    profile_id: str
    leaves: tuple[str, ...]
    cid: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Unmerge:
    """The merge can be undone: the people afterwards, and the identifiers that come back to them."""

    merge: JournalledMerge
    winner: Half
    loser: Half
    restored: tuple[RetiredIdentifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The merge stays. `merges` are those to undo before it, in this order; `profile_id` has what would come back."""

    code: Literal["already_reversed", "merge_has_dependents", "identifier_taken"]
    merges: tuple[int, ...] = ()
    profile_id: str | None = None
    kind: str | None = None


def decide_unmerge(case: MergeCase) -> Unmerge | Refused:
    """R12 for one merge."""
    if case.merge.reversed_at is not None:
        return Refused("already_reversed")
    needed = dependents(case.merge, case.later, case.spoken_by)
    if needed:
        return Refused("merge_has_dependents", needed)
    moved = (case.merge.loser, *case.merge.followers)
    stays = tuple(leaf for leaf in case.leaves if leaf not in moved)
    restored = []
    # A back-fill replaces nothing. One that comes late rests on an event that may have, in another transaction (R7).
    for retired in case.retired if case.merge.rule != "R7" else ():
        old = retired.held
        side = moved if old.profile_id in moved else stays
        if any(held.kind == old.kind and held.profile_id in side for held in case.identifiers):
            continue  # it has got another one since, and the old one remains history
        owner = case.owners.get((old.kind, old.value))
        if owner is not None:
            return Refused("identifier_taken", profile_id=owner, kind=old.kind)
        restored.append(retired)
    held = (*case.identifiers, *(retired.held for retired in restored))
    halves = (_half(case.merge.winner, stays, held), _half(case.merge.loser, moved, held))
    return Unmerge(case.merge, *halves, tuple(restored))


def dependents(
    merge: JournalledMerge, later: Iterable[JournalledMerge], spoken_by: Mapping[str, str | None]
) -> tuple[int, ...]:
    """The merges that rest on `merge`, directly or through one another, in the order in which they can be undone."""
    chain = [merge]
    for other in sorted(later, key=lambda other: other.merge_id):
        leaf = spoken_by.get(other.event_id)
        if any(other.loser == base.winner or leaf in (base.loser, *base.followers) for base in chain):
            chain.append(other)
    return tuple(other.merge_id for other in reversed(chain[1:]))


def _half(root: str, leaves: Iterable[str], identifiers: Iterable[HeldIdentifier]) -> Half:
    ordered = (root, *(leaf for leaf in leaves if leaf != root))
    values = {held.kind: held.value for held in identifiers if held.profile_id in ordered}
    return Half(root, ordered, values.get("cid"), values.get("email"))


def half_document(half: Half) -> dict[str, Any]:
    """One of the two people as JSON."""
    others = [leaf for leaf in half.leaves if leaf != half.profile_id]
    return {"profile_id": half.profile_id, "cid": half.cid, "email": half.email, "merged_profile_ids": others}


def unmerge_document(undone: Unmerge) -> dict[str, Any]:
    """What undoing comes to, as JSON: the winner's person, then the loser's."""
    return {
        "merge_id": undone.merge.merge_id,
        "people": [half_document(undone.winner), half_document(undone.loser)],
        "restored": [
            {"kind": old.held.kind, "value": old.held.value, "profile_id": old.held.profile_id}
            for old in undone.restored
        ],
    }
