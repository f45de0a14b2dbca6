"""R3, R6, R8 and R13: UIDs, bindings, epochs and shared devices."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.recognition import (
    BEGINNING,
    DAY_MS,
    Binding,
    Device,
    Moment,
    born_at,
    epoch_of,
    is_shared,
    is_younger,
    profile_at,
    recognise,
)
from tests.stage import mint_uuid7

HOUR = DAY_MS // 24


def uid_born(at: int) -> str:
    return mint_uuid7(at, random.Random(at))


@given(st.integers(0, 2**48 - 1))
def test_birth_is_read_from_the_uid(at: int) -> None:
    assert born_at(uid_born(at)) == at


@pytest.mark.parametrize("device", [None, Device("d"), Device("d", uid_born(999), 999)])
def test_new_uid_joins_the_profile_of_the_cookie(device: Device | None) -> None:
    found = recognise(uid_born(1_000), "first", device, "P", "N")
    assert (found.profile_id, found.is_new) == ("P", False)


@pytest.mark.parametrize("born", [1_000, 1_001])
def test_uid_that_is_not_the_youngest_of_its_device_ignores_the_cookie(born: int) -> None:
    found = recognise(uid_born(1_000), "first", Device("d", uid_born(born), born), "P", "N")
    assert (found.profile_id, found.is_new) == ("N", True)


@pytest.mark.parametrize("device", [None, Device("d"), Device("d", uid_born(999), 999)])
def test_uid_without_a_cookie_gets_a_profile_of_its_own(device: Device | None) -> None:
    found = recognise(uid_born(1_000), "first", device, None, "N")
    assert (found.profile_id, found.is_new) == ("N", True)


@pytest.mark.parametrize("contact", [None, "P"])
def test_reset_uid_never_joins(contact: str | None) -> None:
    found = recognise(uid_born(1_000), "reset", Device("d", uid_born(999), 999), contact, "N")
    assert (found.profile_id, found.is_new, found.rule) == ("N", True, "R8")


def test_youngest_uid_is_the_same_in_any_order() -> None:
    uids = [uid_born(at) for at in (5, 7, 7, 6)] + [mint_uuid7(7, random.Random(number)) for number in range(3)]
    winners = set()
    for order in (uids, uids[::-1], sorted(uids), sorted(uids)[::-1]):
        device = Device("d")
        for uid in order:
            if is_younger(uid, device):
                device = Device("d", uid, born_at(uid))
        winners.add(device.youngest_uid)
    assert winners == {max(uids)}


BINDINGS = [Binding(BEGINNING, "A"), Binding(Moment(10, 3), "B"), Binding(Moment(20, 5), "C")]


@pytest.mark.parametrize(
    ("moment", "profile"),
    [
        ((0, 0), "A"),
        ((10, 2), "A"),
        ((9, 9), "A"),
        ((10, 3), "B"),
        ((10, 4), "B"),
        ((20, 4), "B"),
        ((20, 5), "C"),
        ((99, 0), "C"),
        ((-5, 0), "A"),
    ],
)
def test_event_belongs_to_the_latest_binding_at_or_before_it(moment: tuple[int, int], profile: str) -> None:
    assert profile_at(BINDINGS, Moment(*moment)) == profile


def test_single_binding_covers_all_time() -> None:
    assert profile_at([Binding(Moment(10, 0), "A")], Moment(1, 0)) == "A"


def test_epochs_are_cut_by_boundaries_in_time() -> None:
    boundaries = [Moment(10, 0), Moment(20, 4)]
    assert epoch_of(Moment(9, 9), boundaries) == (BEGINNING, Moment(10, 0))
    assert epoch_of(Moment(10, 0), boundaries) == (Moment(10, 0), Moment(20, 4))
    assert epoch_of(Moment(20, 3), boundaries) == (Moment(10, 0), Moment(20, 4))
    assert epoch_of(Moment(20, 4), boundaries) == (Moment(20, 4), None)
    assert epoch_of(Moment(5, 0), []) == (BEGINNING, None)


@given(st.lists(st.builds(Moment, st.integers(0, 9), st.integers(0, 3)), unique=True), st.integers(0, 9))
def test_every_moment_lies_in_the_epoch_it_is_given(boundaries: list[Moment], at: int) -> None:
    moment = Moment(at, 1)
    start, end = epoch_of(moment, sorted(boundaries))
    assert start <= moment
    assert end is None or moment < end
    assert not [other for other in boundaries if start < other and (end is None or other < end)]


def said(*cids: str, every: int = HOUR) -> list[tuple[int, str]]:
    return [(number * every, cid) for number, cid in enumerate(cids)]


def test_device_with_three_customers_in_a_day_is_not_shared() -> None:
    assert not is_shared(said("a", "b", "c", "a", "b", "c"), 5 * HOUR)


def test_device_with_four_customers_in_a_day_is_shared() -> None:
    assert is_shared(said("a", "b", "c", "d"), 3 * HOUR)


def test_device_with_four_customers_in_two_days_is_not_shared() -> None:
    assert not is_shared(said("a", "b", "c", "d", every=9 * HOUR), 27 * HOUR)


def test_device_is_shared_until_a_day_after_the_last_switch() -> None:
    cids = said("a", "b", "c", "d")
    assert is_shared(cids, 27 * HOUR - 1)
    assert not is_shared(cids, 27 * HOUR)


def test_any_later_switch_keeps_a_shared_device_shared() -> None:
    cids = [*said("a", "b", "c", "d"), (20 * HOUR, "a"), (40 * HOUR, "b")]
    assert is_shared(cids, 64 * HOUR - 1)
    assert not is_shared(cids, 64 * HOUR)


def test_the_same_customer_again_does_not_keep_a_device_shared() -> None:
    assert not is_shared([*said("a", "b", "c", "d"), (20 * HOUR, "d")], 27 * HOUR)


def test_a_device_that_was_shared_once_is_not_shared_for_ever() -> None:
    cids = [*said("a", "b", "c", "d"), (100 * HOUR, "a")]
    assert not is_shared(cids, 101 * HOUR)


def test_what_is_said_later_does_not_count() -> None:
    assert not is_shared(said("a", "b", "c", "d"), 2 * HOUR)
