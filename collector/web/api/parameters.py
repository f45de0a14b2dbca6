"""Parameters of a request: checked here, and whatever is wrong is answered with 400 and the parameter's name."""

from __future__ import annotations

import base64
import binascii
import re

from aiohttp import web

from collector.domain.identifiers import clean_cid, clean_email
from collector.web.api.access import Problem
from collector.wire.ids import parse_id

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_INTEGER = 2**63 - 1  # what a column holds
KINDS = ("cid", "email", "uid")

_is_number = re.compile(r"[0-9]{1,9}").fullmatch
_is_merge_id = re.compile(r"[0-9]{1,19}").fullmatch
_is_moment = re.compile(r"[0-9]{1,15}", re.ASCII).fullmatch
_is_cursor = re.compile(rb"-?[0-9]{1,19}(?:\.-?[0-9]{1,19})*").fullmatch


def read_profile_id(request: web.Request) -> str:
    """The profile of the path, canonical. Raises `Problem`."""
    profile_id = parse_id(request.match_info["profile_id"])
    if profile_id is None:
        raise Problem("invalid_parameter", "profile_id", "profile_id is not a UUID.")
    return profile_id


def read_identifier(request: web.Request) -> tuple[str, str]:
    """The one identifier of the query as (kind, value as it would be stored). Raises `Problem`."""
    given = [(kind, value) for kind in KINDS for value in request.query.getall(kind, [])]
    if len(given) != 1:
        raise Problem("invalid_parameter", given[1][0] if given else "cid", "Give exactly one of cid, email and uid.")
    kind, value = given[0]
    clean = {"cid": clean_cid, "email": clean_email, "uid": parse_id}[kind](value)
    if clean is None:
        wanted = {"cid": "a customer id that can be stored", "email": "an e-mail address", "uid": "a UUID"}[kind]
        raise Problem("invalid_parameter", kind, f"{kind} is not {wanted}.")
    return kind, clean


def read_merge_id(request: web.Request) -> int:
    """The merge of the path. Raises `Problem`."""
    text = request.match_info["merge_id"]
    if not _is_merge_id(text) or int(text) > MAX_INTEGER:
        raise Problem("invalid_parameter", "merge_id", "merge_id is not the number of a merge.")
    return int(text)


def read_dry_run(request: web.Request) -> bool:
    """Whether nothing is to be changed. Raises `Problem` for any other parameter, so that a slip changes nothing."""
    given = [name for name in request.query if name != "dry_run"]
    if given:
        raise Problem("invalid_parameter", given[0], f"This address takes no parameter {given[0]}; nothing was done.")
    texts = request.query.getall("dry_run", ["false"])
    if texts not in (["true"], ["false"]):
        raise Problem("invalid_parameter", "dry_run", "dry_run is neither true nor false; nothing was done.")
    return texts == ["true"]


def read_limit(request: web.Request) -> int:
    """How many items a page may have. Raises `Problem`."""
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not _is_number(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise Problem("invalid_parameter", "limit", f"limit is not a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def read_moment(request: web.Request, name: str) -> int | None:
    """A time of the query, ms UTC, None where it is not given. Raises `Problem`."""
    text = request.query.get(name)
    if text is None:
        return None
    if not _is_moment(text):
        raise Problem("invalid_parameter", name, f"{name} is not a time in milliseconds since 1970 UTC.")
    return int(text)


def refuse_others(request: web.Request, *known: str) -> None:
    """Where a mistyped filter would reach too much: refuse unknown and repeated parameters. Raises `Problem`."""
    for name in request.query:
        if name not in known or len(request.query.getall(name)) > 1:
            # The name is what was sent, and is repeated only where it is one of ours.
            field = name if name in known else None
            listed = ", ".join(known) or "none"
            raise Problem("invalid_parameter", field, f"The parameters of this address are: {listed}; each once.")


def read_start(request: web.Request, parts: int) -> tuple[int, ...] | None:
    """Where a page starts: what `cursor` was made from, None for the first page. Raises `Problem`."""
    text = request.query.get("start")
    if text is None:
        return None
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    numbers = tuple(int(part) for part in raw.split(b".")) if _is_cursor(raw) else ()
    if len(numbers) != parts or any(abs(number) > MAX_INTEGER for number in numbers):
        raise Problem("invalid_parameter", "start", "start is not the `next` of an earlier reply.")
    return numbers


def cursor(*numbers: int) -> str:
    """The opaque text that names the last item of a page."""
    return base64.urlsafe_b64encode(".".join(map(str, numbers)).encode()).decode().rstrip("=")
