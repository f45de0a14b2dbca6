"""What recording an event of a server would do: the same rows loaded, the same rules asked, and no step carried out.

It reads only, so that it may run on a connection that cannot write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from collector.domain.decision import Merge, Person
from collector.domain.event import Arrival, Assertion, Event
from collector.domain.identifiers import sanitise
from collector.domain.identity import decide
from collector.domain.recognition import Moment, profile_at
from collector.recorder.assertion import fetch_situation, find_leaf, is_erased
from collector.recorder.loading import load
from collector.recorder.picture import Picture
from collector.store.erasure import Erasures
from collector.store.events import fetch_stored, fingerprint
from collector.store.people import fetch_recorded


@dataclass(frozen=True, slots=True)
class WouldMerge:
    """Two roots that would be joined; None stands for a profile that would begin."""

    winner: str | None
    loser: str | None
    rule: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of the event. `rules` are keys of `RULE_TEXT`, `profile_id` the root of the person it is about.

    None stands for a profile that would begin, or where nothing would be recorded.
    """

    status: Literal["accepted", "duplicate", "id_conflict", "suppressed"]
    rules: tuple[str, ...] = ()
    profile_id: str | None = None
    merges: tuple[WouldMerge, ...] = ()
    warnings: tuple[str, ...] = ()


def rehearse(
    conn: Connection, arrival: Arrival, now: int, fresh_id: Callable[[], str], erasures: Erasures
) -> Rehearsal:
    """What recording `arrival`, one event with an assertion that no browser sent, would do."""
    (event,) = arrival.events
    picture = Picture(conn, arrival.site, now, fresh_id, erasures, {}, {}, is_real=False)
    stored = fetch_stored(conn, arrival.site.site_id, [event.event_id]).get(event.event_id)
    if stored is not None:
        return _repeated(picture, event, is_same=stored == fingerprint(event))
    load(picture, [arrival])
    clean = sanitise(event.assertion or Assertion())
    if event.uid in picture.erased_uids or is_erased(picture, event, clean.assertion):
        return Rehearsal("suppressed")
    leaf = _find_leaf(picture, event, clean.assertion)
    speaker, stranger = leaf or fresh_id(), fresh_id()
    newcomer = Person(speaker, event.occurred_at) if leaf is None else None
    situation = fetch_situation(picture, arrival.trust, event, speaker, clean.assertion, newcomer)
    decision = decide(situation, clean.assertion.cid, clean.assertion.email, event.occurred_at, [stranger])
    begun: dict[str, None] = dict.fromkeys((stranger,) if newcomer is None else (stranger, speaker))
    greeting = ("R3 (new)",) if newcomer is not None and event.uid is not None else ()
    return Rehearsal(
        "accepted",
        (*greeting, *decision.rules),
        begun.get(decision.root, decision.root),
        tuple(
            WouldMerge(begun.get(step.winner, step.winner), begun.get(step.loser, step.loser), step.rule)
            for step in decision.steps
            if isinstance(step, Merge)
        ),
        (*clean.warnings, *decision.warnings),
    )


def _repeated(picture: Picture, event: Event, *, is_same: bool) -> Rehearsal:
    if not is_same:
        return Rehearsal("id_conflict")
    root, warnings = fetch_recorded(picture.conn, picture.site.site_id, event.event_id) or (None, [])
    return Rehearsal("duplicate", profile_id=root, warnings=tuple(warnings))


def _find_leaf(picture: Picture, event: Event, claimed: Assertion) -> str | None:
    """The profile that the event would be written to before any rule of an assertion, None for a new one."""
    if event.uid is None:
        return find_leaf(picture, claimed)
    known = picture.uids.get(event.uid)
    return profile_at(known.bindings, Moment(event.tracked_at, event.seq)) if known else None
