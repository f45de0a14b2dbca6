"""What is kept of a refused event or request, and the words for what became of it when it was tried again."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from collector.domain.event import Trust

WHOLE_REQUEST = frozenset({"malformed_json"})  # codes under which a request is kept, and not one event
MAX_RAW_BYTES = 64 * 1024

ReplayStatus = Literal["stored", "duplicate", "suppressed", "quarantined", "unreadable"]


class Quarantined(Struct, frozen=True, gc=False):
    """One row: why it was refused, what came, and what of its request decides whose it is and when it occurred.

    `raw` is None where it was not asked for; `size` are its bytes. `tries` counts replays in vain.
    """

    quarantine_id: int
    received_at: int
    code: str
    field: str
    event_id: str | None
    sent_at: int | None
    device_id: str | None
    contact_id: str | None
    trust: Trust
    bot: bool
    tries: int
    size: int
    raw: bytes | None = None


class Replayed(Struct, frozen=True, gc=False):
    """What became of one row. While `status` is quarantined or unreadable the row stays; otherwise it is gone.

    An event is stored, duplicate, suppressed or quarantined again. A request becomes its events: `counts` says how
    many were stored, duplicate, suppressed and quarantined each. Unreadable: what was kept is no JSON.
    """

    quarantine_id: int
    status: ReplayStatus
    code: str = ""
    field: str = ""
    counts: tuple[tuple[str, int], ...] = ()


def quarantined_document(kept: Quarantined) -> dict[str, Any]:
    """One row as JSON. Bytes that are no UTF-8 are shown as U+FFFD; `exact` says whether there were none."""
    document = {
        "id": kept.quarantine_id,
        "received_at": kept.received_at,
        "code": kept.code,
        "field": kept.field,
        "event_id": kept.event_id,
        "whole_request": is_whole_request(kept.code),
        "size": kept.size,
        "truncated": kept.size >= MAX_RAW_BYTES,
        "tries": kept.tries,
    }
    if kept.raw is None:
        return document
    text = kept.raw.decode(errors="replace")
    return {**document, "raw": text, "exact": text.encode() == kept.raw, "sent_at": kept.sent_at, "bot": kept.bot}


def replayed_document(replayed: Replayed) -> dict[str, Any]:
    """What became of one row, as JSON."""
    document: dict[str, Any] = {
        "id": replayed.quarantine_id,
        "status": replayed.status,
        "code": replayed.code,
        "field": replayed.field,
    }
    return {**document, "events": dict(replayed.counts)} if replayed.counts else document


def is_whole_request(code: str) -> bool:
    """Whether what was refused with `code` is a request, and not one event of it."""
    return code in WHOLE_REQUEST
