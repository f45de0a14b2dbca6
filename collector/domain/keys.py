"""The two keys of a site: the write key is public, of the secret key only a hash is kept.

A plain hash will do for the latter: the key has 256 random bits, so there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac

from collector.domain.site import Site

WRITE_KEY_BYTES = 12
SECRET_KEY_BYTES = 32
SECRET_KEY_PREFIX = "rsk_"  # noqa: S105 - lets scanners of source code recognise a key that was committed


def write_key_of(random: bytes) -> str:
    """The write key made of WRITE_KEY_BYTES random bytes; letters and digits alone, it goes into URLs."""
    return random.hex()


def secret_key_of(random: bytes) -> str:
    """The secret key made of SECRET_KEY_BYTES random bytes."""
    return SECRET_KEY_PREFIX + random.hex()


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def is_secret_of(site: Site, secret: str) -> bool:
    """Whether `secret` is the site's secret key; takes as long for a wrong one."""
    return hmac.compare_digest(site.secret_hash, hash_secret(secret))
