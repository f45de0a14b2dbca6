"""The state of a visit, its sessions and its contacts, folded from the events in it that say who is there.

The fold starts from nothing each time, over all such events of the visit in order of (at, seq): late, repeated and
reordered events therefore end in the same history (spec/visits-and-history.md, States).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.domain.event import Event
from collector.domain.recognition import BEGINNING, Moment

SILENCE_MS = 30 * 60_000  # after which a visit is over


class State(StrEnum):
    """How sure the system is of who browses."""

    ANONYMOUS = "Anonymous"
    WM_RECOGNIZED = "WM-Recognized"
    RECOGNIZED = "Recognized"
    AUTHENTICATED = "Authenticated"


class MarkerKind(StrEnum):
    """The events that move a visit between states."""

    SIGN_IN = "SignIn"
    SIGN_OUT = "SignOut"
    USER_INFO = "UserInfo"
    RESET = "Reset"
    ASSERTION = "Assertion"  # another event that said who is there; moves no state
    ASSUMPTION = "Assumption"  # the cookies name a customer who has not signed in here; first of all
    CONFIRMATION = "Confirmation"  # an agent's answer, that it is this identity; last of all
    DISMISSAL = "Dismissal"  # an agent's answer, that it is not


NAMING = frozenset({MarkerKind.SIGN_IN, MarkerKind.USER_INFO, MarkerKind.CONFIRMATION})  # what makes an identity
DECISIONS = frozenset({MarkerKind.CONFIRMATION, MarkerKind.DISMISSAL})
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
    since: Moment = BEGINNING  # on the browser's clock: an event of the visit is inside from here on
    until: Moment | None = None

    @property
    def is_open(self) -> bool:
        """Whether the customer is still authenticated."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Contact:
    """An identity that was in a visit: in a session, or recognized without one.

    `contact_id` is the id of the event that said so.
    """

    contact_id: str
    identity_id: str
    profile_id: str
    session_id: str | None
    occurred_at: int


@dataclass(frozen=True, slots=True)
class Folded:
    """What the markers of a visit come to. `identity_id` is whom the state is about, None while Anonymous.

    `confirmed_id` is whom an agent said it is, None if none did.
    """

    state: State = State.ANONYMOUS
    identity_id: str | None = None
    sessions: tuple[Session, ...] = ()
    contacts: tuple[Contact, ...] = ()
    confirmed_id: str | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether the state is what an agent said."""
        return self.state is State.RECOGNIZED and self.identity_id == self.confirmed_id


def marker_kind(event: Event) -> MarkerKind | None:
    """What `event` by itself does to the state of its visit, None for the great majority."""
    kind = ACTIONS.get(event.action) if event.category == "user" else None
    if kind is MarkerKind.RESET and (event.uid is None or event.uid_origin != "reset"):
        return None  # nothing was reset: the UID is nobody's, or the first of its browser
    return kind


def fold_visit(markers: Iterable[Marker], since_at: int = 0) -> Folded:
    """What all `markers` of one visit come to; it began at `since_at`, ms on the browser's clock.

    A reset from before the visit is none of its own: the event that brings its UID came in a later visit. An agent's
    decision sorts last, so that it outlives late events and hints; but it says nothing of who signed in after it.
    """
    folded = Folded()
    ordered = sorted(markers, key=lambda marker: (marker.at, marker.seq, marker.event_id))
    taken_over_at = max((marker.occurred_at for marker in ordered if _takes_over(marker)), default=0)
    for marker in ordered:
        if marker.kind is MarkerKind.RESET and marker.at < since_at:
            continue
        moved = _MOVES[marker.kind](folded, marker)
        if marker.kind in DECISIONS and marker.occurred_at < taken_over_at:
            moved = replace(folded, contacts=moved.contacts)  # who was in the visit stays as the agent said
        folded = moved
    return folded


def _takes_over(marker: Marker) -> bool:
    """Whether from here on the visit may be somebody else's."""
    return marker.kind is MarkerKind.RESET or (marker.kind is MarkerKind.SIGN_IN and marker.identity_id is not None)


