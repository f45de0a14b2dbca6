"""The state of a visit and its sessions, folded from the events in it that say who is there.

The fold starts from nothing each time, over all such events of the visit in order of (at, seq): late, repeated and
reordered events therefore end in the same history (spec/visits-and-history.md, States).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.domain.event import Event


class State(StrEnum):
    """How sure the system is of who browses."""

    ANONYMOUS = "Anonymous"
    RECOGNIZED = "Recognized"
    AUTHENTICATED = "Authenticated"


class MarkerKind(StrEnum):
    """The events that move a visit between states."""

    SIGN_IN = "SignIn"
    SIGN_OUT = "SignOut"
    USER_INFO = "UserInfo"
    RESET = "Reset"
    ASSERTION = "Assertion"  # another event that said who is there; moves no state


ACTIONS = {
    "sign_in": MarkerKind.SIGN_IN,
    "sign_up": MarkerKind.SIGN_IN,
    "identify": MarkerKind.SIGN_IN,
    "sign_out": MarkerKind.SIGN_OUT,
    "info": MarkerKind.USER_INFO,
    "reset_anonymous_uid": MarkerKind.RESET,
}


@dataclass(frozen=True, slots=True)
class Marker:
    """One event that moves the state. `identity_id` is the CID, else the e-mail, as asserted; None if none was kept.

    (`at`, `seq`) puts the markers of one browser in order, on its own clock; `occurred_at` is when it was for us. A
    reset is marked at the birth of its UID; if another event than its own brings it, `event_id` is that UID.
    """

    event_id: str
    kind: MarkerKind
    at: int
    seq: int
    occurred_at: int
    profile_id: str
    identity_id: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of a visit during which one customer is authenticated. `ended_at` is None while it is open.

    `session_id` is the id of the event that opened it, so that folding again yields the same session.
    """

    session_id: str
    identity_id: str
    profile_id: str
    started_at: int
    ended_at: int | None = None


def marker_kind(event: Event) -> MarkerKind | None:
    """What `event` by itself does to the state of its visit, None for the great majority."""
    kind = ACTIONS.get(event.action) if event.category == "user" else None
    if kind is MarkerKind.RESET and (event.uid is None or event.uid_origin != "reset"):
        return None  # nothing was reset: the UID is nobody's, or the first of its browser
    return kind


def fold_visit(markers: Iterable[Marker]) -> tuple[State, list[Session]]:
    """The state after all `markers` of one visit, and its sessions in order."""
    state = State.ANONYMOUS
    sessions: list[Session] = []
    for marker in sorted(markers, key=lambda marker: (marker.at, marker.seq, marker.event_id)):
        is_open = bool(sessions) and sessions[-1].ended_at is None
        if marker.kind is MarkerKind.SIGN_IN and marker.identity_id is not None:
            if is_open and sessions[-1].identity_id == marker.identity_id:
                continue
            _close(sessions, marker.occurred_at)
            sessions.append(Session(marker.event_id, marker.identity_id, marker.profile_id, marker.occurred_at))
            state = State.AUTHENTICATED
        elif marker.kind is MarkerKind.SIGN_OUT and is_open:
            _close(sessions, marker.occurred_at)
            state = State.RECOGNIZED
        elif marker.kind is MarkerKind.USER_INFO and not is_open and marker.identity_id is not None:
            state = State.RECOGNIZED
        elif marker.kind is MarkerKind.RESET:
            _close(sessions, marker.occurred_at)
            state = State.ANONYMOUS
    return state, sessions


def _close(sessions: list[Session], at: int) -> None:
    if sessions and sessions[-1].ended_at is None:
        sessions[-1] = replace(sessions[-1], ended_at=at)
