"""Who has an account. Kept in memory for one run; of a password only a salted scrypt hash is kept."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace

SHORTEST_PASSWORD = 8


@dataclass(frozen=True, slots=True)
class Account:
    """A customer of the shop. The e-mail is trimmed and lower-case, so that its hash is the same everywhere."""

    email: str
    name: str
    salt: bytes
    password_hash: bytes
    town: str = ""


class Accounts:
    """All accounts of this run, by e-mail."""

    def __init__(self) -> None:
        self._by_email: dict[str, Account] = {}

    def find(self, email: str | None) -> Account | None:
        """The account with this e-mail, or None."""
        return self._by_email.get(normalise_email(email)) if email else None

    async def open(self, email: str, name: str, password: str) -> Account | None:
        """A new account, or None when the e-mail has one already."""
        salt = secrets.token_bytes(16)
        password_hash = await _hash(password, salt)
        account = Account(normalise_email(email), name.strip(), salt, password_hash)
        if account.email in self._by_email:
            return None
        self._by_email[account.email] = account
        return account

    async def check(self, email: str, password: str) -> Account | None:
        """The account when the password is right. An unknown e-mail takes as long as a wrong password."""
        account = self.find(email)
        attempt = await _hash(password, account.salt if account else bytes(16))
        right = account is not None and hmac.compare_digest(attempt, account.password_hash)
        return account if right else None

    def describe(self, account: Account, name: str, town: str) -> Account:
        """The account with other details; the e-mail never changes."""
        changed = replace(account, name=name.strip(), town=town.strip())
        self._by_email[account.email] = changed
        return changed


def normalise_email(text: str) -> str:
    """Trimmed and lower-case: what the shop stores and what it hashes for Regulars."""
    return text.strip().lower()


def looks_like_email(text: str) -> bool:
    """Good enough for a form: one @ with something on both sides, no white space, at most 254 characters."""
    local, at, domain = text.strip().partition("@")
    return (
        bool(at and local and domain and "@" not in domain) and len(text) <= 254 and not any(map(str.isspace, domain))
    )


async def _hash(password: str, salt: bytes) -> bytes:
    """Scrypt takes tens of milliseconds, so it runs in a thread."""
    return await asyncio.to_thread(hashlib.scrypt, password.encode(), salt=salt, n=2**14, r=8, p=1)
