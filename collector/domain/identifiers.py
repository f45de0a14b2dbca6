"""R1: which customer ids and e-mail addresses are good enough to link people, and how they are normalised.

Sites are told to hash ids, so the classic bug, a variable that was undefined when it was hashed, arrives as
md5("undefined"). Those hashes are refused like the plain words.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from msgspec.structs import replace

from collector.domain.event import Assertion

MAX_LENGTH = 256

BLOCKED_WORDS = frozenset(
    {"null", "undefined", "none", "nil", "nan", "0", "-1", "true", "false", "id", "email", "anonymous", "guest"}
    | {"distinctid", "distinct_id", "not_authenticated", "[object Object]"}
)

HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256)


def _spellings(word: str) -> set[str]:
    return {word, word.lower(), word.upper(), word.capitalize()}


def _hex_digests(text: str) -> set[str]:
    return {digest(text.encode()).hexdigest() for digest in HASHES}


BLOCKED = frozenset(word.casefold() for word in BLOCKED_WORDS) | frozenset(
    digest for word in [*BLOCKED_WORDS, ""] for spelling in _spellings(word) for digest in _hex_digests(spelling)
)


@dataclass(frozen=True, slots=True)
class Clean:
    """An assertion after R1: what is left of it, and the warnings for what is not."""

    assertion: Assertion
    warnings: tuple[str, ...] = ()


def is_blocked(value: str) -> bool:
    """Whether `value` is a placeholder that many visitors share; compared without case or surrounding quotes."""
    bare = value.strip("\"'` ").casefold()
    return not bare.strip("0-") or bare in BLOCKED


def _has_controls(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text)


def clean_cid(value: str) -> str | None:
    """The trimmed customer id, or None where R1 refuses it."""
    cid = value.strip()
    if not cid or len(cid) > MAX_LENGTH or _has_controls(cid) or is_blocked(cid):
        return None
    return cid


# Whether such a name is good does not depend on its domain, and the domain is seldom a new one.
_is_plain_name = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*").fullmatch
PLAIN_LENGTH = 64


def clean_email(value: str) -> str | None:
    """The address trimmed, in NFC, lower case, its domain in punycode; None where it is not an address."""
    text = unicodedata.normalize("NFC", value.strip()).lower()
    if len(text) > MAX_LENGTH or is_blocked(text):
        return None
    name, _, domain = text.rpartition("@")
    if len(text) > PLAIN_LENGTH or not _is_plain_name(name):
        return _parse_email(text)
    known = _parse_domain(domain)
    return known and f"{name}@{known}"


@lru_cache(1024)
def _parse_domain(domain: str) -> str | None:
    email = _parse_email(f"x@{domain}")
    return email and email.removeprefix("x@")


def _parse_email(text: str) -> str | None:
    try:
        parts = validate_email(
            text, check_deliverability=False, allow_smtputf8=True, test_environment=True, globally_deliverable=False
        )
    except EmailNotValidError:
        return None
    return f"{parts.local_part.lower()}@{parts.ascii_domain or parts.domain}"


_is_digest = re.compile("[0-9a-f]{32}(?:[0-9a-f]{8})?(?:[0-9a-f]{24})?").fullmatch


def hashes_unnormalised_email(cid: str, raw_email: str, email: str) -> bool:
    """Whether the CID is the hash of a spelling of the e-mail beside it that is not the normalised one."""
    lowered = cid.lower()
    if not _is_digest(lowered) or lowered in _hex_digests(email):
        return False
    spellings = {raw_email, raw_email.strip(), raw_email.lower(), raw_email.upper(), f" {raw_email.strip()}"}
    return any(lowered in _hex_digests(spelling) for spelling in spellings)


def sanitise(assertion: Assertion) -> Clean:
    """R1 on both identifiers. What is refused is dropped with a warning; the event itself is stored all the same."""
    warnings: list[str] = []
    cid = clean_cid(assertion.cid) if assertion.cid is not None else None
    if assertion.cid is not None and cid is None:
        warnings.append("blocked_identifier")
    email = clean_email(assertion.email) if assertion.email is not None else None
    if assertion.email is not None and email is None:
        warnings.append("invalid_email")
    if cid and email and assertion.email and hashes_unnormalised_email(cid, assertion.email, email):
        warnings.append("cid_hashes_unnormalised_email")
    return Clean(replace(assertion, cid=cid, email=email), tuple(warnings))
