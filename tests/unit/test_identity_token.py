"""Identity tokens without HTTP: where they are found in an event, which keys sign them, and what they confirm."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.event import Assertion, Trust
from collector.domain.identity_token import Vouched, confirm, token_secret, valid_key_numbers
from collector.domain.site import Site, SiteSettings
from collector.wire import native
from collector.wire.batch import Batch
from collector.wire.identity_token import read_token, take_token
from tests.unit.wire_samples import NOW, UID, batch, event, user

SITE = Site(1, "shop", "key-of-the-shop", (), SiteSettings(), token_keys=1)
MASTER = "a secret of at least 32 characters"
SECRET = token_secret(MASTER, SITE, 1)
VOUCHED = Vouched("c-1", UID, "ann@example.com", NOW)

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["identity_token", "customers"]),
    lambda inside: (
        st.lists(inside, max_size=2)
        | st.dictionaries(st.sampled_from(["identity_token", "customers", "extra", "dims", "a"]), inside, max_size=3)
    ),
    max_leaves=8,
)


def parsed(*events: dict[str, Any]) -> Batch:
    result = native.parse_batch(batch(*events), NOW)
    assert isinstance(result, Batch)
    return result


def test_a_key_is_the_same_whenever_it_is_derived():
    assert SECRET == "rts_ed33f160b09b14ac8f5eda860ec40baf74ebe944240ad48a1fbcbfd3cb1666bb", "servers hold this text"


def test_each_site_number_and_installation_has_its_own_key():
    others = {
        token_secret(MASTER, SITE, 2),
        token_secret(MASTER, SITE, 11),
        token_secret(MASTER, replace(SITE, write_key="key-of-another"), 1),
        token_secret(MASTER + "!", SITE, 1),
    }
    assert len(others | {SECRET}) == 5


@pytest.mark.parametrize(("made", "valid"), [(0, []), (1, [1]), (2, [1, 2]), (3, [2, 3]), (9, [8, 9])])
def test_the_last_two_keys_are_valid(made: int, valid: list[int]):
    assert list(valid_key_numbers(replace(SITE, token_keys=made))) == valid


@pytest.mark.parametrize("place", ["dims", "extra", "both"])
def test_a_token_is_taken_from_where_traits_and_extra_are(place: str):
    dims = {"customers": {"customer_id": "c-1", "name": "Ann"}, "other": {"identity_token": "stays"}}
    sent = event(category="user", action="identify", dims=dims, extra={"identify_id": "c-1"})
    (plain,) = parsed(sent).events
    if place != "extra":
        sent["dims"] = dims | {"customers": {**dims["customers"], "identity_token": "a.b.c"}}
    if place != "dims":
        sent["extra"] = {"identify_id": "c-1", "identity_token": "a.b.c"}
    (made,) = parsed(sent).events
    assert made.assertion == Assertion("c-1", None, {"name": "Ann"}, token="a.b.c")
    assert made.body == plain.body


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_token_is_none(nothing: str | None):
    (made,) = parsed(user("identify", {"customer_id": "c-1", "identity_token": nothing})).events
    assert made.assertion == Assertion("c-1")
    assert b"identity_token" not in made.body


def test_what_asserts_nothing_loses_its_token_all_the_same():
    sent = [event(extra={"identity_token": "a.b.c"}), user("info", {"customer_id": "c", "identity_token": "a.b.c"})]
    plain, hint = parsed(*sent).events
    assert plain.assertion is None
    assert hint.assertion == Assertion("c", hint=True)
    assert b"a.b.c" not in plain.body + hint.body


def test_a_refused_event_is_kept_without_its_token():
    (bad,) = parsed(event(action=5, extra={"identity_token": "a.b.c", "n": 1})).rejections
    assert json.loads(bad.raw)["extra"] == {"n": 1}


@given(st.fixed_dictionaries({}, optional={"dims": values, "extra": values, "a": values}) | values)
def test_nothing_but_the_token_is_taken(raw: Any):
    before = json.dumps(raw)
    rest, token = take_token(raw)
    assert json.dumps(raw) == before, "what was given stays as it is"
    if isinstance(raw, dict):
        assert set(rest) == set(raw)
        again, nothing = take_token(rest)
        assert (again, nothing) == (rest, None)
        assert token is not None or rest == raw or "identity_token" in before
    else:
        assert (rest, token) == (raw, None)


@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*") | st.binary().map(lambda data: data.hex()))
def test_any_text_is_a_token_or_none(text: str):
    assert read_token(text, [SECRET]) is None


claims = st.fixed_dictionaries(
    {},
    optional={
        name: st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=1)
        for name in ("sub", "uid", "exp", "nbf", "iat", "email", "aud", "iss", "jti")
    },
)


@given(claims, st.dictionaries(st.sampled_from(["kid", "crit", "b64", "typ", "zip"]), values, max_size=2))
def test_whatever_a_site_signs_is_read_or_not(said: dict[str, Any], header: dict[str, Any]):
    try:
        token = jwt.api_jws.encode(json.dumps(said).encode(), SECRET, "HS256", header)
    except jwt.PyJWTError:
        return
    vouched = read_token(token, [SECRET])
    if vouched is not None:
        assert (vouched.cid, vouched.uid, vouched.email) == (said["sub"], said["uid"], said.get("email") or None)
        assert isinstance(vouched.expires_at > NOW, bool)


def test_expiry_is_not_looked_at_by_the_reader():
    token = jwt.encode({"sub": "c-1", "uid": UID, "exp": 17.5}, SECRET, "HS256")
    assert read_token(token, [SECRET]) == Vouched("c-1", UID, None, 17_500)
    assert time.time() > 17.5


@pytest.mark.parametrize(
    ("assertion", "uid", "is_confirmed"),
    [
        (Assertion("c-1", "ann@example.com"), UID, True),
        (Assertion(" c-1 ", "Ann@Example.com "), UID, True),
        (Assertion("c-1"), UID, True),
        (Assertion("C-1"), UID, False),
        (Assertion("c-2"), UID, False),
        (Assertion(None, "ann@example.com"), UID, False),
        (Assertion("c-1", "bob@example.com"), UID, False),
        (Assertion("c-1", "no address"), UID, False),
        (Assertion("c-1"), None, False),
        (Assertion("c-1"), UID[:-1] + "f", False),
    ],
)
def test_a_token_confirms_what_it_says_itself(assertion: Assertion, uid: str | None, is_confirmed: bool):
    confirmed = confirm(assertion, uid, VOUCHED)
    assert (confirmed is not None) == is_confirmed
    if confirmed is not None:
        assert confirmed.trust is Trust.SIGNED_TOKEN
        assert confirmed.email == (assertion.email or "ann@example.com")


def test_a_placeholder_is_confirmed_by_nobody():
    assert confirm(Assertion("undefined"), UID, VOUCHED._replace(cid="undefined")) is None


def test_an_address_counts_only_if_the_token_names_it():
    assert confirm(Assertion("c-1", "ann@example.com"), UID, VOUCHED._replace(email=None)) is None
