"""The keys of a site: the write key is public; of secret keys only hashes are kept, each with what it opens.

A plain hash will do for the latter: a key has 256 random bits, so there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

WRITE_KEY_BYTES = 12
SECRET_KEY_BYTES = 32
SECRET_KEY_PREFIX = "rsk_"  # noqa: S105 - lets scanners of source code recognise a key that was committed
DEFAULT_KEY = "default"  # the name of the key that a site begins with
MAX_NAME = 100  # characters of a key's name


class Scope(StrEnum):
    """What a secret key opens."""

    HISTORY_READ = "history:read"
    EVENTS_WRITE = "events:write"
    PII_READ = "pii:read"
    PROFILES_READ = "profiles:read"
    PROFILES_WRITE = "profiles:write"
    PROFILES_ERASE = "profiles:erase"
    QUARANTINE = "quarantine"
    INTERACTIONS = "interactions"
    ADMIN = "admin"


SCOPE_TEXT = {
    Scope.HISTORY_READ: "read visits, pages, events, sessions and identities",
    Scope.EVENTS_WRITE: "add events from a server",
    Scope.PII_READ: "see personal data in full; without it replies are masked",
    Scope.PROFILES_READ: "read profiles, why they are one person, and the journal of merges",
    Scope.PROFILES_WRITE: "identify visitors, undo merges, lift what keeps two apart",
    Scope.PROFILES_ERASE: "erase people",
    Scope.QUARANTINE: "read, replay and drop what was refused",
    Scope.INTERACTIONS: "record conversations and whom they are with",
    Scope.ADMIN: "everything but `pii:read`, and keys themselves",
}
FULL = frozenset({Scope.ADMIN, Scope.PII_READ})  # of the key that a site begins with


@dataclass(frozen=True, slots=True)
class Key:
    """A secret key of a site, known by the hash of its secret. One that was revoked opens nothing."""

    site_id: int
    key_id: str
    name: str
    secret_hash: bytes
    scopes: frozenset[Scope]
    created_at: int
    revoked_at: int | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it opens everything but personal data, and makes and revokes keys."""
        return Scope.ADMIN in self.scopes

    def opens(self, scope: Scope) -> bool:
        """Whether `scope` is among what the key was given; `admin` implies every other but `pii:read`."""
        return scope in self.scopes or (self.is_admin and scope is not Scope.PII_READ)


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names. Raises `ValueError` saying which there are."""
    try:
        return frozenset(Scope(name) for name in names)
    except ValueError:
        raise ValueError(f"scopes are {', '.join(Scope)}") from None


def sorted_scopes(scopes: Iterable[Scope]) -> list[Scope]:
    """The scopes in the order in which they are declared, as they are stored and shown."""
    chosen = frozenset(scopes)
    return [scope for scope in Scope if scope in chosen]


def key_document(key: Key) -> dict[str, object]:
    """The key as JSON, without its hash."""
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": [str(scope) for scope in sorted_scopes(key.scopes)],
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def write_key_of(random: bytes) -> str:
    """The write key made of WRITE_KEY_BYTES random bytes; letters and digits alone, it goes into URLs."""
    return random.hex()


def secret_key_of(random: bytes) -> str:
    """The secret key made of SECRET_KEY_BYTES random bytes."""
    return SECRET_KEY_PREFIX + random.hex()


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def find_opened(keys: Iterable[Key], secret: str) -> Key | None:
    """The key whose secret this is. All are compared in full, so that the time taken tells nothing."""
    hashed = hash_secret(secret)
    opened = [key for key in keys if hmac.compare_digest(key.secret_hash, hashed)]
    return opened[0] if opened else None
