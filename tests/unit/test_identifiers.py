"""R1: which identifiers may link people, and how they are written down."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from collector.domain import identifiers
from collector.domain.event import Assertion
from collector.domain.identifiers import Clean, clean_cid, clean_email, sanitise

LISTED = ["null", "undefined", "none", "nil", "nan", "0", "-1", "true", "false", "id", "email", "anonymous", "guest"]
LISTED += ["distinctid", "distinct_id", "not_authenticated", "[object Object]"]

MD5_OF_UNDEFINED = "5e543256c480ac577d30f76f9120eb74"


@pytest.mark.parametrize("word", LISTED)
def test_listed_words_are_refused_in_any_case(word: str) -> None:
    for spelling in (word, word.upper(), word.lower(), word.title(), word.swapcase()):
        assert clean_cid(spelling) is None, spelling


@pytest.mark.parametrize("quotes", ["''", '""', "``", "\"'"])
def test_listed_words_are_refused_in_quotes_and_white_space(quotes: str) -> None:
    for text in (f"{quotes[0]}undefined{quotes[-1]}", f"  {quotes[0]} undefined {quotes[-1]}\t", "\n undefined "):
        assert clean_cid(text) is None, repr(text)


@pytest.mark.parametrize("text", ["", " ", "\t\n", '""', "''", "0", "000", "00000000", "-", "---", "0000-0000-0000"])
def test_nothing_zeros_and_dashes_are_refused(text: str) -> None:
    assert clean_cid(text) is None


def test_nil_uuid_is_refused() -> None:
    assert clean_cid("00000000-0000-0000-0000-000000000000") is None


def test_md5_of_undefined_is_refused() -> None:
    assert clean_cid(MD5_OF_UNDEFINED) is None
    assert clean_cid(MD5_OF_UNDEFINED.upper()) is None


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("word", [*LISTED, ""])
def test_hashes_of_listed_words_are_refused(algorithm: str, word: str) -> None:
    for spelling in {word, word.lower(), word.upper(), word.capitalize()}:
        digest = hashlib.new(algorithm, spelling.encode()).hexdigest()
        for text in (digest, digest.upper(), f" '{digest}' "):
            assert clean_cid(text) is None, f"{algorithm}({spelling!r})"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1fb", "a\tb", "a\nb", "a\x7fb", "a\x85b"])
def test_control_characters_are_refused(text: str) -> None:
    assert clean_cid(text) is None


def test_length_is_limited_after_trimming() -> None:
    assert clean_cid("x" * 256) == "x" * 256
    assert clean_cid(f"  {'x' * 256}  ") == "x" * 256
    assert clean_cid("x" * 257) is None


@pytest.mark.parametrize(
    "cid",
    [
        "4711",
        "10",
        "-12",
        "0a",
        "x-0-0",
        "Anna",
        "nullable",
        "guest-4711",
        "李\u3000小龙",
        "Émile\u00a0Zola",
        "\u2068ab\u2069",
        hashlib.md5(b"4711").hexdigest(),
        hashlib.sha256(b"anna@example.com").hexdigest(),
    ],
)
def test_ordinary_ids_are_kept_as_they_are(cid: str) -> None:
    assert clean_cid(f" {cid}\n") == cid


def test_case_of_a_cid_is_kept() -> None:
    assert clean_cid("AbC") == "AbC" != clean_cid("abc")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("  Anna@Example.COM ", "anna@example.com"),
        ("anna.m@example.com", "anna.m@example.com"),
        ("anna+news@example.com", "anna+news@example.com"),
        ("anna@MÜLLER.de", "anna@xn--mller-kva.de"),
        ("anna@xn--mller-kva.de", "anna@xn--mller-kva.de"),
        ("anna@mu\u0308ller.de", "anna@xn--mller-kva.de"),
        ("Jose\u0301@example.com", "jos\u00e9@example.com"),
        ("JOSÉ@example.com", "jos\u00e9@example.com"),
    ],
)
def test_email_is_normalised(written: str, normal: str) -> None:
    assert clean_email(written) == normal


def test_dots_and_plus_parts_are_not_folded() -> None:
    assert clean_email("a.nna@gmail.com") != clean_email("anna@gmail.com")
    assert clean_email("anna+a@gmail.com") != clean_email("anna@gmail.com")


@pytest.mark.parametrize(
    "text",
    ["", " ", "anna", "anna@", "@example.com", "anna@@example.com", "a b@example.com", "anna@example..com"],
)
def test_what_is_no_address_is_ignored(text: str) -> None:
    assert clean_email(text) is None


@pytest.mark.parametrize("text", ["undefined", "anna@exa\x00mple.com", "anna@-example.com", f"{'a' * 250}@example.com"])
def test_what_cannot_be_an_address_is_ignored(text: str) -> None:
    assert clean_email(text) is None


@given(st.emails(), st.sampled_from([str.upper, str.lower, str.title, lambda text: f" {text}\t"]))
def test_normalising_twice_changes_nothing_more(email: str, respell: object) -> None:
    normal = clean_email(email)
    if normal is not None:
        assert clean_email(normal) == normal
        assert clean_email(f"\n{normal} ") == normal
        local, domain = normal.rsplit("@", 1)
        assert clean_email(f"{local}@{domain.upper()}") == normal


@given(st.text(max_size=300))
@example("İ@example.com")
@example("\u1e9b\u0323@example.com")
@example("K@example.com")
def test_any_text_is_refused_or_comes_out_stable(text: str) -> None:
    email, cid = clean_email(text), clean_cid(text)
    if email is not None:
        assert clean_email(email) == email == unicodedata.normalize("NFC", email)
    if cid is not None:
        assert clean_cid(cid) == cid


def test_refused_identifiers_are_dropped_with_a_warning() -> None:
    assert sanitise(Assertion("undefined", "nobody")) == Clean(Assertion(), ("blocked_identifier", "invalid_email"))


def test_a_blocked_cid_does_not_take_the_email_or_the_traits_with_it() -> None:
    clean = sanitise(Assertion(MD5_OF_UNDEFINED, "Anna@example.com", {"city": "Graz"}))
    assert clean.assertion == Assertion(None, "anna@example.com", {"city": "Graz"})
    assert clean.warnings == ("blocked_identifier",)


def test_absent_identifiers_give_no_warning() -> None:
    assert sanitise(Assertion()) == Clean(Assertion())


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("spelling", ["Anna@Example.com", " anna@example.com", "anna@example.com ", "ANNA@EXAMPLE.COM"])
def test_cid_that_hashes_an_unnormalised_email_is_warned_of(algorithm: str, spelling: str) -> None:
    cid = hashlib.new(algorithm, spelling.encode()).hexdigest()
    clean = sanitise(Assertion(cid, spelling))
    assert clean.assertion == Assertion(cid, "anna@example.com"), "the CID counts all the same"
    assert clean.warnings == ("cid_hashes_unnormalised_email",)
    assert sanitise(Assertion(cid.upper(), spelling)).warnings == ("cid_hashes_unnormalised_email",)


def test_cid_that_hashes_the_normalised_email_is_fine() -> None:
    cid = hashlib.md5(b"anna@example.com").hexdigest()
    for spelling in ("anna@example.com", " Anna@Example.com "):
        assert sanitise(Assertion(cid, spelling)).warnings == ()


def test_a_cid_that_hashes_something_else_is_fine() -> None:
    assert sanitise(Assertion(hashlib.md5(b"4711").hexdigest(), "Anna@example.com")).warnings == ()


@given(st.one_of(st.emails(), st.from_regex(r"[a-z0-9_+.-]{0,12}@[a-z0-9.@-]{0,12}", fullmatch=True)))
def test_the_short_way_of_an_address_ends_where_the_long_one_does(text: str) -> None:
    lowered = text.strip().lower()
    assume(not identifiers.is_blocked(lowered) and len(lowered) <= identifiers.MAX_LENGTH)
    assert identifiers.clean_email(text) == identifiers._parse_email(lowered)
