"""`POST /v1/collect`: the SDK's batch in, a verdict for every event of it out, after the commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, cast

import msgspec
from aiohttp import hdrs, web
from msgspec.structs import replace

from collector.domain.event import Arrival, Event, Receipt, Trust
from collector.domain.quarantine import MAX_RAW_BYTES
from collector.recorder import Answer, QueueFull, StorageUnavailable
from collector.store.quarantine import Refused
from collector.web.admission import Visitor, admit, check_form, find_site, read_payload
from collector.web.asked import Asked
from collector.web.bots import is_prefetch, read_agent
from collector.web.cookies import CURRENT_CONTACT, GLOBAL_VISIT
from collector.web.edge import EDGE, Edge
from collector.web.errors import Refusal
from collector.web.headers import json_headers
from collector.wire.batch import Batch, RequestError
from collector.wire.native import parse_batch
from collector.wire.warnings import IDENTIFY_RATE_LIMITED


class Taken(NamedTuple):
    """A batch that was let in, with all that it takes to record and to answer it. `data` is its body, decoded."""

    edge: Edge
    asked: Asked
    visitor: Visitor
    data: bytes
    now: int

    def read(self) -> Arrival:
        """What is to be recorded. Raises `Refusal` (400, 413)."""
        site = self.visitor.entry.site
        batch = parse_batch(self.data, self.now, site.settings.purchases_assert)
        if type(batch) is RequestError:
            raise Refusal(batch.code, events=batch.count)
        return make_arrival(self.edge, self.asked, self.visitor, cast("Batch", batch), self.now, len(self.data))

    def cookies_for(self, receipt: Receipt) -> Sequence[str]:
        """Set-Cookie values that name device and profile, where what the browser has is missing, old or another one."""
        edge, visitor, now = self.edge, self.visitor, self.now
        if visitor.origin is None:
            return ()
        site_id, suffixed = visitor.entry.site.site_id, edge.sites.has_several
        return [
            edge.cookies.write(name, site_id, value, now, suffixed=suffixed)
            for name, value, carried in (
                (GLOBAL_VISIT, receipt.device_id, visitor.device),
                (CURRENT_CONTACT, receipt.contact_id, visitor.contact),
            )
            if value is not None and (carried is None or carried.value != value or carried.is_stale(now))
        ]

    def enqueue(self, answer: Answer) -> None:
        """Store it, and give the answer after the commit, or to what failed, which is for `fail` to explain."""
        try:
            self.edge.recorder.enqueue(self.read, answer)
        except QueueFull as error:
            raise self.refusal_of(error) from error

    def refusal_of(self, error: QueueFull | StorageUnavailable) -> Refusal:
        """That nothing could be stored (503), for all of its events."""
        events = parse_batch(self.data, self.now).count
        return Refusal(error.code, events=events, retry_after_s=error.retry_after_s)

    async def fail(self, error: BaseException) -> NoReturn:
        """Raise why it was not stored, after a body that is no JSON was kept. Raises `StorageUnavailable`, too."""
        if isinstance(error, QueueFull | StorageUnavailable):
            raise self.refusal_of(error) from error
        if isinstance(error, Refusal) and error.code == "malformed_json":
            device, contact = self.visitor.device, self.visitor.contact
            kept = Refused(
                error.code,
                "",
                self.data[:MAX_RAW_BYTES],
                device_id=device.value if device else None,
                contact_id=contact.value if contact else None,
            )
            await self.edge.recorder.quarantine_raw(self.visitor.entry.site.site_id, self.now, kept)
        raise error


async def post_batch(request: web.Request) -> web.Response:
    """Record a batch. Every event gets a verdict: listed in `results`, or stored without anything to remark.

    Few come here: most take the short way, by `lane`.
    """
    edge = request.app[EDGE]
    now = edge.now()
    check_form(request)
    visitor = admit(edge, request, await find_site(edge, request), now)
    taken = Taken(edge, request, visitor, await read_payload(edge, request), now)
    try:
        receipt = await record(edge, request, taken.read())
    except (Refusal, QueueFull, StorageUnavailable) as error:
        await taken.fail(error)
    response = web.Response(body=receipt_body(receipt), headers=json_headers(visitor.origin))
    for cookie in taken.cookies_for(receipt):
        response.headers.add(hdrs.SET_COOKIE, cookie)
    return response


def make_arrival(edge: Edge, request: Asked, visitor: Visitor, batch: Batch, now: int, size: int = 0) -> Arrival:
    """What is to be recorded on behalf of a visitor, from a body of `size` bytes.

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
        agent.text, batch.sent_at, size,
    )  # fmt: skip


async def record(edge: Edge, request: web.Request, arrival: Arrival) -> Receipt:
    """Store a request's events; returns after the commit. Raises `QueueFull` or `StorageUnavailable`."""
    if edge.recognition is None:
        return await edge.recorder.record(arrival)
    recognised = await edge.recognition.recognise(request, arrival)
    receipt = await edge.recorder.record(recognised)
    await edge.recognition.remember(request, arrival, recognised, receipt)
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
