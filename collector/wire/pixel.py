"""One event in the query string of an image, for pages without scripts and for e-mails.

`c` category, `a` action, `uid`, `visit`, `page`, `url`, `title`, `referrer`, `e` (the visitor's e-mail) and `d.NAME`
for dims. Everything is optional: without `c` and `a` it is a page view. Unknown names are ignored, so that a mailing
tool may add its own. The server mints the event's id and the time is that of arrival: a pixel is never retried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from collector.domain.event import Event
from collector.wire.batch import Batch
from collector.wire.clock import Clock
from collector.wire.native import parse_event, reject
from collector.wire.text import clean

_lone_surrogate = re.compile("[\ud800-\udfff]")
_NAMES = {"c": "category", "a": "action", "e": "email"} | {
    name: name for name in ("uid", "visit", "page", "url", "title", "referrer")
}


def parse_pixel(query: Mapping[str, str], received_at: int, event_id: str, purchases_assert: bool = False) -> Batch:
    """The query string, already decoded, into a batch of one event or one rejection."""
    raw: dict[str, Any] = {"category": "page", "action": "view"}
    raw |= {_NAMES[key]: _storable(value) for key, value in query.items() if key in _NAMES and value}
    dims = {_storable(key[2:]): _storable(value) for key, value in query.items() if key[:2] == "d." and key[2:]}
    if dims:
        raw["dims"] = dims
    raw |= {"event_id": event_id, "at": received_at}
    clock = Clock(received_at, received_at, 0, received_at, received_at, ())
    result = parse_event(raw, clock, purchases_assert)
    if type(result) is Event:
        return Batch((result,), (0,), (), None, received_at, 1)
    code, field = result  # type: ignore[misc]
    return Batch((), (), (reject(0, raw, code, field),), None, received_at, 1)


def _storable(text: str) -> str:
    cleaned: str = clean(_lone_surrogate.sub("\ufffd", text))  # what bytes that are not UTF-8 arrive as
    return cleaned
