"""Identity tokens (T1): where an event carries one, and what it says.

A token is a JWT signed with HS256. It travels as `identity_token` in `dims.customers` (where the traits of `identify`
are) or in `extra`, and is taken out of the event before anything of that is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from collector.domain.event import Event
from collector.domain.identity_token import Vouched

NAME = "identity_token"
MAX_LENGTH = 4096
ALGORITHM = "HS256"

_probe = NAME.encode()
# Time is judged by whoever knows what time it is; an audience or issuer is the site's own business.
_OPTIONS: Any = {
    "require": ["exp", "sub", "uid"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}


def may_carry_token(data: bytes) -> bool:
    """Whether a request may have a token in it; False is certain, for a name written with escapes is another name."""
    return _probe in data


def take_token(raw: Any) -> tuple[Any, object]:
    """(the event without its token, the token). The token is whatever was sent in its place, None if nothing was."""
    if type(raw) is not dict:
        return raw, None
    dims: Any = raw.get("dims")
    extra: Any = raw.get("extra")
    customers = dims.get("customers") if type(dims) is dict else None
    token: object = None
    if type(extra) is dict and NAME in extra:
        token = extra[NAME]
        raw = raw | {"extra": _without(extra)}
    if type(customers) is dict and NAME in customers:
        token = customers[NAME] or token
        raw = raw | {"dims": {**dims, "customers": _without(customers)}}
    return raw, token


def _without(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != NAME}


def attach_token(event: Event, token: object) -> Event:
    """The event with its token beside what it asserts, where it asserts something. Empty is the same as absent."""
    if not token or event.assertion is None or event.assertion.hint:
        return event
    # Whatever is no text is no token either, and is told so like any other.
    text = token if isinstance(token, str) else "?"
    return replace(event, assertion=replace(event.assertion, token=text))


def read_token(token: str, secrets: Iterable[str]) -> Vouched | None:
    """What a token says that one of `secrets` has signed, else None. Whether it has expired is not looked at.

    There are so few secrets that all are tried: a `kid` in the token's header is welcome, and nothing depends on it.
    """
    import jwt  # noqa: PLC0415 - a twentieth of the time to start, which sites without tokens need not spend

    if len(token) > MAX_LENGTH:
        return None
    for secret in secrets:
        try:
            return _vouched(jwt.decode(token, secret, algorithms=[ALGORITHM], options=_OPTIONS))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
    return None


def _vouched(claims: Mapping[str, Any]) -> Vouched | None:
    """The claims, None where one has the wrong type."""
    cid, uid, email = claims["sub"], claims["uid"], claims.get("email")
    expires_at, begins_at = claims["exp"], claims.get("nbf") or 0
    if type(cid) is not str or type(uid) is not str or type(email) not in (str, type(None)):
        return None
    if type(expires_at) not in (int, float) or type(begins_at) not in (int, float):
        return None
    return Vouched(cid, uid, email or None, expires_at * 1000, begins_at * 1000)
