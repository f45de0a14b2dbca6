"""T1: what a signed identity token proves, and the keys that sign it.

The token itself, a JWT, is read in `wire.identity_token`. Keys are derived, not stored: whoever holds the secret of the
installation can make every one of them again, and whoever holds only the database can make none.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from msgspec.structs import replace

from collector.domain.event import Assertion, Trust
from collector.domain.identifiers import clean_cid, clean_email
from collector.domain.site import Site

SECRET_PREFIX = "rts_"  # noqa: S105 - lets scanners of source code recognise a key that was committed
VALID_KEYS = 2  # the last one made, and the one before, so that a site can change over without a gap


class Vouched(NamedTuple):
    """What the site's server says in a token of good signature. Times are ms UTC, `email` is optional."""

    cid: str
    uid: str
    email: str | None
    expires_at: float
    begins_at: float = 0


def token_secret(installation_secret: str, site: Site, number: int) -> str:
    """Key `number` (from 1 on) of a site, as its server is told: text, whose bytes are the key of the HMAC."""
    key = _key_of(installation_secret)
    said = f"{site.write_key}.{number}".encode()
    return SECRET_PREFIX + hashlib.blake2b(said, key=key, digest_size=32).hexdigest()


def mark_of(installation_secret: str) -> str:
    """What tells one secret from another and gives nothing of it away."""
    return hashlib.blake2b(b"mark", key=_key_of(installation_secret), digest_size=8).hexdigest()


def _key_of(installation_secret: str) -> bytes:
    return hashlib.blake2b(installation_secret.encode(), person=b"regulars tokens").digest()


def valid_key_numbers(site: Site) -> range:
    """The numbers of the keys that count, none before the first was made."""
    return range(max(site.token_keys - VALID_KEYS, 0) + 1, site.token_keys + 1)


def confirm(assertion: Assertion, uid: str | None, vouched: Vouched) -> Assertion | None:
    """The assertion with trust T1, None where the token vouches for something else than the event says.

    CID and UID must be the same. An e-mail of the event must be the token's; one that only the token names is asserted.
    """
    cid = clean_cid(assertion.cid) if assertion.cid is not None else None
    if cid is None or cid != clean_cid(vouched.cid) or uid is None or uid != vouched.uid.lower():
        return None
    email = assertion.email
    if email is None:
        email = vouched.email
    elif vouched.email is None or not _is_same_address(email, vouched.email):
        return None
    return replace(assertion, email=email, trust=Trust.SIGNED_TOKEN)


def _is_same_address(a: str, b: str) -> bool:
    cleaned = clean_email(a)
    return cleaned is not None and cleaned == clean_email(b)
