"""Text that is not JSON, text that is and cannot be stored as it is, and the property that nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.domain.event import Event, EventCode
from collector.wire.batch import Batch, RequestError
from collector.wire.native import parse_batch
from collector.wire.warnings import BIG_INTEGER, REPLACED_CHARACTERS
from tests.unit.wire_samples import NOW, batch, event

GOOD = batch(event())
MAX_SAFE = 2**53 - 1


def parse_extra(text: str) -> tuple[Event, ...]:
    """The middle one of three events, whose `extra` is the given JSON; the others must come through untouched."""
    sent = batch(event(), event(extra={"MARK": 1}), event()).replace(b'{"MARK": 1}', text.encode())
    result = parse_batch(sent, NOW)
    assert isinstance(result, Batch), result
    assert len(result.events) == 3, result.rejections
    first, middle, last = result.events
    assert first.warnings == last.warnings == ()
    return (middle,)


def extra_of(made: Event) -> Any:
    return json.loads(made.body)["extra"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"nonsense",
        b"\xef\xbb\xbf" + GOOD,
        GOOD + b"x",
        GOOD + GOOD,
        GOOD[:-1],
        GOOD.replace(b"49.9", b"NaN"),
        GOOD.replace(b"49.9", b"Infinity"),
        GOOD.replace(b"49.9", b"1e400"),
        GOOD.replace(b"49.9", b"01"),
        GOOD.replace(b"shop", b"sh\xffp"),
        GOOD.replace(b"shop", b"sh\xed\xa0\x80p"),
        GOOD.replace(b"shop", b"sh\x00p"),
        GOOD.replace(b"shop", b"sh\x1fp"),
        b"[" * 100_000,
        b'{"events":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[]",
        b"null",
        b'"events"',
        b"{}",
        b'{"events": null}',
        b'{"events": {}}',
        b'{"events": ["\\ud800]}',
    ],
)
def test_what_is_not_strict_json_of_the_right_shape_is_malformed(data: bytes) -> None:
    assert parse_batch(data, NOW) == RequestError("malformed_json")


def test_500_events_are_enough() -> None:
    one = json.dumps(event())
    many = '{"events": [' + ",".join([one] * 500) + "]}"
    assert isinstance(parse_batch(many.encode(), NOW), Batch)
    too_many = many.replace("[", f"[{one},", 1)
    assert parse_batch(too_many.encode(), NOW) == RequestError("too_many_events", 501)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r'{"a": "x\ud800y"}', {"a": "x�y"}),
        (r'{"a": "x\uDFFFy"}', {"a": "x�y"}),
        (r'{"a": "\udc00\ud800"}', {"a": "��"}),
        (r'{"a": "\ud83d\ud83d\ude00"}', {"a": "�😀"}),
        (r'{"\ud800": 1}', {"�": 1}),
        (r'{"a": "x\u0000y"}', {"a": "x�y"}),
        (r'{"a": "\u0001\u001F\b\f"}', {"a": "����"}),
        (r'{"a": "\b"}', {"a": "�"}),
        (r'{"a": "\f"}', {"a": "�"}),
        (r'{"a": "\u001f"}', {"a": "�"}),
        (r'{"k\u0000": [{"\u0002": ["\u0003"]}]}', {"k�": [{"�": ["�"]}]}),
    ],
)
def test_unstorable_characters_are_replaced_and_flagged(text: str, kept: Any) -> None:
    (made,) = parse_extra(text)
    assert extra_of(made) == kept
    assert made.warnings == (REPLACED_CHARACTERS,)


@pytest.mark.parametrize(
    "text",
    [
        r'{"a": "\ud83d\ude00"}',
        r'{"a": "\\ud800"}',
        r'{"a": "\\\\ud800 \\u0000 \\b"}',
        r'{"a": "tab\t line\n\r\u0009\u000a\u000d"}',
        r'{"a": "C:\\back\\folder"}',
        '{"a": "� \u007f \u0085 \u2028 \U0010ffff"}',
        '{"a": "1234567890123456789"}',
        '{"a": "order: 1234567890123456789, and 12345678901234567890"}',
        '{"a": [9007199254740991, -9007199254740991, 0.1234567890123456789, 1234567890123456789.5, 1e300]}',
    ],
)
def test_everything_else_comes_through_unchanged(text: str) -> None:
    (made,) = parse_extra(text)
    assert extra_of(made) == json.loads(text)
    assert made.warnings == ()


@pytest.mark.parametrize(
    "number", [MAX_SAFE + 1, -MAX_SAFE - 1, 2**63, 2**64, -(2**63) - 1, 10**16, 10**30, -(10**300), 7**2000]
)
def test_integers_that_a_double_cannot_hold_become_exact_text(number: int) -> None:
    (made,) = parse_extra(f'{{"a": [{number}], "b": {{"c": {number}}}, "d": 1}}')
    assert extra_of(made) == {"a": [str(number)], "b": {"c": str(number)}, "d": 1}
    assert made.warnings == (BIG_INTEGER,)


def test_a_customer_id_with_many_digits_stays_exact() -> None:
    sent = batch(event(category="user", action="identify", dims={"customers": {"customer_id": 10**20 + 1}}))
    result = parse_batch(sent, NOW)
    assert isinstance(result, Batch)
    assertion = result.events[0].assertion
    assert assertion is not None
    assert assertion.cid == "100000000000000000001"


def test_repairs_do_not_hide_limits() -> None:
    deep = r'{"a": "\u0000", "b": ' + "[" * 40 + "]" * 40 + ', "n": 123456789012345678901234567890}'
    result = parse_batch(batch(event(extra="MARK")).replace(b'"MARK"', deep.encode()), NOW)
    assert isinstance(result, Batch)
    assert [rejection.code for rejection in result.rejections] == [EventCode.TOO_DEEP]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),  # lone surrogates and controls too
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
    max_leaves=20,
)
keys = st.sampled_from(["event_id", "category", "action", "uid", "seq", "at", "dims", "email", "extra", "url", "visit"])


def storable(value: Any) -> Any:
    """What must be read back: written a second time, without a look at how it is done."""
    if isinstance(value, str):
        return "".join("�" if "\ud800" <= c <= "\udfff" or (c < " " and c not in "\t\n\r") else c for c in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SAFE:
        return str(value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


@given(extra=json_values)
@settings(max_examples=300)
def test_any_json_value_is_stored_as_it_must_be_read_back(extra: Any) -> None:
    result = parse_batch(batch(event(), event(anything={"x": extra})), NOW)
    assert isinstance(result, Batch)
    assert len(result.events) == 2, result.rejections
    stored = json.loads(result.events[1].body)["anything"]["x"]
    # A pair of surrogates that arrives as two escapes is one character.
    assert stored == storable(json.loads(json.dumps(extra)))
    assert bool(result.events[1].warnings) == (stored != json.loads(json.dumps(extra)))


@given(changes=st.dictionaries(keys, json_values, max_size=5), other=json_values)
@settings(max_examples=300)
def test_whatever_a_field_holds_the_event_is_stored_or_quarantined(changes: dict[str, Any], other: Any) -> None:
    result = parse_batch(batch(event(), event() | changes, other), NOW)
    assert isinstance(result, Batch)
    assert len(result.events) + len(result.rejections) == 3
    assert result.indexes[0] == 0
    for rejection in result.rejections:
        rejection.field.encode()
        json.loads(rejection.raw)


@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse_batch(data, NOW)
    parse_batch(b'{"events":[' + data + b"]}", NOW)
    parse_batch(GOOD[: len(data)] + data, NOW)
