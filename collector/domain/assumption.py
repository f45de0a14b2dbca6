"""Of which customer a visit is assumed to be, before anybody signs in (WM-Recognized).

Only what was known when the visit began counts, by the times at which it happened and not at which we heard of it: then
late and reordered events end in the same history. These times are corrected for the clocks of their browsers and are
compared across browsers, which no rule about people does; what comes of it is an assumption and merges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Naming(NamedTuple):
    """At `at` (ms) a profile was given a CID."""

    at: int
    profile_id: str


class Joining(NamedTuple):
    """At `at` (ms) two profiles were found to be one person."""

    at: int
    winner_id: str
    loser_id: str


def customer_since(leaf: str, namings: Iterable[Naming], joinings: Iterable[Joining]) -> int | None:
    """When the person of `leaf` was first known to be a customer, ms; None if they are not.

    `joinings` are the merges that hold between profiles of this person.
    """
    named: dict[str, int] = {}
    for naming in namings:
        named[naming.profile_id] = min(naming.at, named.get(naming.profile_id, naming.at))
    person = {leaf}
    groups: dict[str, set[str]] = {}
    since = named.get(leaf)
    for joining in sorted(joinings):
        joined = groups.get(joining.winner_id, {joining.winner_id}) | groups.get(joining.loser_id, {joining.loser_id})
        groups.update(dict.fromkeys(joined, joined))
        if leaf in joined:
            known = [max(named[profile_id], joining.at) for profile_id in joined - person if profile_id in named]
            since = min([*known, *([since] if since is not None else [])], default=None)
            person = joined
    return since


def is_assumed(started_at: int, since: int | None, *, is_shared: bool) -> bool:
    """Whether a visit that began at `started_at` is held to be that customer's; on a shared device (R13) nobody is."""
    return since is not None and since < started_at and not is_shared
