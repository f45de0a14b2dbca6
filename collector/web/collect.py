"""`POST /v1/collect`: the SDK's batch in, a verdict for every event of it out, after the commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from aiohttp import hdrs, web
from msgspec.structs import replace

from collector.domain.event import Arrival, Event, Receipt, Trust
from collector.domain.quarantine import MAX_RAW_BYTES
from collector.domain.site import Site
from collector.recorder import QueueFull, StorageUnavailable
from collector.store.quarantine import Refused
from collector.web.admission import Visitor, admit, check_form, find_site, read_payload
from collector.web.bots import is_prefetch, read_agent
from collector.web.cookies import CURRENT_CONTACT, GLOBAL_VISIT
from collector.web.edge import EDGE, Edge
from collector.web.errors import Refusal
from collector.web.verdict import Verdict
from collector.wire.batch import Batch, RequestError
from collector.wire.native import parse_batch
from collector.wire.warnings import IDENTIFY_RATE_LIMITED


async def post_batch(request: web.Request) -> web.StreamResponse:
    """Record a batch. Every event gets a verdict: listed in `results`, or stored without anything to remark."""
    return await take_batch(request.app[EDGE], request)


async def take_batch(edge: Edge, request: web.Request) -> web.StreamResponse:
    """`post_batch` for a caller that has the edge at hand."""
    now = edge.now()
    check_form(request)
    visitor = admit(edge, request, await find_site(edge, request), now)
    data = await read_payload(edge, request)
    site = visitor.entry.site

    def read() -> Arrival:
        return make_arrival(edge, request, visitor, read_batch(data, now, site), now)

    try:
        receipt = await record(edge, request, read, lambda: parse_batch(data, now).count)
    except Refusal as refusal:
        if refusal.code == "malformed_json":
            await edge.recorder.quarantine_raw(site.site_id, now, keep_request(visitor, refusal.code, data))
        raise
    cookies = fresh_cookies(edge, visitor, receipt, now) if visitor.origin is not None else ()
    return Verdict(visitor.entry.headers[visitor.origin], receipt_body(receipt), cookies, now)


def read_batch(data: bytes, now: int, site: Site) -> Batch:
    """A request's body, parsed. Raises `Refusal` (400, 413)."""
    batch = parse_batch(data, now, site.settings.purchases_assert)
    if type(batch) is RequestError:
        raise Refusal(batch.code, events=batch.count)
    return cast("Batch", batch)


def keep_request(visitor: Visitor, code: str, data: bytes) -> Refused:
    """A request that could not be parsed, for the quarantine: its beginning, and whose browser sent it."""
    device, contact = visitor.device, visitor.contact
    return Refused(
        code,
        "",
        data[:MAX_RAW_BYTES],
        device_id=device.value if device else None,
        contact_id=contact.value if contact else None,
    )


def make_arrival(edge: Edge, request: web.Request, visitor: Visitor, batch: Batch, now: int) -> Arrival:
    """What is to be recorded on behalf of a visitor.

    The device is the one of the cookie; where cookies do not come back, the SDK's own; else a new one.
    """
    device_id = contact_id = None
    if visitor.origin is not None:
        device_id = visitor.device.value if visitor.device else batch.device or edge.fresh_id()
        contact_id = visitor.contact.value if visitor.contact else None
    agent = read_agent(request.headers.get(hdrs.USER_AGENT, ""))
    events = batch.events
    for event in events:
        if event.assertion is not None:
            events = judge_assertions(edge, visitor, device_id, events, now)
            break
    is_bot = agent.is_bot or is_prefetch(request.headers)
    return Arrival(
        visitor.entry.site, now, device_id, contact_id, events, batch.indexes, batch.rejections, Trust.BROWSER, is_bot,
        agent.text, batch.sent_at,
    )  # fmt: skip


async def record(edge: Edge, request: web.Request, read: Callable[[], Arrival], count: Callable[[], int]) -> Receipt:
    """Store what `read` makes of the request; returns after the commit.

    Raises what `read` raises, and `Refusal` (503) for all of the `count` events.
    """
    try:
        if edge.recognition is None:
            return await edge.recorder.record_later(read)
        asked = read()
        arrival = await edge.recognition.recognise(request, asked)
        receipt = await edge.recorder.record(arrival)
    except (QueueFull, StorageUnavailable) as error:
        raise Refusal(error.code, events=count(), retry_after_s=error.retry_after_s) from error
    await edge.recognition.remember(request, asked, arrival, receipt)
    return receipt


def judge_assertions(
    edge: Edge, visitor: Visitor, device_id: str | None, events: tuple[Event, ...], now: int
) -> tuple[Event, ...]:
    """R13: past the limit the assertion is dropped, never the event. R14: up to there its token decides the trust."""
    site = visitor.entry.site
    return tuple(
        edge.tokens.judge(site, event, now)
        if event.assertion is None or edge.limits.take_identify(visitor.address, device_id, time.monotonic())
        else replace(event, assertion=None, warnings=(*event.warnings, IDENTIFY_RATE_LIMITED))
        for event in events
    )


def receipt_body(receipt: Receipt) -> bytes:
    """The JSON of a receipt: ids, counts and codes, nothing of a profile (R17)."""
    if not receipt.outcomes:
        return b'{"accepted":%d,"duplicate":0,"quarantined":0,"suppressed":0,"results":[]}' % receipt.accepted
    return msgspec.json.encode(
        {
            "accepted": receipt.accepted,
            "duplicate": receipt.duplicate,
            "quarantined": receipt.quarantined,
            "suppressed": receipt.suppressed,
            "results": [
                {
                    "index": outcome.index,
                    "event_id": outcome.event_id,
                    "status": outcome.status,
                    "code": outcome.code,
                    "field": outcome.field,
                }
                for outcome in receipt.outcomes
            ],
        }
    )


def fresh_cookies(edge: Edge, visitor: Visitor, receipt: Receipt, now: int) -> Sequence[str]:
    """Set-Cookie values that name device and profile, where what the browser has is missing, old or another one."""
    site_id, suffixed = visitor.entry.site.site_id, edge.sites.has_several
    return [
        edge.cookies.write(name, site_id, value, now, suffixed=suffixed)
        for name, value, carried in (
            (GLOBAL_VISIT, receipt.device_id, visitor.device),
            (CURRENT_CONTACT, receipt.contact_id, visitor.contact),
        )
        if value is not None and (carried is None or carried.value != value or carried.is_stale(now))
    ]
