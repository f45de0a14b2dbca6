"""The body of a request to the API: JSON of a declared type, checked as strictly as an event."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from collector.web.admission import check_form, read_payload
from collector.web.api.access import Problem
from collector.web.edge import EDGE
from collector.wire.native import MAX_DEPTH, MAX_EVENT_BYTES, MAX_KEYS
from collector.wire.text import clean, load, measure, quote_big_integers

B = TypeVar("B", bound=msgspec.Struct)

AnyBody = msgspec.Raw | None  # the bytes as they came, None for a request without a body


async def read_body(request: web.Request, kind: Any) -> Any:
    """The body as an instance of the Struct `kind`; for `AnyBody` its bytes. Raises `Problem` and `Refusal`."""
    if kind is None or (kind is AnyBody and not request.can_read_body):
        return None
    check_form(request)
    data = await read_payload(request.app[EDGE], request)
    return (data or None) if kind is AnyBody else parse_body(data, kind)


def parse_body(data: bytes, kind: type[B]) -> B:
    """A JSON object as `kind`. Raises `Problem` naming the member at fault, if it is one of ours.

    Characters that cannot be stored are replaced, integers that a double cannot hold become text, as in events.
    """
    loaded = load(data)
    if loaded is None or type(loaded[0]) is not dict:
        raise Problem("malformed_json")
    value = loaded[0]
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    depth, keys = measure(value, MAX_DEPTH)
    if depth > MAX_DEPTH or keys > MAX_KEYS or len(data) > MAX_EVENT_BYTES:
        limits = f"more than {MAX_KEYS} keys, {MAX_DEPTH} levels or {MAX_EVENT_BYTES} bytes"
        raise Problem("invalid_parameter", _largest(value, names), f"There are {limits}.")
    try:
        return msgspec.convert(quote_big_integers(clean(value)), kind)
    except msgspec.ValidationError as error:
        field = next((name for name in names if f"$.{name}" in str(error) or f"`{name}`" in str(error)), None)
        if field is None:
            raise Problem("invalid_parameter", message=f"Only {', '.join(names)} are known.") from error
        wrong = "is missing" if "missing" in str(error) else "has the wrong type"
        raise Problem("invalid_parameter", field, f"{field} {wrong}.") from error


def _largest(value: dict[str, Any], names: list[str]) -> str | None:
    known = [name for name in value if name in names]
    return max(known, key=lambda name: len(repr(value[name])), default=None)
