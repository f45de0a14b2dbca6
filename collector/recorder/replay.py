"""A quarantined event goes the way of an event again: parsed, recorded, and gone from the quarantine, or back in it.

To be done after a bug was fixed, a limit raised or a setting corrected, or with what an operator corrected by hand.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, InterfaceError

from collector import metrics
from collector.domain.event import Arrival, Event, EventCode
from collector.domain.quarantine import Quarantined, Replayed, ReplayStatus, is_whole_request
from collector.domain.site import Site
from collector.recorder.group import record_group
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.events import fetch_stored, fingerprint
from collector.store.quarantine import delete_quarantined, fetch_quarantined, update_reason
from collector.wire.batch import Batch, RequestError
from collector.wire.kept import parse_kept

log = structlog.get_logger()


def replay(
    conn: Connection,
    site: Site,
    quarantine_id: int,
    now: int,
    fresh_id: Callable[[], str],
    erasures: Erasures,
    corrected: bytes | None = None,
) -> Replayed | None:
    """Record what is in one row of the quarantine, or `corrected` instead of it; None if there is no such row.

    One transaction, opened by the caller. When the event occurred, was received and by whom it was sent is as it was;
    the rules about people apply as for any event that comes late.
    """
    kept = fetch_quarantined(conn, site.site_id, quarantine_id)
    if kept is None:
        return None
    text = corrected if corrected is not None else kept.raw or b""
    batch = parse_kept(kept, text, site.settings.purchases_assert)
    if isinstance(batch, RequestError):
        return Replayed(quarantine_id, "unreadable", batch.code)
    if is_whole_request(kept.code):
        return _replay_request(conn, kept, _arrival(site, kept, batch), now, fresh_id, erasures)
    status, code, field = _replay_event(conn, _arrival(site, kept, batch), now, fresh_id, erasures)
    if status == "quarantined":
        update_reason(conn, quarantine_id, code, field)
    else:
        delete_quarantined(conn, site.site_id, quarantine_id)
    return Replayed(quarantine_id, status, code, field)


def _arrival(site: Site, kept: Quarantined, batch: Batch) -> Arrival:
    """The request as it was, with what is in it now."""
    is_request = is_whole_request(kept.code)
    return Arrival(
        site=site,
        received_at=kept.received_at,
        device_id=(kept.device_id or batch.device) if is_request else kept.device_id,
        contact_id=kept.contact_id,
        events=batch.events,
        indexes=batch.indexes,
        rejections=batch.rejections,
        trust=kept.trust,
        bot=kept.bot,
        sent_at=batch.sent_at,
    )


def _replay_event(
    conn: Connection, arrival: Arrival, now: int, fresh_id: Callable[[], str], erasures: Erasures
) -> tuple[ReplayStatus, str, str]:
    """Status, code and field of the one event of `arrival`."""
    if arrival.rejections:
        (rejection,) = arrival.rejections
        if rejection.uid and erasures.find(conn, arrival.site.site_id, "uid", [rejection.uid]):
            return "suppressed", "erased", ""
        return "quarantined", rejection.code, rejection.field
    (event,) = arrival.events
    if _conflicts(conn, arrival.site, event):  # asked beforehand, because recording would begin another row for it
        return "quarantined", EventCode.ID_CONFLICT, "event_id"
    (receipt,) = record_group(conn, [arrival], now, fresh_id, erasures)
    if receipt.duplicate:
        return "duplicate", "duplicate", ""
    if receipt.quarantined:  # another collector stored the id in this very moment
        return "quarantined", receipt.outcomes[0].code, receipt.outcomes[0].field
    return ("suppressed", "erased", "") if receipt.suppressed else ("stored", "", "")


def _conflicts(conn: Connection, site: Site, event: Event) -> bool:
    stored = fetch_stored(conn, site.site_id, [event.event_id]).get(event.event_id)
    return stored is not None and stored != fingerprint(event)


def _replay_request(
    conn: Connection, kept: Quarantined, arrival: Arrival, now: int, fresh_id: Callable[[], str], erasures: Erasures
) -> Replayed:
    """A request becomes its events; those that are refused begin rows of their own."""
    (receipt,) = record_group(conn, [arrival], now, fresh_id, erasures)
    delete_quarantined(conn, arrival.site.site_id, kept.quarantine_id)
    counts = (
        ("stored", receipt.accepted),
        ("duplicate", receipt.duplicate),
        ("suppressed", receipt.suppressed),
        ("quarantined", receipt.quarantined),
    )
    return Replayed(kept.quarantine_id, "stored", counts=counts)


async def replay_alone(
    database: Database,
    site: Site,
    quarantine_id: int,
    now: int,
    fresh_id: Callable[[], str],
    erasures: Erasures,
    corrected: bytes | None = None,
) -> Replayed | None:
    """`replay` in a transaction of its own, on the writer's thread; an event that the database refuses stays.

    Raises `DatabaseError` when nothing can be stored now.
    """
    try:
        replayed = await database.write(replay, site, quarantine_id, now, fresh_id, erasures, corrected)
    except Exception as error:
        if not blames_event(error):
            raise
        log.warning("replay_refused", quarantine_id=quarantine_id, error=type(error).__name__)
        replayed = await database.write(note_refusal, site, quarantine_id)
    if replayed is not None:
        metrics.count_replay(replayed)
    return replayed


def blames_event(error: Exception) -> bool:
    """Whether `error`, raised out of `replay`, is about what is in the row, not about the state of the database."""
    if isinstance(error, DatabaseError):
        return isinstance(error, IntegrityError | DataError | InterfaceError)
    return not isinstance(error, OSError)


def note_refusal(conn: Connection, site: Site, quarantine_id: int) -> Replayed | None:
    """After an error that blames the event: the row stays, with this as its reason."""
    if fetch_quarantined(conn, site.site_id, quarantine_id) is None:
        return None
    update_reason(conn, quarantine_id, EventCode.STORAGE_REJECTED, "")
    return Replayed(quarantine_id, "quarantined", EventCode.STORAGE_REJECTED)
