"""Parameters of a request, as the types of an endpoint declare them.

A query is a msgspec Struct, a parameter of the path has a type. Whatever is unknown, repeated, mistyped or out of its
limits is answered with 400 and the name of the parameter, so that a slip reaches nothing; values are never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, inspect

from collector.web.api.access import Problem
from collector.wire.ids import parse_id
from collector.wire.text import clean

Q = TypeVar("Q", bound=msgspec.Struct)

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_INTEGER = 2**63 - 1  # what a column holds

_is_integer = re.compile("-?[0-9]{1,19}", re.ASCII).fullmatch

# `read` makes the value of the text, None where it is none; `wanted` says what it should have been.
EntityId = Annotated[
    str,
    Meta(extra={"read": parse_id, "wanted": "a UUID"}, extra_json_schema={"format": "uuid", "description": "A UUID."}),
]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many items a page may have.")]
Start = Annotated[str, Meta(description="The `next` of the page before; without it the list begins.")]
Moment = Annotated[int, Meta(ge=0, le=10**15 - 1, description="Milliseconds since 1970 UTC.")]
Number = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class NoQuery(msgspec.Struct, frozen=True):
    """No parameter at all."""


class DryRun(msgspec.Struct, frozen=True):
    """Whether to change nothing and only say what would happen."""

    dry_run: bool = False


class Page(msgspec.Struct, frozen=True):
    """Which part of a list."""

    limit: Limit = DEFAULT_LIMIT
    start: Start | None = None


class Reader(NamedTuple):
    """How the text of one parameter is read: its value, or None if it is not what is `wanted`."""

    read: Callable[[str], Any]
    wanted: str


def read_query(request: web.Request, kind: type[Q]) -> Q:
    """The query of a request. Raises `Problem`."""
    readers = _readers_of(kind)
    values = {}
    for name, text in request.query.items():
        if name not in readers or name in values:
            # The name is what was sent, and is repeated only where it is one of ours.
            listed = ", ".join(readers) or "none"
            field = name if name in readers else None
            raise Problem("invalid_parameter", field, f"The parameters of this address are: {listed}; each once.")
        values[name] = _read(name, text, readers[name])
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        missing = next(
            f.encode_name for f in msgspec.structs.fields(kind) if f.required and f.encode_name not in values
        )
        raise Problem("invalid_parameter", missing, f"{missing} is missing.") from error


def read_path(request: web.Request, types: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the path; those without a type are text. Raises `Problem`."""
    return {name: _read(name, text, reader_of(types.get(name, str))) for name, text in request.match_info.items()}


def _read(name: str, text: str, reader: Reader) -> Any:
    value = reader.read(text)
    if value is None:
        raise Problem("invalid_parameter", name, f"{name} is not {reader.wanted}.")
    return value


@cache
def _readers_of(kind: type[msgspec.Struct]) -> dict[str, Reader]:
    return {field.encode_name: reader_of(field.type) for field in msgspec.structs.fields(kind)}


@cache
def reader_of(annotation: Any) -> Reader:
    """How a parameter of this type is read: text, a whole number, true or false, one of some words, each or None."""
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    extra: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata):
        extra |= kind.extra or {}
        kind = kind.type
    if "read" in extra:
        return Reader(extra["read"], extra["wanted"])
    if isinstance(kind, inspect.BoolType):
        return Reader({"true": True, "false": False}.get, "true or false")
    if isinstance(kind, inspect.LiteralType):
        return Reader({str(value): value for value in kind.values}.get, f"one of {', '.join(map(str, kind.values))}")
    if isinstance(kind, inspect.IntType):
        least, most = kind.ge if kind.ge is not None else -MAX_INTEGER, kind.le if kind.le is not None else MAX_INTEGER
        return Reader(lambda text: _read_integer(text, least, most), f"a whole number from {least} to {most}")
    assert isinstance(kind, inspect.StrType), f"{annotation} cannot be read from a URL"
    return Reader(lambda text: _read_text(text, annotation), "text that can be stored, or is too long")


def _read_integer(text: str, least: int, most: int) -> int | None:
    number = int(text) if _is_integer(text) else None
    return number if number is not None and least <= number <= most else None


def _read_text(text: str, annotation: Any) -> str | None:
    """Text as it is, unless the database could not hold it or the type sets other bounds."""
    try:
        text.encode()
        return str(msgspec.convert(text, annotation)) if text == clean(text) else None
    except (UnicodeEncodeError, msgspec.ValidationError):
        return None
