"""R7, R9 and R12 to R14 on the pure rules, and the corners of R4 and R5 that the decision table leaves out."""

from __future__ import annotations

import pytest

from collector.domain.decision import Assign, Claim, Merge, Person, Retire, Switch
from collector.domain.event import Trust
from collector.domain.identity import MAX_MERGES, MAX_UIDS, back_fill_late_uid, survivor
from tests.unit.situations import E, F, c, decided, e, p


def test_customer_survives_a_merge_however_young() -> None:
    assert survivor(Person("a", 1), Person("b", 2, cid="x"))[0].profile_id == "b"


def test_older_profile_survives_a_merge() -> None:
    assert survivor(Person("b", 1), Person("a", 2))[0].profile_id == "b"


def test_smaller_id_survives_where_age_does_not_decide() -> None:
    assert survivor(Person("b", 1), Person("a", 1))[0].profile_id == "a"
    assert survivor(Person("a", 1), Person("b", 1))[0].profile_id == "a"


def test_an_email_alone_never_makes_a_profile_outlive_an_older_one() -> None:
    assert survivor(Person("a", 2, email=E), Person("b", 1))[0].profile_id == "b"


def test_back_fill_takes_every_anonymous_candidate_and_no_customer() -> None:
    candidates = (Person("A", 1), Person("B", 2, cid="z"), Person("D", 3, email=E))
    decision = decided(p(), "x", candidates=candidates)
    assert [step.loser for step in decision.steps if isinstance(step, Merge)] == ["A", "D"]
    assert decision.root == "P"


def test_back_fill_spares_a_candidate_with_another_email() -> None:
    decision = decided(p(), "x", E, candidates=(Person("A", 1, email=F), Person("B", 1, email=E)), owner_of_email=None)
    assert [step.loser for step in decision.steps if isinstance(step, Merge)] == ["B"]


def test_back_fill_takes_the_owner_of_the_email_only_once() -> None:
    owner = Person("E", 600, None, E)
    decision = decided(p(), "x", E, owner_of_email=owner, candidates=(owner,))
    assert [step for step in decision.steps if isinstance(step, Merge)] == [Merge("P", "E", "R5b")]


def test_identifying_again_back_fills_and_otherwise_changes_nothing() -> None:
    assert decided(p("x"), "x", owner_of_cid=p("x")).steps == ()
    again = decided(p("x"), "x", owner_of_cid=p("x"), candidates=(Person("A", 1),))
    assert again.steps == (Merge("P", "A", "R7"),)


def test_customer_without_email_gets_the_one_beside_the_cid() -> None:
    assert decided(p("x"), "x", E, p("x")).steps == (Assign("email", E, "leaf", "R5a"),)


def test_customer_takes_in_the_anonymous_owner_of_the_email_beside_the_cid() -> None:
    decision = decided(p("x"), "x", E, p("x"), e(E))
    assert decision.steps == (Merge("P", "E", "R5b"),)


def test_email_beside_a_known_cid_never_collides() -> None:
    decision = decided(p(), "x", F, c(E), e(F))
    assert decision.steps == (Merge("C", "P", "R4b"), Claim("email", F, "leaf", "email_change_unverified"))
    assert (decision.leaf, decision.root) == ("leaf", "C")


def test_new_customer_takes_in_the_anonymous_owner_of_the_email() -> None:
    decision = decided(p(), "x", E, owner_of_email=e(E))
    assert decision.steps == (Assign("cid", "x", "leaf", "R4a"), Merge("P", "E", "R5b"))


def test_new_customer_does_not_take_another_customers_email() -> None:
    decision = decided(p(), "x", E, owner_of_email=e(E, "z"))
    assert decision.steps == (
        Assign("cid", "x", "leaf", "R4a"),
        Claim("email", E, "leaf", "email_owned_by_other_customer"),
    )


def test_owner_of_the_email_who_is_already_merged_in_is_not_merged_again() -> None:
    anonymous = p(email=E)
    decision = decided(anonymous, "x", E, c(), anonymous)
    assert decision.steps == (Merge("C", "P", "R4b"),)


def test_same_email_again_changes_nothing() -> None:
    assert decided(p(email=E), email=E, owner_of_email=p(email=E)).steps == ()


