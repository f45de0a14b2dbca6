"""How fast is too fast: requests per write key, address and device, and how often a visitor may say who they are.

Written by hand because a hit of the `limits` library costs 4 microseconds and a request makes three; one of these
costs a quarter of one.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

GENERATION = 50_000  # keys remembered before the older half is forgotten


class Pace:
    """At most `per_second` on average for each key, with bursts of `burst_s` seconds' worth; 0 allows anything.

    Keeps one number for each key: when it will have paid for what it took (the generic cell rate algorithm).
    """

    __slots__ = ("_burst_s", "_due", "_interval_s", "_older")

    def __init__(self, per_second: float, burst_s: float) -> None:
        self._interval_s = 1 / per_second if per_second else 0.0
        self._burst_s = burst_s
        self._due: dict[str | int, float] = {}
        self._older: dict[str | int, float] = {}

    def take(self, key: str | int, now_s: float) -> float:
        """Take one. 0 if it was there, else the seconds until it will be, and nothing is taken."""
        interval_s = self._interval_s
        if not interval_s:
            return 0.0
        due = self._due.get(key) or self._older.get(key, 0.0)
        due = (due if due > now_s else now_s) + interval_s
        wait_s = due - now_s - self._burst_s
        if wait_s > 0:
            return wait_s
        self._due[key] = due
        if len(self._due) > GENERATION:
            self._older, self._due = self._due, {}
        return 0.0


class Limits:
    """The paces of one collector. Rates per second, those of identifying per minute."""

    __slots__ = ("_address", "_device", "_identify_address", "_identify_device", "_key")

    def __init__(
        self,
        per_key: float = 0,
        per_address: float = 0,
        per_device: float = 0,
        identify_per_address: float = 0,
        identify_per_device: float = 0,
    ) -> None:
        self._key = Pace(per_key, 10)
        self._address = Pace(per_address, 10)
        self._device = Pace(per_device, 10)
        self._identify_address = Pace(identify_per_address / 60, 60)
        self._identify_device = Pace(identify_per_device / 60, 60)

    def take_request(self, site_id: int, address: str, device_id: str | None, now_s: float) -> float:
        """0 to go on, else how many seconds to wait before another request of this kind."""
        wait_s = self._address.take(address, now_s)
        if not wait_s and device_id is not None:
            wait_s = self._device.take(device_id, now_s)
        return wait_s or self._key.take(site_id, now_s)

    def take_identify(self, address: str, device_id: str | None, now_s: float) -> bool:
        """Whether another assertion may count (R13)."""
        if self._identify_address.take(address, now_s):
            return False
        return device_id is None or not self._identify_device.take(device_id, now_s)


@lru_cache(8192)
def network_of(address: str) -> str:
    """What counts as one address: itself, or the /64 network of an IPv6 address, all of which one host may use."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.IPv6Network((parsed, 64), strict=False))
