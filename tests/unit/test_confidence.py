"""How sure it is whom a visit is of (docs/http-api.md, Confidence)."""

from __future__ import annotations

import pytest

from collector.domain.confidence import SignIns, Standing, confidence_of, last_visit_document
from collector.domain.history import Visit
from collector.domain.recognition import DAY_MS
from collector.domain.visit import Folded, Marker, MarkerKind, State, fold_visit

BEGAN = 1_000 * DAY_MS


def marker(kind: MarkerKind, identity: str | None = "ada", seq: int = 0) -> Marker:
    return Marker(f"{kind}-{seq}", kind, seq, 0, BEGAN + seq, "leaf", identity)


ASSUMED = [marker(MarkerKind.ASSUMPTION)]
HINT = [marker(MarkerKind.USER_INFO, seq=1)]
SIGNED_OUT = [marker(MarkerKind.SIGN_IN, seq=1), marker(MarkerKind.SIGN_OUT, None, seq=2)]
CONFIRMED = marker(MarkerKind.CONFIRMATION, seq=9)


def days_before(days: float) -> int:
    return int(BEGAN - days * DAY_MS)


def by_ada(days: float, other: float | None = None) -> SignIns:
    return SignIns("ada", days_before(days), None if other is None else days_before(other))


def standing(markers: list[Marker], before: SignIns) -> Standing:
    folded = fold_visit(markers, BEGAN)
    visit = Visit("visit", "device", BEGAN, BEGAN + 10, BEGAN, None, folded.state, folded.identity_id)
    return Standing(visit, folded, confidence_of(visit, folded, before))


@pytest.mark.parametrize(
    ("markers", "before", "confidence", "asks"),
    [
        ([], SignIns(), 0.0, False),
        ([marker(MarkerKind.SIGN_IN)], SignIns(), 1.0, False),
        (SIGNED_OUT, SignIns(), 0.8, True),
        (HINT, SignIns(), 0.6, True),
        ([*SIGNED_OUT, marker(MarkerKind.USER_INFO, "bob", seq=3)], SignIns(), 0.6, True),
        ([*HINT, CONFIRMED], SignIns(), 0.95, False),
        ([*ASSUMED, CONFIRMED], by_ada(400, 1), 0.95, False),
        ([*SIGNED_OUT, marker(MarkerKind.CONFIRMATION, "bob", seq=9)], SignIns(), 0.95, False),
        (ASSUMED, by_ada(1), 0.9, True),
        (ASSUMED, by_ada(30), 0.9, True),
        (ASSUMED, by_ada(30.01), 0.7, True),
        (ASSUMED, by_ada(365), 0.7, True),
        (ASSUMED, by_ada(365.01), 0.5, True),
        (ASSUMED, SignIns(), 0.5, True),
        (ASSUMED, SignIns("bob", days_before(100), days_before(100)), 0.5, True),
        (ASSUMED, SignIns("bob", days_before(5), days_before(5)), 0.3, True),
        (ASSUMED, by_ada(1, 2), 0.54, True),
        (ASSUMED, by_ada(1, 90), 0.54, True),
        (ASSUMED, by_ada(1, 90.01), 0.9, True),
        (ASSUMED, by_ada(40, 50), 0.42, True),
    ],
)
def test_confidence_table(markers: list[Marker], before: SignIns, confidence: float, asks: bool) -> None:
    found = standing(markers, before)
    assert (found.confidence, found.needs_agent_validation) == (confidence, asks)


def test_the_visit_of_a_profile_is_over_after_its_silence() -> None:
    found = standing(SIGNED_OUT, SignIns())
    last = BEGAN + 10
    assert last_visit_document(found, last + 30 * 60_000 - 1) == {
        "visit_id": "visit",
        "state": "Recognized",
        "is_over": False,
        "confidence": 0.8,
        "needs_agent_validation": True,
        "last_event_at": last,
    }
    assert last_visit_document(found, last + 30 * 60_000) == {
        **(last_visit_document(found, last) or {}),
        "is_over": True,
    }
    assert last_visit_document(None, last) is None


def test_nobody_is_confirmed_in_an_anonymous_visit() -> None:
    assert not Folded().is_confirmed
    assert State.ANONYMOUS is Folded().state
