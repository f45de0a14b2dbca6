"""Ids as they arrive: any well-formed UUID except the nil one, made canonical."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

ID_LENGTH = 36

_NIL = "00000000-0000-0000-0000-000000000000"
_SHAPE = _NIL.encode()
_SHAPES = bytes(48 if byte in b"0123456789abcdef" else byte if byte in b"-," else 33 for byte in range(256))
_is_canonical = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII).fullmatch


def is_canonical_id(text: str) -> bool:
    """Whether `text` is a UUID in lower case, and not the nil one."""
    return _is_canonical(text) is not None and text != _NIL


def are_canonical_ids(texts: Sequence[str]) -> bool:
    """`is_canonical_id` of all `texts`, in one look."""
    shapes = ",".join(texts).encode().translate(_SHAPES)
    return shapes == b",".join([_SHAPE] * len(texts)) and _NIL not in texts


def parse_id(value: object) -> str | None:
    """`value` as canonical lower-case UUID text, None if it is no UUID. Nil is none: it is what a bug sends."""
    if type(value) is not str:
        return None
    if is_canonical_id(value):
        return value
    lowered = value.lower()
    return lowered if is_canonical_id(lowered) else None


Ids = tuple[str | None, str | None, str | None] | Literal["uid", "visit", "page"]


@lru_cache(8192)
def parse_ids(uid: str | None, visit: str | None, page: str | None) -> Ids:
    """All three made canonical, or the name of the first that is no id; None stays None.

    A UID must be of version 7, because recognition reads its time of birth from it. Cached, because a browser sends
    the same three with every event of a page.
    """
    canonical_uid = parse_id(uid)
    if uid is not None and (canonical_uid is None or not is_version_7(canonical_uid)):
        return "uid"
    canonical_visit, canonical_page = parse_id(visit), parse_id(page)
    if visit is not None and canonical_visit is None:
        return "visit"
    if page is not None and canonical_page is None:
        return "page"
    return canonical_uid, canonical_visit, canonical_page


def is_version_7(canonical: str) -> bool:
    """Whether a canonical UUID is of the version that begins with its time of birth."""
    return canonical[14] == "7"
