"""One event in a query string, and the body of a consent."""

from __future__ import annotations

import json

import pytest

from collector.domain.event import Assertion, EventCode
from collector.wire.consent import Decision, parse_consent
from collector.wire.pixel import parse_pixel
from tests.unit.wire_samples import NOW, UID, uuid7

ID = uuid7(99)


def test_a_bare_pixel_is_a_page_view() -> None:
    (made,) = parse_pixel({}, NOW, ID).events
    assert (made.event_id, made.category, made.action, made.uid) == (ID, "page", "view", None)
    assert (made.occurred_at, made.tracked_at, made.body, made.warnings) == (NOW, NOW, b"{}", ())


def test_names_are_short_in_the_query_and_long_in_the_event() -> None:
    query = {"site": "k", "c": "mail", "a": "open", "uid": UID, "url": "https://x/", "title": "T", "d.list": "spring"}
    (made,) = parse_pixel(query, NOW, ID).events
    assert (made.category, made.action, made.uid, made.url) == ("mail", "open", UID, "https://x/")
    assert json.loads(made.body) == {"title": "T", "dims": {"list": "spring"}}


def test_an_email_asserts_itself() -> None:
    assert parse_pixel({"e": "a@b.c"}, NOW, ID).events[0].assertion == Assertion(None, "a@b.c")


def test_a_bad_uid_is_a_rejection() -> None:
    batch = parse_pixel({"uid": "me"}, NOW, ID)
    assert [(bad.index, bad.code, bad.field) for bad in batch.rejections] == [(0, EventCode.MALFORMED_ID, "uid")]
    assert (batch.events, batch.count) == ((), 1)


def test_what_cannot_be_stored_is_replaced() -> None:
    (made,) = parse_pixel({"title": "a\x00b\udcffc", "d.\x01": "\x02"}, NOW, ID).events
    assert json.loads(made.body) == {"title": "a�b�c", "dims": {"�": "�"}}


def test_a_decision_is_read() -> None:
    body = json.dumps({"state": "denied", "uid": UID, "at": NOW - 9}).encode()
    assert parse_consent(body, NOW) == Decision("denied", UID, NOW - 9)
    assert parse_consent(b'{"state":"granted"}', NOW) == Decision("granted", None, NOW)


def test_a_time_or_uid_not_to_be_believed_does_not_spoil_a_decision() -> None:
    body = json.dumps({"state": "denied", "uid": "me", "at": NOW + 10**9}).encode()
    assert parse_consent(body, NOW) == Decision("denied", None, NOW)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"state": "maybe"}', b'{"state": null}', b'{"state": ["denied"]}']
)
def test_anything_else_is_no_decision(body: bytes) -> None:
    assert parse_consent(body, NOW) is None
