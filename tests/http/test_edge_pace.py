"""How fast is too fast, by a clock that the test holds."""

from __future__ import annotations

import pytest

from collector.web import limits
from collector.web.limits import Limits, Pace, network_of


def test_a_burst_is_let_through_and_then_the_pace_holds() -> None:
    pace = Pace(2, 5)  # two a second, ten at once
    assert [pace.take("a", 100) for _ in range(10)] == [0] * 10
    assert pace.take("a", 100) == pytest.approx(0.5)
    assert pace.take("a", 100.4) == pytest.approx(0.1), "what was refused took nothing"
    assert pace.take("a", 100.5) == 0
    assert pace.take("a", 100.5) > 0
    assert pace.take("b", 100.5) == 0, "each key has its own"


def test_whoever_waits_has_a_whole_burst_again_and_no_more() -> None:
    pace = Pace(2, 5)
    for now in (100, 1_000_000):
        assert [pace.take("a", now) for _ in range(10)] == [0] * 10
        assert pace.take("a", now) > 0


def test_zero_lets_everything_through() -> None:
    pace = Pace(0, 10)
    assert not any(pace.take("a", 0) for _ in range(1_000))


def test_memory_is_bounded_and_those_who_hurry_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GENERATION", 100)
    pace = Pace(1, 2)
    assert [pace.take("hurried", 0) > 0 for _ in range(3)] == [False, False, True]
    for number in range(150):
        pace.take(f"other {number}", 0)
    assert pace.take("hurried", 0) > 0
    assert len(pace._due) + len(pace._older) <= 202


def test_identifying_is_limited_by_the_minute() -> None:
    by_device = Limits(identify_per_device=2)
    assert [by_device.take_identify("1.2.3.4", "d", 0) for _ in range(3)] == [True, True, False]
    assert by_device.take_identify("1.2.3.4", "other", 0)
    assert by_device.take_identify("1.2.3.4", None, 0)
    assert by_device.take_identify("1.2.3.4", "d", 31)
    by_address = Limits(identify_per_address=1)
    assert [by_address.take_identify("1.2.3.4", f"d{number}", 0) for number in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
)
def test_all_addresses_of_one_host_count_as_one(address: str, network: str) -> None:
    assert network_of(address) == network
