"""What is counted, and under which name it appears at `/metrics`.

Everywhere `received = stored + duplicate + quarantined + suppressed + refused`, in events: a request that is refused
before its events can be counted is one refused event. The web counts what it refuses, the recorder the rest. Replays
from the quarantine stand apart: what they store was received, and counted as quarantined or refused, when it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from collector.domain.event import Receipt
from collector.domain.quarantine import Replayed

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

RECEIVED = Counter("regulars_events_received", "Events that arrived, whatever became of them.", registry=REGISTRY)
OUTCOMES = Counter("regulars_events", "What became of the events received.", ["outcome"], registry=REGISTRY)
REFUSED = Counter("regulars_refused_events", "Events refused with their request, by code.", ["code"], registry=REGISTRY)
WARNINGS = Counter("regulars_warnings", "Events stored with a warning, by code.", ["code"], registry=REGISTRY)
IDENTITY_TOKENS = Counter(
    "regulars_identity_tokens", "Identity tokens that were looked at, by result.", ["result"], registry=REGISTRY
)
PROVIDER_FAILURES = Counter(
    "regulars_provider_failures", "Times that a profile provider failed, by reason.", ["reason"], registry=REGISTRY
)
REPLAYS = Counter(
    "regulars_replayed_events",
    "What became of quarantined events when they were tried again. They were counted as received when they came.",
    ["outcome"],
    registry=REGISTRY,
)
COOKIES_FORGED = Counter(
    "regulars_cookies_forged", "Cookies ignored because their signature is not ours.", registry=REGISTRY
)
CONNECTIONS_CUT = Counter(
    "regulars_connections_cut", "Connections closed because their headers came too slowly.", registry=REGISTRY
)
PURGED = Counter(
    "regulars_purged_rows", "Rows that were deleted because of their age, by table.", ["table"], registry=REGISTRY
)
LAST_PURGE = Gauge(
    "regulars_last_purge_timestamp_seconds",
    "When this collector last deleted what sites keep no longer; 0: not yet.",
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("regulars_queue_requests", "Requests that wait for their commit.", registry=REGISTRY)
GROUP_EVENTS = Histogram(
    "regulars_group_events",
    "Events recorded in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "regulars_commit_seconds",
    "Time of one transaction, fsync included.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    registry=REGISTRY,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

_STORED = OUTCOMES.labels("stored")
_DUPLICATE = OUTCOMES.labels("duplicate")
_QUARANTINED = OUTCOMES.labels("quarantined")
_SUPPRESSED = OUTCOMES.labels("suppressed")
_REFUSED = OUTCOMES.labels("refused")


def count_receipts(receipts: Iterable[Receipt]) -> None:
    """Count what became of the events of recorded requests; none of them has been counted as received yet."""
    stored = duplicate = quarantined = suppressed = 0
    for receipt in receipts:
        stored += receipt.accepted
        duplicate += receipt.duplicate
        quarantined += receipt.quarantined
        suppressed += receipt.suppressed
        if receipt.outcomes:
            count_warnings(outcome.code for outcome in receipt.outcomes if outcome.status == "warned")
    RECEIVED.inc(stored + duplicate + quarantined + suppressed)
    _STORED.inc(stored)
    _DUPLICATE.inc(duplicate)
    _QUARANTINED.inc(quarantined)
    _SUPPRESSED.inc(suppressed)


def count_refused(code: str, events: int = 1) -> None:
    """Count `events` that were refused together with their request."""
    RECEIVED.inc(events)
    _REFUSED.inc(events)
    REFUSED.labels(code).inc(events)


def count_replay(replayed: Replayed) -> None:
    """Count what became of what one row of the quarantine held; it was received once, and is not received again."""
    for outcome, events in replayed.counts or ((replayed.status, 1),):
        REPLAYS.labels(outcome).inc(events)


def count_purged(gone: Mapping[str, int]) -> None:
    """Count rows that were deleted because of their age."""
    for table, rows in gone.items():
        PURGED.labels(table).inc(rows)


def count_warnings(codes: Iterable[str]) -> None:
    """Count warnings of stored events."""
    for code in codes:
        WARNINGS.labels(code).inc()


def watch_queue(depth: Callable[[], int]) -> None:
    """Ask `depth` for the length of the queue whenever somebody looks."""
    QUEUE_DEPTH.set_function(depth)


def expose() -> bytes:
    """All of it in the text format of Prometheus."""
    return generate_latest(REGISTRY)
