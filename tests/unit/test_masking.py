"""What a key without `pii:read` sees of a person."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.masking import (
    MASK,
    is_personal,
    mask_email,
    mask_identity_id,
    mask_named,
    mask_raw,
    mask_text,
    mask_value,
)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ann@example.com", "a***@example.com"),
        ("ünal@bücher.example", "ü***@bücher.example"),
        ("write to ann@example.com, bob@example.org.", "write to a***@example.com, b***@example.org."),
        ("<ann.lee+shop@example.com>", "<a***@example.com>"),
        ("mailto:ann@example.com", "mailto:a***@example.com"),
        ("https://a.example/?q=ann%40example.com&b=1", "https://a.example/?q=a***%40example.com&b=1"),
        ("https://a.example/?q=ann%2Bx%40example.com", "https://a.example/?q=a***%40example.com"),
        ("https://a.example/?first_name=Ann&tel=%2B49#x", "https://a.example/?first_name=***&tel=***#x"),
        ("https://a.example/teapot?size=3", "https://a.example/teapot?size=3"),
        ("5 @ 3 euros", "5 @ 3 euros"),
        ("@handle", "@handle"),
        ("", ""),
    ],
)
def test_addresses_and_personal_parameters_in_a_text_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_an_address_by_itself_keeps_its_first_character_and_domain() -> None:
    assert mask_email("ann@example.com") == "a***@example.com"
    assert mask_email('"a@b"@example.com') == '"***@example.com'
    assert [mask_email(text) for text in ("", "ann", "@example.com")] == [MASK] * 3


def test_an_identity_is_masked_where_it_is_an_address() -> None:
    assert mask_identity_id("ada-4711") == "ada-4711"
    assert mask_identity_id("0bc83cb571cd1c50ba6f3e8a78ef1346") == "0bc83cb571cd1c50ba6f3e8a78ef1346"
    assert mask_identity_id("ann@example.com") == "a***@example.com"


@pytest.mark.parametrize(
    "name", ["email", "E-Mail", "first_name", "firstName", "Last name", "billing_address", "home-phone", "DOB", "zip"]
)
def test_what_is_called_after_something_personal_is_masked(name: str) -> None:
    for value in ("Ann", 4711, 1.5, ["Ann"], {"any": "thing"}):
        assert mask_value(name, value) == MASK
    assert mask_value(name, None) is None


@pytest.mark.parametrize("name", ["tier", "category", "event_id", "uid", "sku", "price", "title", "filename", "zipped"])
def test_anything_else_stays(name: str) -> None:
    assert not is_personal(name)
    for value in ("gold", 3, None, True, ["a", {"b": 1}], {"c": "d"}):
        assert mask_value(name, value) == value


def test_values_are_masked_however_deep_they_are() -> None:
    value = {"dims": {"customers": [{"email": "ann@example.com", "tier": "gold", "notes": ["ask ann@example.com"]}]}}
    masked = {"dims": {"customers": [{"email": MASK, "tier": "gold", "notes": ["ask a***@example.com"]}]}}
    assert mask_value(None, value) == masked
    assert mask_value(None, {"ann@example.com": 1}) == {"a***@example.com": 1}


def test_a_claim_about_a_trait_is_masked_by_the_name_of_the_trait() -> None:
    assert mask_named({"kind": "trait", "name": "first_name", "value": "Ann"})["value"] == MASK
    assert mask_named({"kind": "trait", "name": "tier", "value": "gold"})["value"] == "gold"
    assert mask_named({"kind": "email", "value": "ann@example.com"})["value"] == "a***@example.com"


def test_what_was_refused_is_shown_only_where_it_can_be_understood() -> None:
    assert orjson.loads(mask_raw('{"email":"ann@example.com","seq":"x"}')) == {"email": MASK, "seq": "x"}
    for text in ('{"email":"ann@exam', "[" * 5000, "[" * 600 + "]" * 600, ""):
        assert mask_raw(text) == MASK


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_whatever_is_masked_is_json_of_the_same_form_and_stays_so(value: Any) -> None:
    masked = mask_value(None, value)
    assert type(masked) is type(value)
    assert mask_value(None, masked) == masked


@pytest.mark.parametrize("local", ["a" * 100_000, "%41" * 50_000, "a." * 50_000])
def test_an_address_of_any_length_is_masked(local: str) -> None:
    assert "*" not in mask_text(local)
    assert len(mask_text(f"to {local}@example.com")) < 30
