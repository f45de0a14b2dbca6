"""JSON text that is legal for a browser to send but cannot be stored as it is.

Lone surrogates (legal output of JSON.stringify, refused by orjson), NUL and other C0 controls (refused by PostgreSQL)
become U+FFFD; integers that a double cannot hold become exact decimal text. Anything else comes through unchanged.
Cheap probes over the raw bytes decide whether there is anything to do at all; there hardly ever is.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from collector.wire.sent import MAX_SAFE_INTEGER

_DIGITS_TO_ZERO = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_SIXTEEN_DIGITS = b"0" * 16  # 2^53 has as many
_maybe_big_integer = re.compile(rb"[:,\[\s]-?[0-9]{16}").search
_maybe_control = re.compile(rb"\\(?:u00[01]|[bf])").search
_string_or_number = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?', re.DOTALL)
_escape = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_REPLACED = {code: "\ufffd" for code in range(32) if chr(code) not in "\t\n\r"}


def load(data: bytes) -> tuple[Any, Any, bool] | None:
    """(value, value before integers were quoted, may it hold controls?), or None if `data` is not strict JSON.

    The first two are the same object unless there was an integer to quote; comparing them part by part tells which
    event it was in.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        data = _escape.sub(_mark_lone_surrogate, data)
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
    suspect = b"\\" in data and _maybe_control(data) is not None
    if _SIXTEEN_DIGITS in data.translate(_DIGITS_TO_ZERO) and _maybe_big_integer(data):
        return orjson.loads(_string_or_number.sub(_quote_big_integer, data)), value, suspect
    return value, value, suspect


def _mark_lone_surrogate(match: re.Match[bytes]) -> bytes:
    # NUL, so that `clean` replaces it and the event is flagged like any other.
    return rb"\u0000" if match[1] else match[0]


def _quote_big_integer(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if len(token) < 16 or token[:1] == b'"' or not token.lstrip(b"-").isdigit():
        return token
    if len(token) < 18 and abs(int(token)) <= MAX_SAFE_INTEGER:
        return token
    return b'"' + token + b'"'


def clean(value: Any) -> Any:
    """`value` with U+FFFD for every C0 control except tab, line feed and carriage return, in keys too.

    Recursive: the depth of `value` must have been checked.
    """
    if type(value) is str:
        return value if value.isprintable() else value.translate(_REPLACED)
    if type(value) is dict:
        return {clean(key): clean(item) for key, item in value.items()}
    if type(value) is list:
        return [clean(item) for item in value]
    return value


def measure(value: Any, max_depth: int) -> tuple[int, int]:
    """(depth, number of keys) of a JSON value; a scalar has depth 0. Stops below `max_depth` + 1."""
    depth, keys, level = 0, 0, [value]
    while level and depth <= max_depth:
        below: list[Any] = []
        containers = 0
        for item in level:
            if type(item) is dict:
                containers += 1
                keys += len(item)
                below.extend(item.values())
            elif type(item) is list:
                containers += 1
                below.extend(item)
        depth += containers > 0
        level = below if containers else []
    return depth, keys


def prune(value: Any, depth: int) -> Any:
    """A copy whose containers below `depth` are null: what can still be written down of a value nested too deep."""
    if type(value) is dict:
        return {key: prune(item, depth - 1) for key, item in value.items()} if depth else None
    if type(value) is list:
        return [prune(item, depth - 1) for item in value] if depth else None
    return value
