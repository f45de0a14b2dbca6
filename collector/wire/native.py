"""The SDK's own format: one request's bytes into events and rejections (spec/wire.md, Limits and bad input).

Every event is judged by itself: a bad one becomes a `Rejection`, its neighbours are parsed all the same. Nothing here
raises for anything that was sent. This is the hottest code of the collector, hence the care about each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from collector.domain.event import Event, EventCode, Rejection
from collector.domain.quarantine import MAX_RAW_BYTES
from collector.domain.recognition import born_at
from collector.wire.asserting import find_wrong_type, read_assertion
from collector.wire.batch import Batch, RequestError
from collector.wire.clock import Clock, read_clock
from collector.wire.identity_token import attach_token, may_carry_token, take_token
from collector.wire.ids import ID_LENGTH, Ids, are_canonical_ids, is_canonical_id, is_version_7, parse_id, parse_ids
from collector.wire.sent import SHARED, Body, KnownRequest, Sent, faulty_field
from collector.wire.text import (
    clean,
    encode,
    load,
    may_hold_big_integers,
    may_hold_controls,
    measure,
    prune,
    quote_big_integers,
)
from collector.wire.warnings import BIG_INTEGER, CLOCK_OUT_OF_RANGE, NO_AT, REPLACED_CHARACTERS

MAX_EVENTS = 500
MAX_EVENT_BYTES = 32 * 1024  # of the event written compactly, however it was spelled
MAX_DEPTH = 32  # the event itself is 1
MAX_KEYS = 1_000

_MODEST_BYTES = 4_000  # a body and a URL no longer than this break no limit, unless that of depth

_decode_known = msgspec.json.Decoder(KnownRequest).decode

Fault = tuple[EventCode, str]


def parse_batch(data: bytes, received_at: int, purchases_assert: bool = False) -> Batch | RequestError:
    """The request received at `received_at` ms into a batch, or why it is refused as a whole.

    `{sent_at, device?, uid?, uid_origin?, visit?, page?, events: [...]}`; docs/http-api.md says what is in it.
    `purchases_assert` is the site's setting of that name.
    """
    try:
        known = _parse_known(data, received_at, purchases_assert)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        known = None
    return known or _parse_any(data, received_at, purchases_assert)


def _parse_known(data: bytes, received_at: int, purchases_assert: bool) -> Batch | None:
    """A request in which all is well and no key unknown, in two thirds of the time; None or an error for any other."""
    request = _decode_known(data)
    if len(request.events) > MAX_EVENTS or may_hold_controls(data):
        return None
    request.share()
    if not _have_usable_ids(request.device, request.events):
        return None
    clock = read_clock(request.sent_at, received_at)
    _, _, shift_ms, floor, ceiling, warnings = clock
    events = []
    for sent in request.events:
        body = encode(
            Body(
                sent.campaign, sent.dims, sent.dropped, sent.email, sent.extra, sent.items, sent.referrer, sent.title
            )
        )  # fmt: skip
        at, url = sent.at, sent.url
        if (
            type(at) is int
            and floor <= at + shift_ms <= ceiling
            and sent.category != "user"
            and not (sent.email or purchases_assert)
            and body.count(b"{") + body.count(b"[") < MAX_DEPTH
            and len(body) <= _MODEST_BYTES
            and (url is None or len(url) <= _MODEST_BYTES)
        ):  # what `_make_event` would make of it
            event = Event(
                sent.event_id, sent.category, sent.action, sent.uid, sent.uid_origin or "first", sent.seq or 0,
                at + shift_ms, at, sent.visit, sent.page, url, body, None, warnings,
            )  # fmt: skip
        else:
            made = _make_event(sent, (sent.uid, sent.visit, sent.page), body, None, clock, purchases_assert)
            if type(made) is not Event:
                return None
            event = made
        events.append(event)
    bodies = b"".join([event.body for event in events])
    if may_carry_token(bodies) or may_hold_big_integers(bodies):
        return None
    return _make_batch(request.device, clock, events, range(len(events)), [])


def _have_usable_ids(device: str | None, events: Sequence[Sent]) -> bool:
    """Whether nothing is wrong with any id, and none has to be spelled in another way."""
    ids: list[str | None] = [device]
    said = None
    for sent in events:
        ids.append(sent.event_id)
        saying = (sent.uid, sent.visit, sent.page)
        if saying != said:  # events of one page share all three
            said, uid = saying, sent.uid
            if uid is not None and (len(uid) != ID_LENGTH or not is_version_7(uid)):
                return False
            ids += saying
    return are_canonical_ids([text for text in ids if text is not None] if None in ids else cast("list[str]", ids))


def _parse_any(data: bytes, received_at: int, purchases_assert: bool) -> Batch | RequestError:
    """Any request: each event judged by itself."""
    loaded = load(data)
    if loaded is None or type(loaded[0]) is not dict or type(loaded[0].get("events")) is not list:
        return RequestError("malformed_json")
    request, needs_repair = loaded
    sent_events = request["events"]
    if len(sent_events) > MAX_EVENTS:
        return RequestError("too_many_events", len(sent_events))
    clock = read_clock(request.get("sent_at"), received_at)
    events: list[Event] = []
    indexes: list[int] = []
    rejections: list[Rejection] = []
    carries_token = may_carry_token(data)
    for index, whole in enumerate(map(_sharing(request), sent_events)):
        sent, token = take_token(whole) if carries_token else (whole, None)
        if needs_repair:
            result = _repair_and_parse(sent, clock, purchases_assert)
        else:
            result = parse_event(sent, clock, purchases_assert)
        if type(result) is Event:
            events.append(attach_token(result, token))
            indexes.append(index)
        else:
            rejections.append(reject(index, sent, *cast("Fault", result)))
    return _make_batch(parse_id(request.get("device")), clock, events, indexes, rejections)


def _sharing(request: dict[str, Any]) -> Callable[[Any], Any]:
    """A function that gives an event what it inherits from the request."""
    shared = {name: request[name] for name in SHARED if request.get(name) is not None}

    def share(event: Any) -> Any:
        if type(event) is not dict:
            return event
        return event | {name: value for name, value in shared.items() if event.get(name) is None}

    return share if shared else lambda event: event


def _make_batch(
    device: str | None, clock: Clock, events: Sequence[Event], indexes: Sequence[int], rejections: Sequence[Rejection]
) -> Batch:
    count = len(events) + len(rejections)
    values = (tuple(events), tuple(indexes), tuple(rejections), device, clock.sent_at, count)
    return tuple.__new__(Batch, values)


def parse_event(raw: Any, clock: Clock, purchases_assert: bool) -> Event | Fault:
    """One event as decoded JSON, or what is wrong with it."""
    try:
        sent = msgspec.convert(raw, Sent)
        body = _write_body(raw)
    except msgspec.ValidationError as error:
        return _fault_of(raw, faulty_field(error))
    except RecursionError:
        return EventCode.TOO_DEEP, ""
    if not is_canonical_id(sent.event_id) and not _make_canonical(sent):
        return EventCode.MALFORMED_ID, "event_id"
    ids = parse_ids(sent.uid, sent.visit, sent.page)
    return _make_event(sent, ids, body, raw, clock, purchases_assert)


def _make_event(
    sent: Sent, ids: Ids, body: bytes, raw: dict[str, Any] | None, clock: Clock, purchases_assert: bool
) -> Event | Fault:
    """The event, or what is wrong with it beyond types; where `raw` is None, just that something may be.

    Its own id is canonical.
    """
    if isinstance(ids, str):
        return EventCode.MALFORMED_ID, ids
    uid, visit, page = ids
    url, at, assertion, warnings = sent.url, sent.at, None, clock.warnings
    if len(body) > _MODEST_BYTES or body.count(b"{") + body.count(b"[") >= MAX_DEPTH or len(url or "") > _MODEST_BYTES:
        excess = _find_excess(raw)
        if excess is not None:
            return excess
    if sent.category == "user" or sent.email or purchases_assert:
        wrong = find_wrong_type(sent)
        if wrong is not None:
            return EventCode.INVALID_FIELD, wrong
        assertion, more = read_assertion(sent, purchases_assert)
        warnings += more
    if type(at) is not int:
        at, warnings = (int(at), warnings) if at is not None else (_birth(sent.event_id, clock), (*warnings, NO_AT))
    occurred_at = at + clock.shift_ms
    if not clock.floor <= occurred_at <= clock.ceiling:
        occurred_at = clock.received_at
        warnings += (CLOCK_OUT_OF_RANGE,)
    return Event(
        sent.event_id, sent.category, sent.action, uid, sent.uid_origin or "first", sent.seq or 0, occurred_at, at,
        visit, page, url, body, assertion, warnings,
    )  # fmt: skip


def _write_body(raw: dict[str, Any]) -> bytes:
    """The JSON of all that has no column. The same for every retry of one event, so that a retry is recognised."""
    rest = raw.copy()
    try:
        del rest["event_id"], rest["category"], rest["action"], rest["uid"], rest["uid_origin"]
        del rest["visit"], rest["page"], rest["seq"], rest["at"], rest["url"]
    except KeyError:
        for name in ("uid", "uid_origin", "visit", "page", "seq", "at", "url"):
            rest.pop(name, None)
    return encode(rest)


def _make_canonical(sent: Sent) -> bool:
    canonical = parse_id(sent.event_id)
    if canonical is not None:
        sent.event_id = canonical
    return canonical is not None


def _birth(event_id: str, clock: Clock) -> int:
    # Not the time of arrival where it can be avoided: a retry would look like another event of the same id.
    return born_at(event_id) if is_version_7(event_id) else clock.now


def _fault_of(raw: Any, field: str) -> Fault:
    if field != "event_id":
        return EventCode.INVALID_FIELD, field
    return (EventCode.MISSING_ID if raw.get("event_id") is None else EventCode.MALFORMED_ID), field


def _repair_and_parse(raw: Any, clock: Clock, purchases_assert: bool) -> Event | Fault:
    """`parse_event` for a request with something in it to replace."""
    if measure(raw, MAX_DEPTH)[0] > MAX_DEPTH:
        return EventCode.TOO_DEEP, ""
    warnings = clock.warnings
    quoted = quote_big_integers(raw)
    if quoted != raw:
        warnings += (BIG_INTEGER,)
    cleaned = clean(quoted)
    if cleaned != quoted:
        warnings += (REPLACED_CHARACTERS,)
    return parse_event(cleaned, clock._replace(warnings=warnings), purchases_assert)


def _find_excess(raw: dict[str, Any] | None) -> Fault | None:
    """The limit of depth, size or number of keys that an event breaks, None if none."""
    if raw is None:
        return EventCode.EVENT_TOO_LARGE, ""
    depth, keys = measure(raw, MAX_DEPTH)
    if depth > MAX_DEPTH:
        return EventCode.TOO_DEEP, ""
    if len(encode(raw)) > MAX_EVENT_BYTES:
        return EventCode.EVENT_TOO_LARGE, ""
    return (EventCode.TOO_MANY_KEYS, "") if keys > MAX_KEYS else None


def reject(index: int, raw: Any, code: EventCode, field: str) -> Rejection:
    """The rejection of what was sent at `index`, with at most 64 KiB of it."""
    try:
        text = encode(raw)
    except (RecursionError, OverflowError):  # too deep to be written, or an integer of more than 64 bits
        text = encode(quote_big_integers(prune(raw, 2 * MAX_DEPTH)))
    event_id, uid = (parse_id(raw.get("event_id")), parse_id(raw.get("uid"))) if type(raw) is dict else (None, None)
    return Rejection(index, code, field, text[:MAX_RAW_BYTES], event_id, uid)
