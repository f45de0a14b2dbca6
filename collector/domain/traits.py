"""R10: which of several values of a trait counts.

Highest trust, then latest occurred_at, then event id: the same answer in any order of arrival. Values are never added
up and never concatenated. A claim never counts; it is shown beside the value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from collector.domain.event import Trust

MAX_NAME_BYTES = 1024  # more does not fit into an index of PostgreSQL beside the rest of the key


def can_be_named(name: str) -> bool:
    """Whether a trait may have this name; what is called otherwise stays in its event alone."""
    return len(name) * 4 <= MAX_NAME_BYTES or len(name.encode()) <= MAX_NAME_BYTES


@dataclass(frozen=True, slots=True)
class Trait:
    """One value of one trait as one event said it. `value` is JSON text."""

    name: str
    value: str
    trust: Trust
    occurred_at: int
    event_id: str
    is_claim: bool = False

    @property
    def rank(self) -> tuple[int, int, str]:
        """What R10 compares."""
        return (self.trust, self.occurred_at, self.event_id)


def fold_traits(traits: Iterable[Trait]) -> tuple[dict[str, Trait], list[Trait]]:
    """The traits of all leaves of one person as (what counts by name, claims that differ from it)."""
    counted: dict[str, Trait] = {}
    everything = list(traits)
    for trait in everything:
        best = counted.get(trait.name)
        if not trait.is_claim and (best is None or trait.rank > best.rank):
            counted[trait.name] = trait
    shown = [
        trait
        for trait in everything
        if trait.name not in counted
        or (trait.value != counted[trait.name].value and (trait.is_claim or trait.trust < counted[trait.name].trust))
    ]
    return counted, sorted(shown, key=lambda trait: (trait.name, trait.rank))
