"""Which events say who the visitor is, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from collector.domain.event import Assertion, Event, EventCode
from collector.wire.batch import Batch
from collector.wire.native import parse_batch
from collector.wire.warnings import CONFLICTING_IDENTIFIERS, IDENTIFY_TYPE_NOT_EXACT
from tests.unit.wire_samples import NOW, batch, event, user


def parse(sent: dict[str, Any], purchases_assert: bool = False) -> Event:
    result = parse_batch(batch(sent), NOW, purchases_assert)
    assert isinstance(result, Batch)
    assert not result.rejections, result.rejections
    return result.events[0]


def said(sent: dict[str, Any], purchases_assert: bool = False) -> Assertion | None:
    return parse(sent, purchases_assert).assertion


@pytest.mark.parametrize("action", ["sign_in", "sign_up", "identify"])
def test_signing_in_asserts_customer_id_and_email_and_the_rest_are_traits(action: str) -> None:
    customers = {"customer_id": "c1", "email": "a@b.c", "name": "Ada", "age": 36}
    assert said(user(action, customers)) == Assertion("c1", "a@b.c", {"name": "Ada", "age": 36})


@pytest.mark.parametrize(
    ("customer_id", "identify_id", "cid"),
    [
        ("c1", "c1", "c1"),
        ("c1", None, "c1"),
        (None, "c1", "c1"),
        ("c1", " c1 ", "c1"),
        ("", "c1", "c1"),
        (12, "12", "12"),
    ],
)
def test_customer_id_and_identify_id_are_one_or_the_other_or_equal(
    customer_id: Any, identify_id: Any, cid: str
) -> None:
    sent = user("identify", {"customer_id": customer_id}, extra={"identify_id": identify_id, "identify_type": "exact"})
    assert said(sent) == Assertion(cid)


def test_different_ids_assert_nothing_and_say_so() -> None:
    made = parse(user("sign_in", {"customer_id": "c1", "email": "a@b.c"}, extra={"identify_id": "c2"}))
    assert (made.assertion, made.warnings) == (None, (CONFLICTING_IDENTIFIERS,))


@pytest.mark.parametrize("kind", ["fuzzy", "", 1, ["exact"]])
def test_only_exact_identification_asserts(kind: Any) -> None:
    made = parse(user("identify", {"customer_id": "c1"}, extra={"identify_type": kind}))
    assert (made.assertion, made.warnings) == (None, (IDENTIFY_TYPE_NOT_EXACT,))
    assert said(user("identify", {"customer_id": "c1"}, extra={"identify_type": None})) == Assertion("c1")


def test_identifiers_are_passed_on_as_sent() -> None:
    assert said(user("identify", {"customer_id": " undefined "})) == Assertion(" undefined ")


def test_a_form_asserts_its_email_alone() -> None:
    sent = event(category="form", action="submit", email="a@b.c", dims={"customers": {"customer_id": "c1", "x": 1}})
    assert said(sent) == Assertion(None, "a@b.c", {"x": 1})


def test_any_event_with_an_email_asserts_it() -> None:
    assert said(event(email="a@b.c")) == Assertion(None, "a@b.c")
    assert said(event(email="  ")) is None


def test_a_purchase_asserts_nothing_unless_the_site_says_so() -> None:
    sent = event(category="order", action="purchase", dims={"customers": {"customer_id": "c1", "email": "a@b.c"}})
    assert said(sent) is None
    assert said(sent, purchases_assert=True) == Assertion("c1", "a@b.c")
    assert said(event(), purchases_assert=True) is None


def test_user_info_is_a_hint() -> None:
    assert said(user("info", {"customer_id": "c1", "name": "Ada"}, email="a@b.c")) == Assertion(
        "c1", "a@b.c", {"name": "Ada"}, hint=True
    )


@pytest.mark.parametrize("action", ["sign_out", "reset_anonymous_uid", "identify"])
def test_nothing_said_is_nothing_asserted(action: str) -> None:
    assert said(user(action)) is None
    assert said(user(action, {})) is None


@pytest.mark.parametrize(
    ("customers", "extra", "field"),
    [
        ("c1", {}, "dims.customers"),
        ({"customer_id": ["c1"]}, {}, "dims.customers.customer_id"),
        ({"customer_id": True}, {}, "dims.customers.customer_id"),
        ({"customer_id": 1.5}, {}, "dims.customers.customer_id"),
        ({"email": 1}, {}, "dims.customers.email"),
        ({}, {"identify_id": {}}, "extra.identify_id"),
    ],
)
def test_an_identifier_of_a_wrong_type_is_refused_by_name(customers: Any, extra: Any, field: str) -> None:
    result = parse_batch(batch(event(), user("sign_in", customers, extra=extra), event()), NOW)
    assert isinstance(result, Batch)
    assert [(bad.index, bad.code, bad.field) for bad in result.rejections] == [(1, EventCode.INVALID_FIELD, field)]
    assert len(result.events) == 2


def test_customers_of_other_events_are_the_sites_own_business() -> None:
    assert said(event(dims={"customers": ["free", "form"]})) is None
