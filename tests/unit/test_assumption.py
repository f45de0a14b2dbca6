"""Since when somebody is known to be a customer, and what is assumed of a visit (docs/decisions/0019)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.assumption import Joining, Naming, customer_since, is_assumed

CASES: dict[str, tuple[Sequence[Naming], Sequence[Joining], int | None]] = {
    "nobody said anything": ([], [], None),
    "they said it themselves": ([Naming(30, "me"), Naming(20, "me")], [], 20),
    "somebody else did": ([Naming(20, "other")], [], None),
    "joined by the CID: what I said counts": (
        [Naming(20, "other"), Naming(50, "me")],
        [Joining(20, "other", "me", "R4b")],
        50,
    ),
    "back-filled by an assertion": ([Naming(20, "other")], [Joining(20, "other", "me", "R7")], 20),
    "joined by an e-mail to a customer": ([Naming(20, "other")], [Joining(40, "other", "me", "R5b")], 40),
    "joined by an e-mail to who became one": ([Naming(60, "other")], [Joining(40, "other", "me", "R5b")], 60),
    "by way of somebody between": (
        [Naming(20, "other")],
        [Joining(40, "between", "me", "R5b"), Joining(50, "other", "between", "R5e")],
        50,
    ),
    "of several ways the earliest": (
        [Naming(20, "other"), Naming(70, "me")],
        [Joining(40, "other", "me", "R5b")],
        40,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_customer_since(case: str) -> None:
    namings, joinings, expected = CASES[case]
    assert customer_since("me", namings, joinings) == expected


@given(
    st.lists(st.builds(Naming, st.integers(0, 9), st.sampled_from("abcd")), max_size=4),
    st.lists(
        st.builds(
            Joining,
            st.integers(0, 9),
            st.sampled_from("abcd"),
            st.sampled_from("abcd"),
            st.sampled_from(["R4b", "R5b", "R7"]),
        ),
        max_size=4,
    ),
    st.data(),
)
def test_the_order_in_which_it_is_told_does_not_matter(
    namings: list[Naming], joinings: list[Joining], data: st.DataObject
) -> None:
    told = customer_since("a", namings, joinings)
    shuffled = customer_since("a", data.draw(st.permutations(namings)), data.draw(st.permutations(joinings)))
    assert told == shuffled
    assert told is None or told in {fact.at for fact in (*namings, *joinings)}


@pytest.mark.parametrize(
    ("since", "is_shared", "expected"),
    [(None, False, False), (99, False, True), (100, False, False), (99, True, False)],
)
def test_a_visit_is_assumed_of_who_was_known_before_it(since: int | None, is_shared: bool, expected: bool) -> None:
    assert is_assumed(100, since, is_shared=is_shared) is expected
