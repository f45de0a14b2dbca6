"""When an event occurred: the device's clock is believed, corrected or overruled, and each time it is said."""

from __future__ import annotations

from typing import Any

import pytest

from collector.domain.event import Event
from collector.wire.batch import Batch
from collector.wire.native import parse_batch
from collector.wire.warnings import CLOCK_OUT_OF_RANGE, CLOCK_SKEW, NO_AT, NO_SENT_AT
from tests.unit.wire_samples import NOW, batch, event, uuid7

MINUTE, DAY = 60_000, 86_400_000


def parse_at(at: Any, sent_at: Any = NOW, **changes: Any) -> Event:
    """An event tracked at `at` in a batch sent at `sent_at` and received at NOW."""
    result = parse_batch(batch(event(at=at, **changes), sent_at=sent_at), NOW)
    assert isinstance(result, Batch)
    assert not result.rejections, result.rejections
    return result.events[0]


def test_a_clock_that_is_right_is_believed() -> None:
    made = parse_at(NOW - 5_000, NOW - 100)
    assert (made.occurred_at, made.tracked_at, made.warnings) == (NOW - 5_000, NOW - 5_000, ())


@pytest.mark.parametrize("skew", [MINUTE, -MINUTE])
def test_a_minute_may_be_the_network_and_changes_nothing(skew: int) -> None:
    assert parse_at(NOW + skew - 5_000, NOW + skew).occurred_at == NOW + skew - 5_000


@pytest.mark.parametrize("skew", [MINUTE + 1, -MINUTE - 1, 10 * 365 * DAY, -10 * 365 * DAY, 2 * 3_600_000])
def test_a_wrong_clock_is_corrected_by_what_it_said_when_it_sent(skew: int) -> None:
    made = parse_at(NOW + skew - 5_000, NOW + skew)
    assert (made.occurred_at, made.tracked_at) == (NOW - 5_000, NOW + skew - 5_000)
    assert made.warnings == (CLOCK_SKEW,)


@pytest.mark.parametrize("age", [-5 * MINUTE, 0, 7 * DAY, 30 * DAY])
def test_times_within_range_are_kept(age: int) -> None:
    assert (parse_at(NOW - age).occurred_at, parse_at(NOW - age).warnings) == (NOW - age, ())


@pytest.mark.parametrize("age", [-5 * MINUTE - 1, 30 * DAY + 1, 20 * 365 * DAY])
def test_times_out_of_range_become_the_time_of_arrival_and_the_raw_one_is_kept(age: int) -> None:
    made = parse_at(NOW - age)
    assert (made.occurred_at, made.tracked_at, made.warnings) == (NOW, NOW - age, (CLOCK_OUT_OF_RANGE,))


def test_a_clock_that_jumped_between_tracking_and_sending_is_overruled() -> None:
    made = parse_at(NOW - 5_000, NOW + 40 * DAY)
    assert (made.occurred_at, made.warnings) == (NOW, (CLOCK_SKEW, CLOCK_OUT_OF_RANGE))


@pytest.mark.parametrize("sent_at", [None, "now", True, [], 1e300])
def test_without_a_time_of_sending_the_time_of_tracking_stands(sent_at: Any) -> None:
    made = parse_at(NOW - 5_000, sent_at)
    assert (made.occurred_at, made.warnings) == (NOW - 5_000, (NO_SENT_AT,))


def test_without_a_time_of_tracking_the_birth_of_the_id_stands_in_so_that_a_retry_is_the_same_event() -> None:
    born = NOW - 3_000
    first = parse_at(None, NOW, event_id=uuid7(1, born))
    again = parse_at(None, NOW + 50_000, event_id=uuid7(1, born))
    assert (first.tracked_at, first.occurred_at, first.warnings) == (born, born, (NO_AT,))
    assert again.tracked_at == born


def test_without_any_time_it_is_that_of_sending() -> None:
    made = parse_at(None, NOW - 2_000, event_id="d9428888-122b-41e1-b85c-61b3f2ea3a25")
    assert (made.tracked_at, made.warnings) == (NOW - 2_000, (NO_AT,))


def test_fractions_of_milliseconds_are_cut_off() -> None:
    assert parse_at(NOW - 0.75, float(NOW)).tracked_at == NOW - 1


def test_every_event_of_a_batch_is_told_about_the_clock() -> None:
    result = parse_batch(batch(event(), event(), sent_at=NOW + DAY), NOW)
    assert isinstance(result, Batch)
    assert [made.warnings for made in result.events] == [(CLOCK_SKEW,)] * 2
