"""The decision table of spec/identity.md, row by row, on the pure rules. P is current, C owns CID x, E owns an e-mail.

Rows 16 to 19 are not decisions about profiles: what they demand of other modules is shown here for completeness.
"""

from __future__ import annotations

import hashlib

import pytest

from collector.domain.decision import Assign, Claim, Merge, NewProfile, Person, Retire, Switch
from collector.domain.event import Assertion, Trust
from collector.domain.identifiers import sanitise
from collector.domain.recognition import Device, recognise
from collector.domain.visit import Marker, MarkerKind, State, fold_visit
from tests.unit.situations import E, F, c, decided, e, p

T2 = Trust.SECRET_KEY


def test_row_01_new_email_becomes_the_visitors() -> None:
    decision = decided(p(), email=E)
    assert decision.steps == (Assign("email", E, "leaf", "R5a"),)
    assert (decision.leaf, decision.root) == ("leaf", "P")


def test_row_02_email_of_an_anonymous_profile_merges_by_age() -> None:
    older = decided(p(), email=E, owner_of_email=e(E))
    assert older.steps == (Merge("E", "P", "R5b"),)
    assert (older.leaf, older.root) == ("leaf", "E")
    younger = decided(p(), email=E, owner_of_email=Person("E", 2_000, None, E))
    assert younger.steps == (Merge("P", "E", "R5b"),)
    assert younger.root == "P"


def test_row_03_email_of_a_customer_merges_into_the_customer() -> None:
    decision = decided(p(), email=E, owner_of_email=Person("E", 2_000, "z", E))
    assert decision.steps == (Merge("E", "P", "R5b"),), "however young the customer is"
    assert decision.root == "E"


def test_row_04_another_new_email_makes_a_new_profile() -> None:
    decision = decided(p(email=E), email=F)
    assert decision.steps == (NewProfile("N"), Assign("email", F, "N", "R5d"))
    assert (decision.leaf, decision.root) == ("N", "P"), "the event is theirs, the visitor stays P"
    assert decision.traits_are_claims


@pytest.mark.parametrize("cid", [None, "x"])
def test_row_05_somebody_elses_email_gets_the_event(cid: str | None) -> None:
    decision = decided(p(cid, E), email=F, owner_of_email=e(F))
    assert decision.steps == ()
    assert (decision.leaf, decision.root) == ("E", "P")
    assert decision.traits_are_claims


def test_row_06_customer_with_another_customers_email_is_refused() -> None:
    decision = decided(p("x"), email=E, owner_of_email=e(E, "z"))
    assert decision.steps == (Claim("email", E, "leaf", "email_owned_by_other_customer"),)
    assert (decision.leaf, decision.root) == ("leaf", "P")
    assert decision.warnings == ("email_owned_by_other_customer",)


def test_row_07_new_cid_makes_a_customer_and_back_fills() -> None:
    decision = decided(p(), "x", candidates=(Person("A", 100),))
    assert decision.steps == (Assign("cid", "x", "leaf", "R4a"), Merge("P", "A", "R7"))
    assert (decision.leaf, decision.root) == ("leaf", "P")


def test_row_08_cid_of_another_profile_merges_into_the_customer() -> None:
    decision = decided(p(), "x", owner_of_cid=c(), candidates=(Person("A", 100),))
    assert decision.steps == (Merge("C", "P", "R4b"), Merge("C", "A", "R7"))
    assert (decision.leaf, decision.root) == ("leaf", "C")


@pytest.mark.parametrize(
    ("mine", "theirs", "beside"),
    [(E, None, None), (None, E, None), (E, E, None), (E, E, E), (E, None, E), (None, E, E)],
)
def test_row_08_holds_while_no_two_emails_differ(mine: str | None, theirs: str | None, beside: str | None) -> None:
    owner_of_email = c(theirs) if theirs else p(email=mine)
    decision = decided(p(email=mine), "x", beside, c(theirs), owner_of_email if beside else None)
    assert decision.steps == (Merge("C", "P", "R4b"),)
    assert decision.root == "C"


def test_row_09_new_cid_with_another_email_is_somebody_else() -> None:
    decision = decided(p(email=E), "x", F, candidates=(Person("A", 100),))
    assert decision.steps == (
        NewProfile("N"),
        Switch("N", "R4a"),
        Assign("cid", "x", "N", "R4a"),
        Assign("email", F, "N", "R5a"),
    )
    assert (decision.leaf, decision.root) == ("N", "N")


def test_row_09_anonymous_owner_of_the_email_gets_the_cid() -> None:
    decision = decided(p(email=E), "x", F, owner_of_email=e(F))
    assert decision.steps == (Switch("E", "R4a"), Assign("cid", "x", "E", "R4a"))
    assert (decision.leaf, decision.root) == ("E", "E")


