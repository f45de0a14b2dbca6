"""What counts as naming a person when they are erased: every spelling of them, and nobody else."""

from __future__ import annotations

import json
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.mention import mentions_of

UID = "01890a5d-ac96-774b-bcce-b302099a8057"
EMAIL = "ada.lovelace@xn--bcher-kva.example"
LONG, SHORT = "Customer-4711", "7"
named = mentions_of([UID], [("email", EMAIL), ("cid", LONG)])
short = mentions_of([], [("cid", SHORT)])


@pytest.mark.parametrize(
    "text",
    [
        f'{{"uid":"{UID}"}}',
        UID.upper(),
        EMAIL,
        "Ada.Lovelace@XN--BCHER-KVA.example",
        "ada.lovelace@bücher.example",
        "ADA.LOVELACE@BÜCHER.EXAMPLE",
        "ada.lovelace@bu\u0308cher.example",
        "https://shop.example/?mail=ada.lovelace%40xn--bcher-kva.example",
        quote("https://shop.example/?mail=ada.lovelace@bücher.example"),
        json.dumps("ada.lovelace@bücher.example"),
        r"\u0061da.lovelace\u0040b\u00FCcher.example",
        "mailto:ada.lovelace@xn--bcher-kva.example.",
        f'{{"customer_id":"{LONG}"}}',
        "cid=customer-4711&x",
        "customer%2D4711",
        r"\"customer-4711\"",
    ],
)
def test_any_spelling_names_the_person(text: str) -> None:
    assert named(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        UID.replace("8057", "8058"),
        "bob@xn--bcher-kva.example",
        "customer-47110",
        "xcustomer-4711",
        "customer",
    ],
)
def test_others_are_not_named(text: str) -> None:
    assert not named(text.encode())


@pytest.mark.parametrize(
    "text",
    ['{"customer_id":"7"}', '{"customer_id": 7}', '{"identify_id":7,', "?cid=7", "uid=7&", r"{\"customer_id\":\"7\"}"],
)
def test_a_short_customer_id_counts_where_it_is_said_to_be_one(text: str) -> None:
    assert short(text.encode())


@pytest.mark.parametrize(
    "text", ['{"quantity":7}', '{"quantity":"7"}', '{"customer_id":"77"}', '{"at":1795330498637}', "7", "id: 17"]
)
def test_and_not_elsewhere(text: str) -> None:
    assert not short(text.encode())


def test_whoever_has_no_identifiers_is_not_named() -> None:
    nobody = mentions_of([], [])
    assert not nobody(b"")
    assert not nobody(b'{"id":""}')


def test_bytes_that_are_no_text_hide_nobody() -> None:
    assert named(b"\xff\xfe" + EMAIL.upper().encode() + b"\x80")


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz.+-äöüéñ", min_size=1, max_size=20), st.sampled_from([True, False]))
def test_no_way_of_writing_json_or_a_url_hides_an_email(local: str, is_ascii: bool) -> None:
    email = f"{local}@shop.example"
    email = unicodedata.normalize("NFC", email)
    found = mentions_of([], [("email", email)])
    assert found(json.dumps({"x": [email]}, ensure_ascii=is_ascii).encode())
    assert found(f"https://shop.example/?e={quote(email)}".encode())
