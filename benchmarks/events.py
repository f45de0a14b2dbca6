"""The requests of `load.lua`, made in Python: for the open loop, for first visits and for the limit."""

from __future__ import annotations

import os
import time

import orjson

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def uuid7(ms: int) -> str:
    """A fresh UUIDv7 born at `ms`, as text."""
    random = bytearray(os.urandom(10))
    random[0] = random[0] & 0x0F | 0x70
    random[2] = random[2] & 0x3F | 0x80
    digits = f"{ms:012x}{random.hex()}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def make_event(origin: str, uid: str, visit: str, page: str, seq: int, ms: int) -> dict[str, object]:
    """One product view of about 560 bytes."""
    return {
        "event_id": uuid7(ms),
        "category": "product",
        "action": "view",
        "uid": uid,
        "uid_origin": "first",
        "visit": visit,
        "page": page,
        "seq": seq,
        "at": ms,
        "url": f"{origin}/products/watering-can?from=catalogue&position={seq % 60}",
        "dims": {"sku": "watering-can", "brand": "Field & Hearth", "list": "bestsellers"},
        "items": [
            {
                "id": "watering-can",
                "name": "Made by hand in ash and steel, with a cord",
                "price": 1490,
                "currency": "EUR",
                "quantity": 1,
            }
        ],
    }


def make_body(events: list[dict[str, object]], device: str, ms: int) -> bytes:
    """The body of one request."""
    return orjson.dumps({"sent_at": ms, "tz": 60, "sdk": "0.1.0", "device": device, "events": events})


def make_headers(origin: str, cookies: str) -> dict[str, str]:
    """The headers that a browser adds; `cookies` may be empty."""
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate, br",
        "Accept-Language": "en-GB,en;q=0.9",
        "Content-Type": "text/plain;charset=UTF-8",
        "Origin": origin,
        "Referer": f"{origin}/",
        "User-Agent": AGENT,
    }
    return headers | ({"Cookie": cookies} if cookies else {})
