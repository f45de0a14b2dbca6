"""Where a page of a list starts: an opaque text that names the last item of the page before, by its key (keyset)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from collector.web.api.access import Problem
from collector.web.api.parameters import MAX_INTEGER, Reader, reader_of


def cursor(*parts: int | str) -> str:
    """The text that names an item by its key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(text: str | None, shape: tuple[Any, ...], name: str = "start") -> tuple[Any, ...] | None:
    """What `cursor` was made from, None for the first page. `shape` are the parts' types: int, str or `EntityId`.

    Raises `Problem` naming the parameter `name`.
    """
    if text is None:
        return None
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
        parts = msgspec.json.decode(raw, type=list[int | str])
    except (binascii.Error, ValueError):
        parts = []
    if len(parts) != len(shape) or not all(map(_fits, parts, shape)):
        raise Problem(
            "invalid_parameter", name, f"{name} is not where an earlier reply said that the next page starts."
        )
    return tuple(parts)


def _fits(part: int | str, kind: Any) -> bool:
    if kind is int or type(part) is int:
        return kind is int and type(part) is int and abs(part) <= MAX_INTEGER
    reader: Reader = reader_of(kind)
    return bool(reader.read(str(part)) == part)
