"""The people of the decision table, and what the rules make of them: P is current, C owns CID x, E owns an e-mail."""

from __future__ import annotations

from collector.domain.decision import Decision, Person, Situation
from collector.domain.event import Trust
from collector.domain.identity import decide

NOW = 5_000
E, F = "e@example.com", "f@example.com"


def p(cid: str | None = None, email: str | None = None) -> Person:
    """The current person: seen after C and E, before the person who is made next."""
    return Person("P", 1_000, cid, email)


def c(email: str | None = None) -> Person:
    return Person("C", 500, "x", email)


def e(email: str, cid: str | None = None) -> Person:
    return Person("E", 600, cid, email)


def decided(
    current: Person,
    cid: str | None = None,
    email: str | None = None,
    owner_of_cid: Person | None = None,
    owner_of_email: Person | None = None,
    candidates: tuple[Person, ...] = (),
    trust: Trust = Trust.BROWSER,
    require_verified: bool = False,
) -> Decision:
    situation = Situation("leaf", current, owner_of_cid, owner_of_email, candidates, trust, require_verified)
    return decide(situation, cid, email, NOW, ["N"])
