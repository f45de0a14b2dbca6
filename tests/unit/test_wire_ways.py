"""Two ways through the parser, the short one for requests of the known shape, and what events inherit in both."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.wire import native
from collector.wire.batch import Batch
from collector.wire.sent import SHARED
from tests.unit.wire_samples import DEVICE, NOW, PAGE, UID, VISIT, batch, event, user, uuid7

OTHER = uuid7(99)

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=12)
values = st.recursive(
    scalars, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3)
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=3)
FIELDS = {
    "event_id": st.sampled_from([uuid7(7), uuid7(8).upper(), "", "no id"]),
    "category": st.sampled_from(["product", "user", ""]),
    "action": st.sampled_from(["view", "identify", "info"]),
    "uid": st.sampled_from([UID, OTHER, "", "00000000-0000-0000-0000-000000000000"]),
    "uid_origin": st.sampled_from(["first", "reset", "else"]),
    "visit": st.sampled_from([VISIT, VISIT.upper()]),
    "page": st.sampled_from([PAGE, OTHER]),
    "seq": st.sampled_from([0, 7, -1, 2**53]),
    "at": st.sampled_from([NOW, NOW + 0.5, NOW - 10**12]),
    "url": st.text(max_size=20),
    "title": st.text(max_size=20),
    "referrer": st.text(max_size=20),
    "email": st.sampled_from(["ann@example.com", ""]),
    "dims": objects | st.just({"customers": {"customer_id": "c-1", "email": "ann@example.com", "name": "Ann"}}),
    "items": st.lists(values, max_size=2),
    "extra": objects | st.just({"identify_id": "c-1", "identify_type": "exact"}),
    "campaign": objects,
    "dropped": st.integers(0, 5),
    "new_field": values,
}
maybe_wrong = {name: field | st.none() | st.integers(0, 1) for name, field in FIELDS.items()}
events = st.fixed_dictionaries({}, optional=maybe_wrong) | st.builds(
    lambda changes: event() | changes, st.fixed_dictionaries({}, optional=FIELDS)
)
shared = st.fixed_dictionaries({}, optional={name: maybe_wrong[name] for name in SHARED})


def short_way(data: bytes, purchases_assert: bool) -> Batch | None:
    try:
        return native._parse_known(data, NOW, purchases_assert)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@given(st.lists(events, min_size=1, max_size=3), shared, st.booleans(), st.booleans())
def test_both_ways_lead_to_the_same_events(
    sent: list[dict[str, Any]], shared: dict[str, Any], purchases_assert: bool, is_ascii: bool
) -> None:
    request = {"sent_at": NOW, "device": DEVICE, "events": sent} | shared
    data = json.dumps(request, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    quick = short_way(data, purchases_assert)
    if quick is not None:
        assert quick == native._parse_any(data, NOW, purchases_assert)


@pytest.mark.parametrize("purchases_assert", [False, True])
def test_what_the_sdk_sends_takes_the_short_way(purchases_assert: bool) -> None:
    sent = [event(), user("identify", {"customer_id": "c-1"}), event(items=[{"id": "a"}], extra={"n": 1}, dropped=2)]
    assert short_way(batch(*sent), purchases_assert) == native._parse_any(batch(*sent), NOW, purchases_assert)


@pytest.mark.parametrize("more", [{}, {"something_new": 1}], ids=["the short way", "the long way"])
def test_events_inherit_what_is_said_beside_them(more: dict[str, Any]) -> None:
    bare = event(uid=None, uid_origin=None, visit=None, page=None, **more)
    own = event(uid=OTHER, uid_origin="first", visit=OTHER, page=OTHER)
    null = event(**more) | {"uid": None, "uid_origin": None, "visit": None, "page": None}
    said = {"uid": UID, "uid_origin": "reset", "visit": VISIT.upper(), "page": PAGE}
    result = native.parse_batch(batch(bare, own, null, **said), NOW)
    assert isinstance(result, Batch)
    assert [(made.uid, made.uid_origin, made.visit_id, made.page_id) for made in result.events] == [
        (UID, "reset", VISIT, PAGE),
        (OTHER, "first", OTHER, OTHER),
        (UID, "reset", VISIT, PAGE),
    ]


def test_a_bad_value_beside_the_events_is_the_fault_of_those_that_inherit_it() -> None:
    bare, own = event(uid=None), event()
    result = native.parse_batch(batch(bare, own, uid=5), NOW)
    assert isinstance(result, Batch)
    assert [made.event_id for made in result.events] == [own["event_id"]]
    assert [(bad.index, bad.code, bad.field) for bad in result.rejections] == [(0, "invalid_field", "uid")]
    assert json.loads(result.rejections[0].raw)["uid"] == 5
