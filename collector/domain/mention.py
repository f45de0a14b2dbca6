"""Whether a piece of text names a person: what erasure looks for in bytes that no key leads to (R16).

Rather one row too many than one too few: an e-mail or a UID counts wherever it stands. A customer id counts as a word
of its own, and one as short as "7" only where it is said to be an id.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from urllib.parse import unquote

_LONG = 8  # a customer id of this length is hardly anything else by chance
_escaped = re.compile(r"\\u([0-9a-f]{4})|\\(/)")

Mentions = Callable[[bytes], bool]


def mentions_of(uids: Iterable[str], identifiers: Iterable[tuple[str, str]]) -> Mentions:
    """A test for text that names one of `uids` or of `identifiers`, (kind, value) as stored, however it is written.

    In any case, escaped as in JSON or in a URL, and with the domain of an e-mail in punycode or not.
    """
    needles = set(uids)
    words: set[str] = set()
    for kind, value in identifiers:
        lowered = value.lower()
        if kind == "email":
            needles |= {lowered, _readable(lowered)}
        else:
            said = "" if len(value) >= _LONG else r"(?<=id)[\"'\\]*\s*[:=]\s*[\"'\\]*"
            words.add(rf"{said}(?<![^\W_]){re.escape(lowered)}(?![^\W_])")
    find_word = re.compile("|".join(sorted(words))).search if words else None

    def is_in(text: str) -> bool:
        return any(needle in text for needle in needles) or (find_word is not None and find_word(text) is not None)

    def mentions(raw: bytes) -> bool:
        text = unicodedata.normalize("NFC", raw.decode(errors="replace")).lower()
        if is_in(text):
            return True
        plain = _unescape(text)
        return plain != text and is_in(plain)

    return mentions


def _unescape(text: str) -> str:
    """`text` (lower case) without the escapes of JSON and of URLs."""
    if "\\" in text:
        text = _escaped.sub(lambda found: found[2] or chr(int(found[1], 16)).lower(), text)
    if "%" in text:
        text = unquote(text, errors="replace").lower()
    return text


def _readable(email: str) -> str:
    """The e-mail with its domain as people write it."""
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return email
