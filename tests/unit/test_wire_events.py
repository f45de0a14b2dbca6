"""One event at a time: what is kept where, and what is refused with which code, always inside a good batch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.domain.event import Event, EventCode, Rejection
from collector.domain.quarantine import MAX_RAW_BYTES
from collector.wire.batch import Batch
from collector.wire.native import MAX_DEPTH, MAX_EVENT_BYTES, MAX_KEYS, parse_batch
from tests.unit.wire_samples import DEVICE, NOW, PAGE, UID, VISIT, batch, event


def parse(*events: Any, **changes: Any) -> Batch:
    result = parse_batch(batch(*events, **changes), NOW)
    assert isinstance(result, Batch), result
    return result


def parse_one(sent: dict[str, Any]) -> Event:
    result = parse(sent)
    assert not result.rejections, result.rejections
    return result.events[0]


def reject_one(bad: Any) -> Rejection:
    """The rejection of `bad` between two good events, both of which are kept."""
    before, after = event(), event()
    result = parse(before, bad, after)
    assert [kept.event_id for kept in result.events] == [before["event_id"], after["event_id"]]
    assert result.indexes == (0, 2)
    assert result.count == 3
    (rejection,) = result.rejections
    assert rejection.index == 1
    return rejection


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_fields_with_a_column_become_fields_and_the_rest_becomes_the_body() -> None:
    sent = event(campaign={"utm_source": "mail"}, email=None, something_new={"b": 1, "a": [2]})
    made = parse_one(sent)
    assert (made.event_id, made.category, made.action, made.url) == (
        sent["event_id"],
        "product",
        "view",
        "https://shop.example/p?a=1",
    )
    assert (made.uid, made.visit_id, made.page_id, made.uid_origin, made.seq) == (UID, VISIT, PAGE, "first", 7)
    assert json.loads(made.body) == {
        "campaign": {"utm_source": "mail"},
        "dims": {"product": {"price": 49.9}},
        "something_new": {"a": [2], "b": 1},
        "title": "Schöne Schuhe",
    }
    assert made.warnings == ()
    assert made.assertion is None


def test_the_body_does_not_depend_on_the_order_or_the_spelling_of_the_text() -> None:
    sent = event(extra={"x": "é", "y": 1})
    turned = dict(reversed(sent.items())) | {"extra": {"y": 1, "x": "é"}}
    plain = parse_batch(json.dumps({"events": [turned]}, ensure_ascii=False, indent=4).encode(), NOW)
    assert isinstance(plain, Batch)
    assert plain.events[0].body == parse_one(sent).body


def test_a_batch_tells_the_sdks_device_and_the_time_of_sending() -> None:
    result = parse(event(), device=DEVICE.upper())
    assert (result.device, result.sent_at) == (DEVICE, NOW)
    assert parse(event(), device="nonsense").device is None
    assert parse(event(), device=7).device is None
    assert parse(event(), device=None).device is None
    assert parse().count == 0


def test_ids_become_lower_case() -> None:
    made = parse_one(event(event_id=(sent := event())["event_id"].upper(), uid=UID.upper(), visit=VISIT.upper()))
    assert (made.event_id, made.uid, made.visit_id) == (sent["event_id"], UID, VISIT)


def test_an_event_needs_neither_uid_nor_visit_nor_page() -> None:
    made = parse_one(event(uid=None, visit=None, page=None, uid_origin=None, seq=None, url=None))
    assert (made.uid, made.visit_id, made.page_id, made.uid_origin, made.seq, made.url) == (
        None,
        None,
        None,
        "first",
        0,
        None,
    )


@pytest.mark.parametrize(
    "field", ["uid", "uid_origin", "visit", "page", "seq", "url", "title", "dims", "items", "email"]
)
def test_null_is_the_same_as_absent(field: str) -> None:
    sent = event()
    sent[field] = None
    assert parse_one(sent).event_id == sent["event_id"]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"event_id": None}, EventCode.MISSING_ID, "event_id"),
        ({"event_id": ""}, EventCode.MALFORMED_ID, "event_id"),
        ({"event_id": 12}, EventCode.MALFORMED_ID, "event_id"),
        ({"event_id": "0193c1e2-aaaa-7bbb-8ccc-01234567"}, EventCode.MALFORMED_ID, "event_id"),
        ({"event_id": "00000000-0000-0000-0000-000000000000"}, EventCode.MALFORMED_ID, "event_id"),
        ({"event_id": f"{UID}\n"}, EventCode.MALFORMED_ID, "event_id"),
        ({"uid": ""}, EventCode.MALFORMED_ID, "uid"),
        ({"uid": "d9428888-122b-41e1-b85c-61b3f2ea3a25"}, EventCode.MALFORMED_ID, "uid"),
        ({"visit": "visit 1"}, EventCode.MALFORMED_ID, "visit"),
        ({"page": "1"}, EventCode.MALFORMED_ID, "page"),
        ({"uid": ["x"]}, EventCode.INVALID_FIELD, "uid"),
        ({"category": None}, EventCode.INVALID_FIELD, "category"),
        ({"category": ""}, EventCode.INVALID_FIELD, "category"),
        ({"category": "x" * 257}, EventCode.INVALID_FIELD, "category"),
        ({"action": 5}, EventCode.INVALID_FIELD, "action"),
        ({"uid_origin": "third"}, EventCode.INVALID_FIELD, "uid_origin"),
        ({"seq": "7"}, EventCode.INVALID_FIELD, "seq"),
        ({"seq": True}, EventCode.INVALID_FIELD, "seq"),
        ({"seq": -1}, EventCode.INVALID_FIELD, "seq"),
        ({"seq": 2**53}, EventCode.INVALID_FIELD, "seq"),
        ({"at": "now"}, EventCode.INVALID_FIELD, "at"),
        ({"at": 1e17}, EventCode.INVALID_FIELD, "at"),
        ({"url": 1}, EventCode.INVALID_FIELD, "url"),
        ({"title": ["x"]}, EventCode.INVALID_FIELD, "title"),
        ({"dims": []}, EventCode.INVALID_FIELD, "dims"),
        ({"items": {}}, EventCode.INVALID_FIELD, "items"),
        ({"extra": "x"}, EventCode.INVALID_FIELD, "extra"),
        ({"campaign": 1}, EventCode.INVALID_FIELD, "campaign"),
        ({"email": {}}, EventCode.INVALID_FIELD, "email"),
        ({"dropped": "many"}, EventCode.INVALID_FIELD, "dropped"),
    ],
)
def test_a_bad_field_is_named_and_its_neighbours_are_kept(changes: dict[str, Any], code: EventCode, field: str) -> None:
    sent = event(**changes)
    rejection = reject_one(sent)
    assert (rejection.code, rejection.field) == (code, field)
    assert json.loads(rejection.raw) == sent
    assert rejection.event_id == (None if field == "event_id" else sent["event_id"])


@pytest.mark.parametrize("bad", [None, 1, "event", [], [1], True, 1.5])
def test_what_is_no_object_is_no_event(bad: Any) -> None:
    rejection = reject_one(bad)
    assert (rejection.code, rejection.event_id) == (EventCode.INVALID_FIELD, None)
    assert json.loads(rejection.raw) == bad


def test_two_bad_ids_do_not_make_a_good_one_together() -> None:
    event_id = event()["event_id"]
    rejection = reject_one(event(event_id=event_id[:30], uid=event_id[30:] + UID))
    assert rejection.code is EventCode.MALFORMED_ID


def test_size_is_limited_to_the_byte() -> None:
    sent = event(extra={"x": ""})
    room = MAX_EVENT_BYTES - len(json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode())
    assert parse_one(sent | {"extra": {"x": "x" * room}})
    rejection = reject_one(sent | {"extra": {"x": "x" * (room + 1)}})
    assert rejection.code is EventCode.EVENT_TOO_LARGE
    assert len(rejection.raw) == MAX_EVENT_BYTES + 1


@pytest.mark.parametrize("field", ["url", "title"])
def test_size_counts_every_field(field: str) -> None:
    assert reject_one(event(**{field: "é" * 16_500})).code is EventCode.EVENT_TOO_LARGE


def test_what_is_kept_of_a_huge_event_is_bounded() -> None:
    assert len(reject_one(event(extra={"x": "x" * 300_000})).raw) == MAX_RAW_BYTES


def test_depth_is_limited_to_the_level() -> None:
    assert parse_one(event(items=nested(MAX_DEPTH - 1)))
    assert reject_one(event(items=nested(MAX_DEPTH))).code is EventCode.TOO_DEEP


@pytest.mark.parametrize("depth", [100, 300, 500, 800])
def test_absurd_depth_is_refused_like_any_other(depth: int) -> None:
    rejection = reject_one(event(items=nested(depth)))
    assert rejection.code is EventCode.TOO_DEEP
    assert json.loads(rejection.raw)["category"] == "product"


def test_brackets_in_texts_are_no_depth() -> None:
    assert parse_one(event(title="[{" * 500)).event_id


def test_the_number_of_keys_is_limited_to_the_key() -> None:
    sent = event(extra={})
    room = MAX_KEYS - len(sent) - 2  # dims has two
    assert parse_one(sent | {"extra": {str(number): 0 for number in range(room)}})
    crowded = sent | {"extra": {str(number): 0 for number in range(room + 1)}}
    assert reject_one(crowded).code is EventCode.TOO_MANY_KEYS
    spread = sent | {"items": [{"a": 1} for _ in range(MAX_KEYS)]}
    assert reject_one(spread).code is EventCode.TOO_MANY_KEYS
