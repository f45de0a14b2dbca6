"""Of which customer a visit is assumed to be, before anybody signs in (WM-Recognized).

Only what was known when the visit began counts, by the times at which it happened and not at which we heard of it: then
late and reordered events end in the same history. These times are corrected for the clocks of their browsers and are
compared across browsers, which no rule about people does; what comes of it is an assumption and merges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Naming(NamedTuple):
    """At `at` (ms) the CID was accepted of a profile."""

    at: int
    profile_id: str


class Joining(NamedTuple):
    """A merge that holds, and when what it rests on happened, ms."""

    at: int
    winner_id: str
    loser_id: str
    rule: str


def customer_since(leaf: str, namings: Iterable[Naming], joinings: Iterable[Joining]) -> int | None:
    """When the person of `leaf` was first known to be a customer, ms; None if they are not.

    `joinings` are the merges between profiles of this person. One by the CID (R4) says nothing that its namings do not
    say; in a back-fill (R7) the evidence named the customer; any other joins what was known of its two.
    """
    joinings = sorted(joinings)
    since: dict[str, int] = {}
    for at, profile_id in [*namings, *((join.at, join.loser_id) for join in joinings if join.rule.startswith("R7"))]:
        since[profile_id] = min(at, since.get(profile_id, at))
    groups: dict[str, set[str]] = {}
    for join in joinings:
        if join.rule.startswith("R4"):
            continue
        sides = [groups.get(side, {side}) for side in (join.winner_id, join.loser_id)]
        known = min((since[member] for side in sides for member in side if member in since), default=None)
        joined = sides[0] | sides[1]
        groups.update(dict.fromkeys(joined, joined))
        for member in joined if known is not None else ():
            since[member] = min(since.get(member, max(join.at, known or 0)), max(join.at, known or 0))
    return since.get(leaf)


def is_assumed(started_at: int, since: int | None, *, is_shared: bool) -> bool:
    """Whether a visit that began at `started_at` is held to be that customer's; on a shared device (R13) nobody is."""
    return since is not None and since < started_at and not is_shared
