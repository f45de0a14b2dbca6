"""T12: whatever JSON a browser can write is stored, and reads back equal but for what no engine can hold.

Through the whole way: bytes, parser, recorder, database, timeline. The same expectation for every engine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from collector.domain.event import Arrival, Receipt
from collector.domain.explain import event_document
from collector.store import schema
from collector.store.database import Database
from collector.wire.batch import Batch
from collector.wire.native import MAX_DEPTH, parse_batch
from tests.stage import Browser, Stage
from tests.store_transport import StoreTransport, add_site
from tests.unit.test_wire_text import storable

any_text = st.text(st.characters(exclude_categories=[]), max_size=30)  # lone surrogates and controls too
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5), max_leaves=25
)


def nested(levels: int, value: Any) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


deep_values = st.builds(nested, st.integers(0, MAX_DEPTH + 5), scalars)


def depth_of(value: Any) -> int:
    """How deep the containers are nested."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@dataclass(slots=True)
class Place:
    """One site for all examples of this module; each example is an event of its own id from one browser."""

    transport: StoreTransport
    browser: Browser

    def sends(self, **fields: Any) -> tuple[str, Receipt]:
        """Record an event as a browser writes it, twice; its id and what was answered the first time."""
        sent = self.browser.stamp("product", "view") | fields
        body = json.dumps({"sent_at": self.browser.clock, "events": [sent]}).encode()
        first, again = (self._record(body, self.browser.clock) for _ in range(2))
        if first.accepted:
            assert again.duplicate == 1, "a retry must be recognised, whatever was repaired"
        return sent["event_id"], first

    def _record(self, body: bytes, at: int) -> Receipt:
        batch = parse_batch(body, at)
        assert isinstance(batch, Batch), body
        arrival = Arrival(self.transport.site, at, None, None, batch.events, batch.indexes, batch.rejections)
        self.transport.memory.forget()  # a repeat is expected, which the recorder finds out by trying
        (receipt,) = self.transport.record(arrival)
        return receipt

    def reads(self, event_id: str) -> dict[str, Any]:
        """The event as the API shows it."""
        query = select(schema.events).where(schema.events.c.event_id == event_id)
        row = self.transport.database.read_now(lambda conn: conn.execute(query).mappings().one())
        return event_document(row)


@pytest.fixture(scope="module")
def place(quick_database: Database) -> Place:
    transport = StoreTransport(quick_database, add_site(quick_database, "storable"))
    return Place(transport, Stage(transport).browser())


@given(value=json_values | deep_values)
@example(value={"\ud800": ["a\x00b", 2**53, -(2**64), 10**300, "\ud83d", "\udc00\ud800", {"": None}]})
@example(value=nested(MAX_DEPTH - 3, 1))
@settings(max_examples=200)
def test_any_json_value_reads_back_as_it_was_sent(place: Place, value: Any) -> None:
    event_id, receipt = place.sends(extra={"x": value})
    as_sent = json.loads(json.dumps(value))  # a pair of surrogates sent as two escapes is one character
    if depth_of(value) > MAX_DEPTH - 2:
        assert [outcome.code for outcome in receipt.outcomes] == ["too_deep"]
        return
    assert receipt.accepted == 1, receipt
    stored = place.reads(event_id)
    found = stored["body"]["extra"]["x"]
    assert found == storable(as_sent)
    spelled, expected = (json.dumps(each, sort_keys=True) for each in (found, storable(as_sent)))
    assert spelled == expected, "1 is not 1.0 is not true"
    is_changed = found != as_sent
    assert bool({"replaced_characters", "big_integer"} & set(stored["warnings"])) == is_changed


@given(text=any_text.filter(lambda text: len(text) <= 256))
@example(text="a\x00\ud800\u2028\U0001f600'\";--\\%_")
@settings(max_examples=100)
def test_text_in_a_column_reads_back_like_text_in_the_body(place: Place, text: str) -> None:
    kept = storable(json.loads(json.dumps(text)))
    event_id, receipt = place.sends(url=text, title=text, category=f"c{text}"[:256], action=f"a{text}"[:256])
    assert receipt.accepted == 1, receipt
    stored = place.reads(event_id)
    assert (stored["url"], stored["body"]["title"]) == (kept, kept)
    assert stored["category"] == storable(json.loads(json.dumps(f"c{text}"[:256])))
    assert stored["action"] == storable(json.loads(json.dumps(f"a{text}"[:256])))


@given(number=st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False))
@example(number=8_640_000_000_000_000)
@example(number=8_640_000_000_000_001)
@example(number=2**63)
@settings(max_examples=100)
def test_any_number_for_a_column_is_stored_or_named_as_the_culprit(place: Place, number: float) -> None:
    for field, fits in (("seq", 0 <= number <= 2**53 - 1 and isinstance(number, int)), ("at", abs(number) <= 8.64e15)):
        event_id, receipt = place.sends(**{field: number})
        if fits:
            assert not receipt.quarantined, receipt
            stored = place.reads(event_id)
            assert stored["seq" if field == "seq" else "tracked_at"] == int(number)
        else:
            assert [(outcome.code, outcome.field) for outcome in receipt.outcomes] == [("invalid_field", field)]
