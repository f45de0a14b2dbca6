"""Whether a piece of text names a person: what erasure looks for in bytes that no key leads to (R16).

Rather one row too many than one too few: an e-mail or a UID counts wherever it stands. A customer id counts as a word
of its own, and one as short as "7" only where it is said to be an id.

There may be 100 MB to look through while nobody else can write, hence the work on bytes, and the care for the rest only
where there is something to unescape or beyond ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

_LONG = 8  # a customer id of this length is hardly anything else by chance
_escape = re.compile(rb"\\u([0-9a-f]{4})|%([0-9a-f]{2})|\\(/)")

Mentions = Callable[[bytes], bool]


def mentions_of(uids: Iterable[str], identifiers: Iterable[tuple[str, str]]) -> Mentions:
    """A test for text that names one of `uids` or of `identifiers`, (kind, value) as stored, however it is written.

    In any case, escaped as in JSON or in a URL, and with the domain of an e-mail in punycode or not.
    """
    needles = {uid.encode() for uid in uids}
    words: dict[bytes, Callable[[bytes], object]] = {}
    for kind, value in identifiers:
        if kind == "email":
            needles |= {value.lower().encode(), _readable(value.lower()).encode()}
        else:
            words[value.lower().encode()] = _word(value.lower().encode())
    is_plain = all(needle.isascii() for needle in (*needles, *words))

    def is_in(text: bytes) -> bool:
        return any(needle in text for needle in needles) or any(
            word in text and find(text) is not None for word, find in words.items()
        )

    def mentions(raw: bytes) -> bool:
        text = raw.lower()
        if is_in(text):
            return True
        if b"%" in text or b"\\" in text:
            text = _escape.sub(_unescape, text).lower()
            if is_in(text):
                return True
        return not is_plain and not text.isascii() and is_in(_normal(text))

    return mentions


def _word(value: bytes) -> Callable[[bytes], object]:
    """Finds `value` as a word of its own; if it is short, only behind a name that ends in "id"."""
    before = rb"(?<![a-z0-9])" if len(value) >= _LONG else rb"id[\"'\\]*\s*[:=]\s*[\"'\\]*"
    return re.compile(before + re.escape(value) + rb"(?![a-z0-9])").search


def _unescape(found: re.Match[bytes]) -> bytes:
    character, byte, slash = found.groups()
    if character is not None:
        return chr(int(character, 16)).encode(errors="replace")
    return bytes([int(byte, 16)]) if byte is not None else bytes(slash)


def _normal(text: bytes) -> bytes:
    return unicodedata.normalize("NFC", text.decode(errors="replace")).lower().encode()


def _readable(email: str) -> str:
    """The e-mail with its domain as people write it."""
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return email
