"""Ids as they arrive: any well-formed UUID except the nil one, made canonical."""

from __future__ import annotations

import re

_ID = r"(?!00000000-0000-0000-0000-000000000000)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID_7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"

is_canonical_id = re.compile(_ID).fullmatch
are_canonical_ids = re.compile(f"{_ID} {_ID_7} {_ID} {_ID}").fullmatch  # event, uid, visit and page in one go


def parse_id(value: object) -> str | None:
    """`value` as canonical lower-case UUID text, None if it is no UUID. Nil is none: it is what a bug sends."""
    if type(value) is not str:
        return None
    if is_canonical_id(value):
        return value
    lowered = value.lower()
    return lowered if is_canonical_id(lowered) else None


def is_version_7(canonical: str) -> bool:
    """Whether a canonical UUID is of the version that begins with its time of birth."""
    return canonical[14] == "7"
