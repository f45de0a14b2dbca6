"""Events as the SDK sends them, for tests to bend."""

from __future__ import annotations

import itertools
import json
from typing import Any

NOW = 1_795_329_172_000
_numbers = itertools.count(1)


def uuid7(number: int, at: int = NOW) -> str:
    """A UUIDv7 born at `at`."""
    head = f"{at:012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-{number:012x}"


UID, VISIT, PAGE, DEVICE = uuid7(1), uuid7(2), uuid7(3), uuid7(4)


def event(**changes: Any) -> dict[str, Any]:
    """A plain event of its own id; a change to None leaves the field out."""
    fields = {
        "event_id": uuid7(1_000 + next(_numbers)),
        "category": "product",
        "action": "view",
        "uid": UID,
        "uid_origin": "first",
        "visit": VISIT,
        "page": PAGE,
        "seq": 7,
        "at": NOW - 1_000,
        "url": "https://shop.example/p?a=1",
        "title": "Schöne Schuhe",
        "dims": {"product": {"price": 49.9}},
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def user(action: str, customers: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An event of category user."""
    dims = None if customers is None else {"customers": customers}
    return event(category="user", action=action, dims=dims, **changes)


def batch(*events: Any, **changes: Any) -> bytes:
    """A request body as a browser writes it."""
    return json.dumps({"sent_at": NOW, "device": DEVICE, "events": list(events)} | changes).encode()