def test_server_may_change_the_email_of_an_anonymous_profile() -> None:
    decision = decided(p(email=E), email=F, trust=Trust.SECRET_KEY)
    assert decision.steps == (Retire(E), Assign("email", F, "leaf", "R5e"))
    assert (decision.leaf, decision.root) == ("leaf", "P")


def test_signed_token_collides_never() -> None:
    decision = decided(p("x", E), email=F, owner_of_email=e(F, "z"), trust=Trust.SIGNED_TOKEN)
    assert decision.steps == (Claim("email", F, "leaf", "email_owned_by_other_customer"),)
    assert (decision.leaf, decision.root) == ("leaf", "P")


def test_profiles_kept_apart_are_switched_between_instead_of_merged() -> None:
    apart = Person("P", 1_000, apart=frozenset({"C"}))
    assert decided(apart, "x", owner_of_cid=c()).steps == (Switch("C", "R4b"),)
    assert decided(Person("P", 1_000, apart=frozenset({"E"})), email=E, owner_of_email=e(E)).steps == (
        Claim("email", E, "leaf", "kept_apart"),
    )
    assert decided(Person("P", 1_000, apart=frozenset({"A"})), "x", candidates=(Person("A", 1),)).steps == (
        Assign("cid", "x", "leaf", "R4a"),
    )


def test_a_merge_carries_over_what_must_be_kept_apart() -> None:
    customer = Person("C", 500, "x", apart=frozenset({"A"}))
    assert decided(p(), "x", owner_of_cid=customer, candidates=(Person("A", 1),)).steps == (Merge("C", "P", "R4b"),)


def test_browser_never_merges_two_verified_profiles() -> None:
    mine, theirs = Person("P", 1_000, email=E, verified=True), Person("C", 500, "x", E, verified=True)
    assert decided(mine, "x", owner_of_cid=theirs).steps == (Switch("C", "R4b"),)
    assert decided(mine, "x", owner_of_cid=theirs, trust=Trust.SIGNED_TOKEN).steps == (Merge("C", "P", "R4b"),)


def test_one_verified_profile_merges_with_a_claimed_one() -> None:
    theirs = Person("C", 500, "x", verified=True)
    assert decided(p(), "x", owner_of_cid=theirs).steps == (Merge("C", "P", "R4b"),)


@pytest.mark.parametrize("full", [Person("C", 500, "x", merges=MAX_MERGES), Person("C", 500, "x", uids=MAX_UIDS)])
def test_full_profile_stops_merging_and_keeps_recording(full: Person) -> None:
    decision = decided(p(), "x", owner_of_cid=full)
    assert decision.steps == (Switch("C", "R4b"),)
    assert decision.warnings == ("merge_limit_reached",)


def test_last_merge_within_the_limits_happens() -> None:
    for nearly in (Person("C", 500, "x", merges=MAX_MERGES - 1), Person("C", 500, "x", uids=MAX_UIDS - 1)):
        assert decided(p(), "x", owner_of_cid=nearly).steps == (Merge("C", "P", "R4b"),)


def test_unverified_assertion_is_a_claim_where_verified_ones_are_required() -> None:
    decision = decided(p(), "x", E, c(), e(E), require_verified=True)
    assert decision.steps == (
        Claim("cid", "x", "leaf", "unverified_identity"),
        Claim("email", E, "leaf", "unverified_identity"),
    )
    assert (decision.leaf, decision.root) == ("leaf", "P")
    assert decision.traits_are_claims


@pytest.mark.parametrize("trust", [Trust.SIGNED_TOKEN, Trust.SECRET_KEY])
def test_verified_assertion_counts_where_verified_ones_are_required(trust: Trust) -> None:
    decision = decided(p(), "x", owner_of_cid=c(), trust=trust, require_verified=True)
    assert decision.steps == (Merge("C", "P", "R4b"),)


def test_late_uid_joins_the_customer_who_signed_in_meanwhile() -> None:
    assert back_fill_late_uid(p(), c()) == Merge("C", "P", "R7")


@pytest.mark.parametrize(
    "late",
    [
        Person("P", 1_000, cid="y"),
        Person("P", 1_000, email=F),
        Person("P", 1_000, apart=frozenset({"C"})),
        Person("C", 500, "x", E),
    ],
)
def test_late_uid_stays_where_it_is(late: Person) -> None:
    assert back_fill_late_uid(late, c(E)) is None
