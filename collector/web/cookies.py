"""The two cookies: `GlobalVisit` names the browser, `CurrentContact` the visitor's profile.

Both are signed over name, site and value, so that one site's cookie is void on another, and HttpOnly, so that no script
of a page can read them. They live 395 days and carry the day of issue, to be renewed on visits of later days.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import NamedTuple

from collector.wire.ids import parse_id

GLOBAL_VISIT = "GlobalVisit"
CURRENT_CONTACT = "CurrentContact"
MAX_AGE_DAYS = 395
DAY_MS = 86_400_000
REMEMBERED = 4096  # headers that were read, about 3 MB: a browser sends the same one again and again


class Carried(NamedTuple):
    """A valid cookie: its value and the day of issue. `is_renamed`: it came under a name that is no longer in use."""

    value: str
    issued_on: int
    is_renamed: bool = False

    def is_stale(self, now: int) -> bool:
        """Whether it is time for a new one."""
        return self.is_renamed or now // DAY_MS > self.issued_on


class Carry(NamedTuple):
    """What a browser brought. `forged` is how many cookies had a signature that is not ours."""

    device: Carried | None = None
    contact: Carried | None = None
    forged: int = 0


NOTHING = Carry()


class CookieJar:
    """Reads and writes both cookies. `is_secure` is whether browsers reach us by https."""

    def __init__(self, secret: str, *, is_secure: bool, crosses_sites: bool = False, has_host_prefix: bool = False):
        self._key = hashlib.blake2b(secret.encode(), person=b"regulars cookies").digest()
        self._prefix = "__Host-" if has_host_prefix else ""
        same_site = "SameSite=None; Secure; Partitioned" if crosses_sites else "SameSite=Lax"
        secure = "; Secure" if is_secure and not crosses_sites else ""
        self._attributes = f"Path=/; HttpOnly; {same_site}{secure}"
        self._read = lru_cache(REMEMBERED)(self._read_afresh)

    def read(self, header: str, site_id: int, now: int, *, suffixed: bool) -> Carry:
        """Both cookies of a Cookie header; absent, expired and forged ones are None, and the last are told by number.

        `suffixed` is whether the host serves several sites. A name from before that changed is read too, so that a
        second site costs the first one none of its visitors.
        """
        return self._read(header, site_id, now // DAY_MS, suffixed)

    def _read_afresh(self, header: str, site_id: int, today: int, suffixed: bool) -> Carry:
        device, forged = self._find(header, GLOBAL_VISIT, site_id, today, suffixed)
        contact, forged_too = self._find(header, CURRENT_CONTACT, site_id, today, suffixed)
        return Carry(device, contact, forged + forged_too)

    def _find(self, header: str, name: str, site_id: int, today: int, suffixed: bool) -> tuple[Carried | None, int]:
        """(the cookie, how many were forged)."""
        forged = 0
        for is_suffixed in (suffixed, not suffixed):
            text = find_cookie(header, self._name(name, site_id, is_suffixed))
            found = self._verify(name, site_id, text) if text else None
            if found is not None:
                value, issued_on = found
                is_live = -1 <= today - issued_on <= MAX_AGE_DAYS
                return (Carried(value, issued_on, is_suffixed != suffixed) if is_live else None), forged
            # Under the other name another site's cookie may rightly be found, so only this one says forgery.
            forged += bool(text) and is_suffixed == suffixed
        return None, forged

    def write(self, name: str, site_id: int, value: str, now: int, *, suffixed: bool) -> str:
        """A Set-Cookie header that makes `value` the cookie."""
        day = now // DAY_MS
        pair = f"{self._name(name, site_id, suffixed)}={value}.{day}.{self._sign(name, site_id, value, day)}"
        return f"{pair}; Max-Age={MAX_AGE_DAYS * 86_400}; {self._attributes}"

    def expire(self, name: str, site_id: int) -> list[str]:
        """Set-Cookie headers that delete the cookie under either of its names."""
        names = (self._name(name, site_id, suffixed) for suffixed in (False, True))
        return [f"{full}=; Max-Age=0; {self._attributes}" for full in names]

    def _name(self, name: str, site_id: int, suffixed: bool) -> str:
        return f"{self._prefix}{name}_{site_id}" if suffixed else self._prefix + name

    def _verify(self, name: str, site_id: int, text: str) -> tuple[str, int] | None:
        """(value, day of issue) if the signature is ours."""
        value, _, rest = text.partition(".")
        day, _, signature = rest.partition(".")
        if not text.isascii() or not (day.isdigit() and len(day) <= 6) or parse_id(value) != value:
            return None
        if not hmac.compare_digest(self._sign(name, site_id, value, day), signature):
            return None
        return value, int(day)

    def _sign(self, name: str, site_id: int, value: str, day: int | str) -> str:
        """A MAC (keyed BLAKE2): a third of what an HMAC of SHA-256 takes, and each newcomer needs two."""
        said = f"{name}.{site_id}.{value}.{day}".encode()
        return base64.urlsafe_b64encode(hashlib.blake2b(said, key=self._key, digest_size=24).digest()).decode()


def find_cookie(header: str, name: str) -> str:
    """The value of the first cookie called `name` in a Cookie header, "" if there is none."""
    wanted = name + "="
    start = header.find(wanted)
    while start > 0 and header[start - 1] not in "; ":
        start = header.find(wanted, start + 1)
    if start < 0:
        return ""
    return header[start + len(wanted) :].partition(";")[0].strip(' "')
