"""The two cookies: `GlobalVisit` names the browser, `CurrentContact` the visitor's profile.

Both are signed over name, site and value, so that one site's cookie is void on another, and HttpOnly, so that no script
of a page can read them. They live 395 days and carry the day of issue, to be renewed on visits of later days.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import Signer

from collector import metrics
from collector.wire.ids import parse_id

GLOBAL_VISIT = "GlobalVisit"
CURRENT_CONTACT = "CurrentContact"
MAX_AGE_DAYS = 395
DAY_MS = 86_400_000
REMEMBERED = 8192  # verified cookies, about 3 MB


@dataclass(frozen=True, slots=True)
class Carried:
    """What a valid cookie says. `is_stale` asks for a new one: an older day, or a name no longer in use."""

    value: str
    is_stale: bool


class CookieJar:
    """Reads and writes both cookies. `is_secure` is whether browsers reach us by https."""

    def __init__(self, secret: str, *, is_secure: bool, crosses_sites: bool = False, has_host_prefix: bool = False):
        key = Signer(secret, salt="regulars cookies", key_derivation="hmac", digest_method=hashlib.sha256).derive_key()
        self._signer = Signer(key, key_derivation="none", digest_method=hashlib.sha256)
        self._prefix = "__Host-" if has_host_prefix else ""
        same_site = "SameSite=None; Secure; Partitioned" if crosses_sites else "SameSite=Lax"
        secure = "; Secure" if is_secure and not crosses_sites else ""
        self._attributes = f"Path=/; HttpOnly; {same_site}{secure}"
        self._verify = lru_cache(REMEMBERED)(self._check)

    def read(self, header: str, name: str, site_id: int, now: int, *, suffixed: bool) -> Carried | None:
        """The value of cookie `name` in a Cookie header, None if absent, expired or not ours (which is counted).

        `suffixed` is whether the host serves several sites. A name from before that changed is read too, so that a
        second site costs the first one none of its visitors.
        """
        plain = self._prefix + name
        own = f"{plain}_{site_id}"
        text = find_cookie(header, own if suffixed else plain)
        found = self._verify(name, site_id, text) if text else None
        if text and found is None:
            metrics.COOKIES_FORGED.inc()
        is_stale = found is None
        if found is None:
            text = find_cookie(header, plain if suffixed else own)
            found = self._verify(name, site_id, text) if text else None
        if found is None:
            return None
        value, issued_on = found
        age_days = now // DAY_MS - issued_on
        return Carried(value, is_stale or age_days >= 1) if -1 <= age_days <= MAX_AGE_DAYS else None

    def write(self, name: str, site_id: int, value: str, now: int, *, suffixed: bool) -> str:
        """A Set-Cookie header that makes `value` the cookie."""
        day = now // DAY_MS
        signature = self._signer.get_signature(f"{name}.{site_id}.{value}.{day}").decode()
        return f"{self._name(name, site_id, suffixed)}={value}.{day}.{signature}; Max-Age={MAX_AGE_DAYS * 86_400}; " + (
            self._attributes
        )

    def expire(self, name: str, site_id: int) -> list[str]:
        """Set-Cookie headers that delete the cookie under either of its names."""
        names = (self._name(name, site_id, suffixed) for suffixed in (False, True))
        return [f"{full}=; Max-Age=0; {self._attributes}" for full in names]

    def _name(self, name: str, site_id: int, suffixed: bool) -> str:
        return f"{self._prefix}{name}_{site_id}" if suffixed else self._prefix + name

    def _check(self, name: str, site_id: int, text: str) -> tuple[str, int] | None:
        """(value, day of issue) if the signature is ours."""
        value, _, rest = text.partition(".")
        day, _, signature = rest.partition(".")
        if not text.isascii() or not (day.isdigit() and len(day) <= 6) or parse_id(value) != value:
            return None
        if not self._signer.verify_signature(f"{name}.{site_id}.{value}.{day}", signature):
            return None
        return value, int(day)


def find_cookie(header: str, name: str) -> str:
    """The value of the first cookie called `name` in a Cookie header, "" if there is none."""
    wanted = name + "="
    start = header.find(wanted)
    while start > 0 and header[start - 1] not in "; ":
        start = header.find(wanted, start + 1)
    if start < 0:
        return ""
    return header[start + len(wanted) :].partition(";")[0].strip(' "')