def open_session(folded: Folded) -> Session | None:
    """The session that goes on at the end, None if nobody is authenticated."""
    return folded.sessions[-1] if folded.sessions and folded.sessions[-1].is_open else None


def session_at(sessions: Iterable[Session], moment: Moment) -> Session | None:
    """The session of a visit that an event at `moment` is inside of."""
    for session in sessions:
        if session.since <= moment and (session.until is None or moment < session.until):
            return session
    return None


def _stay(folded: Folded, _marker: Marker) -> Folded:
    return folded


def _assume(folded: Folded, marker: Marker) -> Folded:
    if folded != Folded():
        return folded
    return replace(folded, state=State.WM_RECOGNIZED, identity_id=marker.identity_id)


def _sign_in(folded: Folded, marker: Marker) -> Folded:
    if marker.identity_id is None:
        return folded
    session = open_session(folded)
    if session is not None and session.identity_id == marker.identity_id:
        return folded
    begun = Session(
        marker.event_id,
        marker.identity_id,
        marker.profile_id,
        marker.occurred_at,
        since=Moment(marker.at, marker.seq),
    )
    closed = _close(folded, marker)
    contacted = _contact(closed, marker, begun.session_id)
    return replace(
        contacted, state=State.AUTHENTICATED, identity_id=marker.identity_id, sessions=(*closed.sessions, begun)
    )


def _sign_out(folded: Folded, marker: Marker) -> Folded:
    if open_session(folded) is None:
        return folded
    return replace(_close(folded, marker), state=State.RECOGNIZED)


def _recognize(folded: Folded, marker: Marker) -> Folded:
    if marker.identity_id is None or open_session(folded) is not None:
        return folded
    contacted = _contact(folded, marker, None)
    return replace(contacted, state=State.RECOGNIZED, identity_id=marker.identity_id)


def _reset(folded: Folded, marker: Marker) -> Folded:
    return replace(_close(folded, marker), state=State.ANONYMOUS, identity_id=None)


def _confirm(folded: Folded, marker: Marker) -> Folded:
    if marker.identity_id is None:
        return folded
    is_known = any(contact.identity_id == marker.identity_id for contact in folded.contacts)
    contacted = folded if is_known else _contact(folded, marker, None)
    if open_session(folded) is not None:
        return contacted
    return replace(contacted, state=State.RECOGNIZED, identity_id=marker.identity_id, confirmed_id=marker.identity_id)


def _dismiss(folded: Folded, marker: Marker) -> Folded:
    kept = tuple(c for c in folded.contacts if c.session_id is not None or c.identity_id != marker.identity_id)
    folded = replace(folded, contacts=kept)
    if folded.identity_id != marker.identity_id or folded.state not in UNCERTAIN:
        return folded
    return replace(folded, state=State.ANONYMOUS, identity_id=None)


def _contact(folded: Folded, marker: Marker, session_id: str | None) -> Folded:
    """With a contact of the marker's identity, unless there is one without a session already."""
    assert marker.identity_id is not None
    if session_id is None and any(
        contact.identity_id == marker.identity_id and contact.session_id is None for contact in folded.contacts
    ):
        return folded
    made = Contact(marker.event_id, marker.identity_id, marker.profile_id, session_id, marker.occurred_at)
    return replace(folded, contacts=(*folded.contacts, made))


def _close(folded: Folded, marker: Marker) -> Folded:
    session = open_session(folded)
    if session is None:
        return folded
    closed = replace(session, ended_at=marker.occurred_at, until=Moment(marker.at, marker.seq))
    return replace(folded, sessions=(*folded.sessions[:-1], closed))


UNCERTAIN = frozenset({State.WM_RECOGNIZED, State.RECOGNIZED})
_MOVES: Mapping[MarkerKind, Callable[[Folded, Marker], Folded]] = {
    MarkerKind.SIGN_IN: _sign_in,
    MarkerKind.SIGN_OUT: _sign_out,
    MarkerKind.USER_INFO: _recognize,
    MarkerKind.RESET: _reset,
    MarkerKind.ASSERTION: _stay,
    MarkerKind.ASSUMPTION: _assume,
    MarkerKind.CONFIRMATION: _confirm,
    MarkerKind.DISMISSAL: _dismiss,
}
