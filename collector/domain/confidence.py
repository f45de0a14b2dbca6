"""How sure it is that a visit is of whom its state says: a number from 0 to 1, for routing a conversation.

| state | confidence |
|---|---|
| Authenticated | 1 |
| any, where an agent said so | 0.95 |
| Recognized, after a sign-out in the same visit | 0.8 |
| Recognized, by a hint alone | 0.6 |
| WM-Recognized, and the last to sign in on this device, within 30 days | 0.9 |
| … within a year | 0.7 |
| WM-Recognized otherwise: learned elsewhere, or long ago, or others came since | 0.5 |
| … each of these three, if another customer signed in on this device within 90 days | × 0.6 |
| Anonymous | 0 |

Days are counted back from the beginning of the visit, so that the number does not change while it goes on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from collector.domain.history import Visit, is_over
from collector.domain.recognition import DAY_MS
from collector.domain.visit import UNCERTAIN, Folded, State

AUTHENTICATED, CONFIRMED = 1.0, 0.95
SIGNED_OUT, HINTED = 0.8, 0.6
FRESH, AGED, ELSEWHERE, SHARED = 0.9, 0.7, 0.5, 0.6
FRESH_MS, AGED_MS, SHARED_MS = 30 * DAY_MS, 365 * DAY_MS, 90 * DAY_MS


class SignIns(NamedTuple):
    """Who signed in on a device before a visit: the last customer, and when any other than the visit's did, ms."""

    last_cid: str | None = None
    last_at: int = 0
    other_at: int | None = None


class Standing(NamedTuple):
    """A visit and what its markers come to, with how sure it is of whom it is."""

    visit: Visit
    folded: Folded
    confidence: float

    @property
    def needs_agent_validation(self) -> bool:
        """Whether an agent should find out whom they talk to."""
        return self.visit.state in UNCERTAIN and not self.folded.is_confirmed


def confidence_of(visit: Visit, folded: Folded, before: SignIns) -> float:
    """The confidence in whom a visit is of; `before` counts only while that is assumed."""
    if visit.state is State.AUTHENTICATED:
        return AUTHENTICATED
    if visit.state is State.ANONYMOUS:
        return 0.0
    if folded.is_confirmed:
        return CONFIRMED
    if visit.state is State.RECOGNIZED:
        had_session = any(session.identity_id == visit.identity_id for session in folded.sessions)
        return SIGNED_OUT if had_session else HINTED
    return _assumed(visit, before)


def _assumed(visit: Visit, before: SignIns) -> float:
    age = visit.started_at - before.last_at if before.last_cid == visit.identity_id else AGED_MS + 1
    alone = FRESH if age <= FRESH_MS else AGED if age <= AGED_MS else ELSEWHERE
    is_shared = before.other_at is not None and visit.started_at - before.other_at <= SHARED_MS
    return round(alone * (SHARED if is_shared else 1), 2)


def last_visit_document(standing: Standing | None, now: int) -> dict[str, Any] | None:
    """The visit of a profile as JSON; whom its state is about is not told, for it need not be this person."""
    if standing is None:
        return None
    return {
        "visit_id": standing.visit.visit_id,
        "state": str(standing.visit.state),
        "is_over": is_over(standing.visit, now),
        "confidence": standing.confidence,
        "needs_agent_validation": standing.needs_agent_validation,
        "last_event_at": standing.visit.last_event_at,
    }
