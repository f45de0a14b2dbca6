"""The states of a visit and its sessions (spec/visits-and-history.md, States)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.domain.event import Event, UidOrigin
from collector.domain.visit import Marker, MarkerKind, Session, State, fold_visit, marker_kind

SIGN_IN, SIGN_OUT, INFO = MarkerKind.SIGN_IN, MarkerKind.SIGN_OUT, MarkerKind.USER_INFO
RESET, ASSERTION = MarkerKind.RESET, MarkerKind.ASSERTION


def at(time: int, kind: MarkerKind, identity: str | None = None, seq: int = 0) -> Marker:
    """`occurred_at` differs from the browser's own time, by a clock that is five behind."""
    return Marker(f"event-{time}-{seq}", kind, time, seq, time + 5, f"profile-{identity}", identity)


def test_visit_without_markers_is_anonymous() -> None:
    assert fold_visit([]) == (State.ANONYMOUS, [])


def test_sign_in_opens_a_session_named_by_its_event() -> None:
    state, sessions = fold_visit([at(1, SIGN_IN, "x")])
    assert state is State.AUTHENTICATED
    assert sessions == [Session("event-1-0", "x", "profile-x", started_at=6, ended_at=None)]


def test_same_customer_again_keeps_the_session() -> None:
    assert fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_IN, "x")])[1] == fold_visit([at(1, SIGN_IN, "x")])[1]


def test_another_customer_closes_the_session_and_opens_one() -> None:
    state, sessions = fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_IN, "y")])
    assert state is State.AUTHENTICATED
    assert [(s.identity_id, s.started_at, s.ended_at) for s in sessions] == [("x", 6, 7), ("y", 7, None)]


def test_sign_out_leaves_the_visitor_recognized() -> None:
    state, sessions = fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_OUT)])
    assert state is State.RECOGNIZED
    assert [s.ended_at for s in sessions] == [7]


def test_sign_out_without_a_session_changes_nothing() -> None:
    assert fold_visit([at(1, SIGN_OUT)]) == (State.ANONYMOUS, [])
    assert fold_visit([at(1, INFO, "x"), at(2, SIGN_OUT)]) == (State.RECOGNIZED, [])
    assert fold_visit([at(1, SIGN_IN, "x"), at(2, RESET), at(3, SIGN_OUT)])[0] is State.ANONYMOUS


def test_signing_in_again_after_signing_out_opens_another_session() -> None:
    _, sessions = fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_OUT), at(3, SIGN_IN, "x")])
    assert [(s.started_at, s.ended_at) for s in sessions] == [(6, 7), (8, None)]


def test_user_info_makes_an_anonymous_visitor_recognized() -> None:
    assert fold_visit([at(1, INFO, "x")]) == (State.RECOGNIZED, [])


def test_user_info_without_an_identity_says_nothing() -> None:
    assert fold_visit([at(1, INFO)]) == (State.ANONYMOUS, [])


def test_user_info_while_signed_in_changes_no_state() -> None:
    state, sessions = fold_visit([at(1, SIGN_IN, "x"), at(2, INFO, "y")])
    assert state is State.AUTHENTICATED
    assert [(s.identity_id, s.ended_at) for s in sessions] == [("x", None)]


def test_reset_makes_the_visitor_anonymous_from_any_state() -> None:
    for before in ([], [at(1, INFO, "x")], [at(1, SIGN_IN, "x")], [at(1, SIGN_IN, "x"), at(2, SIGN_OUT)]):
        state, sessions = fold_visit([*before, at(9, RESET)])
        assert state is State.ANONYMOUS
        assert all(session.ended_at is not None for session in sessions)


def test_sign_in_that_said_nothing_usable_opens_no_session() -> None:
    assert fold_visit([at(1, SIGN_IN)]) == (State.ANONYMOUS, [])
    assert fold_visit([at(1, SIGN_IN, "x"), at(2, SIGN_IN)])[1] == fold_visit([at(1, SIGN_IN, "x")])[1]


def test_another_assertion_moves_no_state() -> None:
    assert fold_visit([at(1, ASSERTION, "x")]) == (State.ANONYMOUS, [])


def test_counter_orders_markers_of_one_millisecond() -> None:
    state, sessions = fold_visit([at(1, SIGN_OUT, seq=2), at(1, SIGN_IN, "x", seq=1)])
    assert state is State.RECOGNIZED
    assert len(sessions) == 1


MARKERS = st.lists(
    st.builds(
        at, st.integers(0, 9), st.sampled_from(MarkerKind), st.sampled_from([None, "x", "y"]), st.integers(0, 99)
    ),
    unique_by=lambda marker: marker.event_id,
    max_size=8,
)


@given(MARKERS, st.data())
def test_order_of_arrival_does_not_matter(markers: list[Marker], data: st.DataObject) -> None:
    assert fold_visit(data.draw(st.permutations(markers))) == fold_visit(markers)


@given(MARKERS)
def test_sessions_follow_each_other_and_only_an_authenticated_visit_has_one_open(markers: list[Marker]) -> None:
    state, sessions = fold_visit(markers)
    assert [s.ended_at for s in sessions if s.ended_at is None] == ([None] if state is State.AUTHENTICATED else [])
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
