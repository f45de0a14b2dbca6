"""The states of a visit and its sessions (spec/visits-and-history.md, States)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.event import Event, UidOrigin
from collector.domain.recognition import Moment
from collector.domain.visit import (
    Contact,
    Marker,
    MarkerKind,
    Session,
    State,
    fold_visit,
    marker_kind,
    session_at,
)

SIGN_IN, SIGN_OUT, INFO = MarkerKind.SIGN_IN, MarkerKind.SIGN_OUT, MarkerKind.USER_INFO
RESET, ASSERTION, ASSUMPTION = MarkerKind.RESET, MarkerKind.ASSERTION, MarkerKind.ASSUMPTION
CONFIRMATION, DISMISSAL = MarkerKind.CONFIRMATION, MarkerKind.DISMISSAL


def at(time: int, kind: MarkerKind, identity: str | None = None, seq: int = 0) -> Marker:
    """`occurred_at` differs from the browser's own time, by a clock that is five behind."""
    return Marker(f"event-{time}-{seq}", kind, time, seq, time + 5, f"profile-{identity}", identity)


# How a visit comes into each state, and what each event then makes of it (spec/visits-and-history.md, States):
# (state, whom it is about, sessions as (identity, is it open?), contacts as (identity, in a session?)).
BEFORE = {
    "Anonymous": [],
    "WM-Recognized": [at(0, ASSUMPTION, "a")],
    "Recognized": [at(1, INFO, "a")],
    "Authenticated": [at(1, SIGN_IN, "a")],
    "signed out": [at(1, SIGN_IN, "a"), at(2, SIGN_OUT)],
}
OPEN_A, CLOSED_A, OPEN_B = ("a", True), ("a", False), ("b", True)
IN_A, IN_B, BY_A, BY_B = ("a", True), ("b", True), ("a", False), ("b", False)
ANON, WM, KNOWN, AUTH = State.ANONYMOUS, State.WM_RECOGNIZED, State.RECOGNIZED, State.AUTHENTICATED
Expected = tuple[State, str | None, list[tuple[str, bool]], list[tuple[str, bool]]]
TABLE: list[tuple[str, Marker | None, Expected]] = [
    ("Anonymous", None, (ANON, None, [], [])),
    ("Anonymous", at(9, SIGN_IN, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Anonymous", at(9, SIGN_OUT), (ANON, None, [], [])),
    ("Anonymous", at(9, INFO, "a"), (KNOWN, "a", [], [BY_A])),
    ("Anonymous", at(9, INFO), (ANON, None, [], [])),
    ("Anonymous", at(9, RESET), (ANON, None, [], [])),
    ("Anonymous", at(9, SIGN_IN), (ANON, None, [], [])),
    ("Anonymous", at(9, ASSERTION, "a"), (ANON, None, [], [])),
    ("Anonymous", at(9, CONFIRMATION, "a"), (KNOWN, "a", [], [BY_A])),
    ("Anonymous", at(9, DISMISSAL, "a"), (ANON, None, [], [])),
    ("WM-Recognized", None, (WM, "a", [], [])),
    ("WM-Recognized", at(9, SIGN_IN, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("WM-Recognized", at(9, SIGN_IN, "b"), (AUTH, "b", [OPEN_B], [IN_B])),
    ("WM-Recognized", at(9, SIGN_OUT), (WM, "a", [], [])),
    ("WM-Recognized", at(9, INFO, "b"), (KNOWN, "b", [], [BY_B])),
    ("WM-Recognized", at(9, RESET), (ANON, None, [], [])),
    ("WM-Recognized", at(9, CONFIRMATION, "a"), (KNOWN, "a", [], [BY_A])),
    ("WM-Recognized", at(9, DISMISSAL, "a"), (ANON, None, [], [])),
    ("WM-Recognized", at(9, DISMISSAL, "b"), (WM, "a", [], [])),
    ("Recognized", None, (KNOWN, "a", [], [BY_A])),
    ("Recognized", at(9, SIGN_IN, "b"), (AUTH, "b", [OPEN_B], [BY_A, IN_B])),
    ("Recognized", at(9, SIGN_OUT), (KNOWN, "a", [], [BY_A])),
    ("Recognized", at(9, INFO, "a"), (KNOWN, "a", [], [BY_A])),
    ("Recognized", at(9, INFO, "b"), (KNOWN, "b", [], [BY_A, BY_B])),
    ("Recognized", at(9, RESET), (ANON, None, [], [BY_A])),
    ("Recognized", at(9, CONFIRMATION, "a"), (KNOWN, "a", [], [BY_A])),
    ("Recognized", at(9, CONFIRMATION, "b"), (KNOWN, "b", [], [BY_A, BY_B])),
    ("Recognized", at(9, DISMISSAL, "a"), (ANON, None, [], [])),
    ("Authenticated", None, (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, SIGN_IN, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, SIGN_IN, "b"), (AUTH, "b", [CLOSED_A, OPEN_B], [IN_A, IN_B])),
    ("Authenticated", at(9, SIGN_IN), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, SIGN_OUT), (KNOWN, "a", [CLOSED_A], [IN_A])),
    ("Authenticated", at(9, INFO, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, INFO, "b"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, RESET), (ANON, None, [CLOSED_A], [IN_A])),
    ("Authenticated", at(9, CONFIRMATION, "b"), (AUTH, "a", [OPEN_A], [IN_A, BY_B])),
    ("Authenticated", at(9, CONFIRMATION, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(9, DISMISSAL, "a"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("Authenticated", at(0, ASSUMPTION, "b"), (AUTH, "a", [OPEN_A], [IN_A])),
    ("signed out", None, (KNOWN, "a", [CLOSED_A], [IN_A])),
    ("signed out", at(9, SIGN_IN, "a"), (AUTH, "a", [CLOSED_A, OPEN_A], [IN_A, IN_A])),
    ("signed out", at(9, SIGN_IN, "b"), (AUTH, "b", [CLOSED_A, OPEN_B], [IN_A, IN_B])),
    ("signed out", at(9, INFO, "b"), (KNOWN, "b", [CLOSED_A], [IN_A, BY_B])),
    ("signed out", at(9, RESET), (ANON, None, [CLOSED_A], [IN_A])),
    ("signed out", at(9, DISMISSAL, "a"), (ANON, None, [CLOSED_A], [IN_A])),
    ("signed out", at(9, CONFIRMATION, "a"), (KNOWN, "a", [CLOSED_A], [IN_A])),
]


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    TABLE,
    ids=[f"{b}-{e.kind if e else ''}-{e.identity_id if e else ''}" for b, e, _ in TABLE],
)
def test_state_table(
    before: str,
    event: Marker | None,
    expected: tuple[State, str | None, list[tuple[str, bool]], list[tuple[str, bool]]],
) -> None:
    folded = fold_visit([*BEFORE[before], *([event] if event else [])])
    sessions = [(session.identity_id, session.is_open) for session in folded.sessions]
    contacts = [(contact.identity_id, contact.session_id is not None) for contact in folded.contacts]
    assert (folded.state, folded.identity_id, sessions, contacts) == expected


def test_every_kind_of_marker_is_in_the_table() -> None:
    assert {event.kind for _, event, _ in TABLE if event} == set(MarkerKind)


def decided(kind: MarkerKind, identity: str, when: int) -> Marker:
    """An agent's answer: it sorts after everything, and was given at `when`."""
    return Marker(f"decision-{kind}-{when}", kind, 2**62, when, when, "profile", identity)


# What happened in the visit, with the agent's answer at 50, and what it comes to.
ANSWERED = [
    ("a hint again", [at(1, INFO, "a"), at(60, INFO, "a")], DISMISSAL, (ANON, None, [], [])),
    ("a hint at another", [at(1, INFO, "a"), at(60, INFO, "b")], CONFIRMATION, (KNOWN, "a", [], [BY_A, BY_B])),
    ("sign-out after it", [at(1, SIGN_IN, "a"), at(60, SIGN_OUT)], CONFIRMATION, (KNOWN, "a", [CLOSED_A], [IN_A])),
    (
        "somebody else signs in and out after it",
        [at(1, INFO, "a"), at(60, SIGN_IN, "b"), at(70, SIGN_OUT)],
        CONFIRMATION,
        (KNOWN, "b", [("b", False)], [BY_A, IN_B]),
    ),
    (
        "somebody else signs in after it",
        [at(1, INFO, "a"), at(60, SIGN_IN, "b")],
        DISMISSAL,
        (AUTH, "b", [OPEN_B], [IN_B]),
    ),
    ("they come back themselves", [at(1, INFO, "a"), at(60, SIGN_IN, "a"), at(70, SIGN_OUT)], DISMISSAL,
     (KNOWN, "a", [CLOSED_A], [IN_A])),
    ("a reset after it", [at(1, INFO, "a"), at(60, RESET)], CONFIRMATION, (ANON, None, [], [BY_A])),
    ("a reset before it", [at(1, INFO, "a"), at(20, RESET)], CONFIRMATION, (KNOWN, "a", [], [BY_A])),
]  # fmt: skip


@pytest.mark.parametrize(("events", "kind", "expected"), [each[1:] for each in ANSWERED], ids=[e[0] for e in ANSWERED])
def test_an_answer_outlives_hints_and_ends_where_somebody_comes_after_it(
    events: list[Marker], kind: MarkerKind, expected: Expected
) -> None:
    folded = fold_visit([*events, decided(kind, "a", 50)])
    sessions = [(session.identity_id, session.is_open) for session in folded.sessions]
    contacts = [(contact.identity_id, contact.session_id is not None) for contact in folded.contacts]
    assert (folded.state, folded.identity_id, sessions, contacts) == expected


def test_only_what_an_agent_said_last_is_confirmed() -> None:
    hint = at(1, INFO, "a")
    assert not fold_visit([hint]).is_confirmed
    assert fold_visit([hint, decided(CONFIRMATION, "a", 50)]).is_confirmed
    assert fold_visit([decided(CONFIRMATION, "b", 50), hint]).is_confirmed
    later = [at(60, SIGN_IN, "b"), at(70, SIGN_OUT)]
    assert not fold_visit([hint, decided(CONFIRMATION, "a", 50), *later]).is_confirmed
    assert not fold_visit([hint, decided(CONFIRMATION, "a", 50), decided(DISMISSAL, "a", 51)]).is_confirmed


def test_sign_in_opens_a_session_named_by_its_event() -> None:
    folded = fold_visit([at(1, SIGN_IN, "x", seq=3)])
    assert folded.sessions == (Session("event-1-3", "x", "profile-x", 6, None, Moment(1, 3), None),)
    assert folded.contacts == (Contact("event-1-3", "x", "profile-x", "event-1-3", 6),)


def test_a_session_ends_where_the_next_one_begins() -> None:
    first, second = fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_IN, "y", seq=4)]).sessions
    assert (first.ended_at, first.until) == (second.started_at, second.since) == (7, Moment(2, 4))


def test_events_are_inside_a_session_from_its_sign_in_to_before_its_end() -> None:
    sessions = fold_visit([at(1, SIGN_IN, "x", seq=2), at(5, SIGN_OUT, seq=9)]).sessions
    inside = {moment: session_at(sessions, moment) is not None for moment in MOMENTS}
    assert inside == dict(zip(MOMENTS, [False, True, True, False, False], strict=True))


MOMENTS = [Moment(1, 1), Moment(1, 2), Moment(5, 8), Moment(5, 9), Moment(6, 0)]


def test_counter_orders_markers_of_one_millisecond() -> None:
    folded = fold_visit([at(1, SIGN_OUT, seq=2), at(1, SIGN_IN, "x", seq=1)])
    assert (folded.state, len(folded.sessions)) == (State.RECOGNIZED, 1)


LATER_KINDS = sorted(set(MarkerKind) - {ASSUMPTION})
MARKERS = st.lists(
    st.builds(
        at,
        st.integers(1, 9),
        st.sampled_from(LATER_KINDS),
        st.sampled_from([None, "x", "y"]),
        st.integers(0, 99),
    ),
    unique_by=lambda marker: marker.event_id,
    max_size=8,
)


@given(MARKERS, st.data())
def test_order_of_arrival_does_not_matter(markers: list[Marker], data: st.DataObject) -> None:
    assert fold_visit(data.draw(st.permutations(markers))) == fold_visit(markers)


@given(MARKERS)
def test_sessions_follow_each_other_and_only_an_authenticated_visit_has_one_open(markers: list[Marker]) -> None:
    folded = fold_visit(markers)
    sessions = folded.sessions
    assert [s.is_open for s in sessions if s.is_open] == [True] * (folded.state is State.AUTHENTICATED)
    assert (folded.identity_id is None) == (folded.state is State.ANONYMOUS)
    assert {c.session_id for c in folded.contacts if c.session_id} == {s.session_id for s in sessions}
    assert all(s.ended_at is None or s.started_at <= s.ended_at for s in sessions)
    for earlier, later in pairwise(sessions):
        assert earlier.ended_at is not None
        assert earlier.ended_at <= later.started_at


def event(category: str, action: str, uid: str | None = "u", uid_origin: UidOrigin = "first") -> Event:
    return Event("e", category, action, uid, uid_origin, 0, 0, 0, None, None, None, b"{}")


def test_only_events_about_the_user_move_a_visit() -> None:
    kinds = {action: marker_kind(event("user", action)) for action in ("sign_in", "sign_up", "identify")}
    assert set(kinds.values()) == {SIGN_IN}
    assert marker_kind(event("user", "sign_out")) is SIGN_OUT
    assert marker_kind(event("user", "info")) is INFO
    assert marker_kind(event("user", "reset_anonymous_uid", uid_origin="reset")) is RESET
    assert marker_kind(event("product", "sign_in")) is None
    assert marker_kind(event("product", "view")) is None


def test_reset_event_without_a_new_uid_resets_nothing() -> None:
    assert marker_kind(event("user", "reset_anonymous_uid")) is None
    assert marker_kind(event("user", "reset_anonymous_uid", None, "reset")) is None