def test_row_09_customer_who_owns_the_email_does_not_get_the_cid() -> None:
    decision = decided(p(email=E), "x", F, owner_of_email=e(F, "z"))
    assert decision.steps[:3] == (NewProfile("N"), Switch("N", "R4a"), Assign("cid", "x", "N", "R4a"))
    assert decision.root == "N"
    assert "email_owned_by_other_customer" in decision.warnings


def test_row_10_known_cid_of_another_email_switches() -> None:
    decision = decided(p(email=E), "x", owner_of_cid=c(F), candidates=(Person("A", 100),))
    assert decision.steps == (Switch("C", "R4b"),)
    assert (decision.leaf, decision.root) == ("C", "C")


@pytest.mark.parametrize("email", [None, E])
def test_row_11_another_cid_switches_and_relabels_nothing(email: str | None) -> None:
    known = decided(p("y", email), "x", owner_of_cid=c(), candidates=(Person("A", 100),))
    assert known.steps == (Switch("C", "R4d"),)
    assert (known.leaf, known.root) == ("C", "C")
    new = decided(p("y", email), "x")
    assert new.steps == (NewProfile("N"), Switch("N", "R4d"), Assign("cid", "x", "N", "R4d"))
    assert (new.leaf, new.root) == ("N", "N")


@pytest.mark.parametrize("owner", [None, e(F), e(F, "z")])
def test_row_12_browser_cannot_change_a_customers_email(owner: Person | None) -> None:
    decision = decided(p("x", E), "x", F, p("x", E), owner)
    assert decision.steps == (Claim("email", F, "leaf", "email_change_unverified"),)
    assert (decision.leaf, decision.root) == ("leaf", "P")
    assert decision.warnings == ("email_change_unverified",)
    assert not decision.traits_are_claims, "event, session and traits stay with P"


@pytest.mark.parametrize("trust", [Trust.SIGNED_TOKEN, T2])
def test_row_13_server_changes_the_email(trust: Trust) -> None:
    decision = decided(p("x", E), "x", F, p("x", E), trust=trust)
    assert decision.steps == (Retire(E), Assign("email", F, "leaf", "R5e"))
    assert decision.root == "P"


def test_row_14_server_brings_in_the_anonymous_owner_of_the_email() -> None:
    decision = decided(p("x", E), "x", F, p("x", E), e(F), trust=T2)
    assert decision.steps == (Retire(E), Merge("P", "E", "R5e"))
    assert decision.root == "P", "the customer survives, though E is older"


def test_row_15_server_cannot_take_another_customers_email() -> None:
    decision = decided(p("x", E), "x", F, p("x", E), e(F, "z"), trust=T2)
    assert decision.steps == (Claim("email", F, "leaf", "email_owned_by_other_customer"),)
    assert decision.root == "P"
    assert decision.warnings == ("email_owned_by_other_customer",)


@pytest.mark.parametrize("cid", ["undefined", hashlib.md5(b"undefined").hexdigest()])
def test_row_16_placeholder_cid_is_dropped(cid: str) -> None:
    clean = sanitise(Assertion(cid))
    assert clean.assertion.cid is None
    assert clean.warnings == ("blocked_identifier",)


def test_row_17_reset_begins_another_person() -> None:
    uid = "00000000-1388-7000-8000-000000000001"
    found = recognise(uid, "reset", Device("device", "older", 1_000, 1_000), contact_id="P", fresh_profile_id="N")
    assert (found.profile_id, found.is_new) == ("N", True)
    signed_in = Marker("1", MarkerKind.SIGN_IN, 1_000, 1, 1_000, "P", "x")
    folded = fold_visit([signed_in, Marker(uid, MarkerKind.RESET, 5_000, -1, 5_000, "N")])
    assert folded.state is State.ANONYMOUS
    assert [session.ended_at for session in folded.sessions] == [5_000]


def test_row_18_sign_out_keeps_the_person() -> None:
    signed_in = Marker("1", MarkerKind.SIGN_IN, 1_000, 1, 1_000, "P", "x")
    folded = fold_visit([signed_in, Marker("2", MarkerKind.SIGN_OUT, 2_000, 2, 2_000, "P")])
    assert folded.state is State.RECOGNIZED
    assert [(session.identity_id, session.ended_at) for session in folded.sessions] == [("x", 2_000)]


def test_row_19_user_info_is_only_a_hint() -> None:
    folded = fold_visit([Marker("1", MarkerKind.USER_INFO, 1_000, 1, 1_000, "P", E)])
    assert (folded.state, folded.identity_id, folded.sessions) == (State.RECOGNIZED, E, ())
