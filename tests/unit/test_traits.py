"""R10: which value of a trait counts, and what is shown beside it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.domain.event import Trust
from collector.domain.traits import Trait, fold_traits


def trait(value: str, trust: Trust = Trust.BROWSER, at: int = 1, event_id: str = "a", is_claim: bool = False) -> Trait:
    return Trait("city", value, trust, at, event_id, is_claim)


def counting(*traits: Trait) -> str | None:
    counted, _ = fold_traits(traits)
    return counted["city"].value if "city" in counted else None


def test_latest_value_counts() -> None:
    assert counting(trait("Linz", at=1), trait("Graz", at=2)) == "Graz"
    assert counting(trait("Graz", at=2), trait("Linz", at=1)) == "Graz"


def test_event_id_decides_between_equal_times() -> None:
    assert counting(trait("Linz", event_id="b"), trait("Graz", event_id="a")) == "Linz"


def test_browser_never_overwrites_a_server_and_is_shown_as_a_claim() -> None:
    verified, typed = trait("Linz", Trust.SECRET_KEY, at=1), trait("Graz", at=2)
    counted, shown = fold_traits([verified, typed])
    assert counted == {"city": verified}
    assert shown == [typed]


def test_browser_that_says_the_same_as_a_server_claims_nothing() -> None:
    assert fold_traits([trait("Linz", Trust.SECRET_KEY), trait("Linz", at=2)])[1] == []


def test_server_overwrites_a_browser() -> None:
    assert counting(trait("Graz", at=9), trait("Linz", Trust.SIGNED_TOKEN, at=1)) == "Linz"


def test_superseded_value_of_equal_trust_is_not_shown() -> None:
    assert fold_traits([trait("Linz", at=1), trait("Graz", at=2)])[1] == []


def test_claim_never_counts_and_is_shown() -> None:
    claim = trait("Graz", is_claim=True)
    assert fold_traits([claim]) == ({}, [claim])
    assert counting(trait("Linz"), trait("Graz", Trust.SECRET_KEY, at=9, is_claim=True)) == "Linz"


def test_numbers_are_never_added_up() -> None:
    assert counting(trait("1", at=1), trait("2", at=2)) == "2"


TRAITS = st.lists(
    st.builds(
        Trait,
        name=st.sampled_from(["city", "name"]),
        value=st.sampled_from(['"a"', '"b"', "1"]),
        trust=st.sampled_from(Trust),
        occurred_at=st.integers(0, 3),
        event_id=st.uuids().map(str),
        is_claim=st.booleans(),
    ),
    max_size=6,
)


@given(TRAITS, st.data())
def test_order_of_arrival_does_not_matter(traits: list[Trait], data: st.DataObject) -> None:
    assert fold_traits(data.draw(st.permutations(traits))) == fold_traits(traits)
