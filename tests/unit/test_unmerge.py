"""R12 on values: which merges rest on which, what comes back, and what keeps a merge from being undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.domain.event import Trust
from collector.domain.explain import HeldIdentifier, JournalledMerge, RetiredIdentifier
from collector.domain.unmerge import Half, MergeCase, Refused, Unmerge, decide_unmerge, dependents

E, F = "e@example.com", "f@example.com"


def merge(number: int, loser: str, winner: str, *followers: str) -> JournalledMerge:
    """Merge `number`, whose evidence is event `number`."""
    return JournalledMerge(number, winner, loser, "R5b", str(number), Trust.BROWSER, number, followers)


def held(kind: str, value: str, leaf: str) -> HeldIdentifier:
    return HeldIdentifier(kind, value, leaf, "R5a", "0", Trust.BROWSER, 0)


def retired(value: str, leaf: str) -> RetiredIdentifier:
    return RetiredIdentifier(held("email", value, leaf), "1", Trust.SECRET_KEY, 1)


@pytest.mark.parametrize(
    ("undone", "later", "leaf_of", "expected"),
    [
        (merge(1, "b", "a"), [], {}, ()),
        (merge(1, "b", "a"), [merge(2, "a", "c")], {}, (2,)),  # the winner lost
        (merge(1, "b", "a"), [merge(2, "c", "a")], {"2": "b"}, (2,)),  # said by the loser
        (merge(1, "b", "a", "d"), [merge(2, "c", "a")], {"2": "d"}, (2,)),  # said by one of the loser's own
        (merge(1, "b", "a"), [merge(2, "c", "a")], {"2": "a"}, ()),
        (merge(1, "b", "a"), [merge(2, "c", "a")], {"2": "c"}, ()),
        (merge(1, "b", "a"), [merge(2, "c", "a")], {}, ()),  # its event was erased
        (merge(1, "b", "a"), [merge(3, "a", "d", "b", "c"), merge(2, "c", "a")], {}, (3,)),
        (merge(1, "b", "a"), [merge(2, "c", "a"), merge(3, "f", "a")], {"2": "b", "3": "c"}, (3, 2)),  # one by another
        (merge(1, "b", "a"), [merge(2, "a", "c", "b"), merge(3, "c", "d", "a", "b")], {}, (3, 2)),
    ],
)
def test_what_rests_on_a_merge_is_named_newest_first(
    undone: JournalledMerge, later: list[JournalledMerge], leaf_of: dict[str, str], expected: tuple[int, ...]
) -> None:
    assert dependents(undone, later, leaf_of) == expected
    if expected:
        case = MergeCase(undone, ("a", "b", "c", "d", "f"), tuple(later), leaf_of)
        assert decide_unmerge(case) == Refused("merge_has_dependents", expected)


def test_each_leaf_goes_with_what_it_holds() -> None:
    case = MergeCase(
        merge(1, "b", "a", "c"),
        ("a", "b", "c", "d"),
        identifiers=(held("cid", "x", "d"), held("email", E, "c")),
    )
    assert decide_unmerge(case) == Unmerge(
        case.merge, Half("a", ("a", "d"), "x", None), Half("b", ("b", "c"), None, E), ()
    )


def test_undoing_twice_is_refused() -> None:
    undone = JournalledMerge(1, "a", "b", "R5b", "1", Trust.BROWSER, 1, reversed_at=2)
    assert decide_unmerge(MergeCase(undone, ("a",))) == Refused("already_reversed")


@pytest.mark.parametrize("leaf", ["a", "b", "c"])
def test_a_replaced_email_comes_back_to_its_leaf(leaf: str) -> None:
    old = retired(E, leaf)
    other = "b" if leaf == "a" else "a"
    case = MergeCase(merge(1, "b", "a", "c"), ("a", "b", "c"), identifiers=(held("email", F, other),), retired=(old,))
    decided = decide_unmerge(case)
    assert isinstance(decided, Unmerge)
    assert decided.restored == (old,)
    halves = {decided.winner.email, decided.loser.email}
    assert halves == {E, F}


@pytest.mark.parametrize("owners", [{}, {("email", E): "z"}])
def test_a_back_fill_replaced_no_email_whatever_its_event_did_before(owners: dict[tuple[str, str], str]) -> None:
    late = replace(merge(1, "b", "a"), rule="R7")
    case = MergeCase(late, ("a", "b"), retired=(retired(E, "a"),), owners=owners)
    assert decide_unmerge(case) == Unmerge(late, Half("a", ("a",), None, None), Half("b", ("b",), None, None), ())


def test_a_replaced_email_that_somebody_else_has_forbids_it() -> None:
    case = MergeCase(merge(1, "b", "a"), ("a", "b"), retired=(retired(E, "a"),), owners={("email", E): "z"})
    assert decide_unmerge(case) == Refused("identifier_taken", profile_id="z", kind="email")


@pytest.mark.parametrize("leaf", ["a", "d"])
def test_a_replaced_email_with_a_successor_on_its_side_remains_history(leaf: str) -> None:
    case = MergeCase(
        merge(1, "b", "a"),
        ("a", "b", "d"),
        identifiers=(held("email", F, leaf),),
        retired=(retired(E, "a"),),
        owners={("email", E): "z"},
    )
    decided = decide_unmerge(case)
    assert isinstance(decided, Unmerge)
    assert (decided.restored, decided.winner.email) == ((), F)
