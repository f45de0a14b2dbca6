"""`POST /visits/{visitId}/events`: a site's server adds to a visit what the browser cannot know."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from collector.domain.event import Arrival, Event, Trust
from collector.domain.keys import Scope
from collector.domain.recognition import born_at
from collector.store.history_events import fetch_speaker
from collector.store.people import fetch_recorded
from collector.web.api.access import Problem, reply
from collector.web.api.endpoint import Call
from collector.web.api.identify import status_of
from collector.web.api.parameters import NoQuery
from collector.wire.clock import MAX_AHEAD_MS, read_clock
from collector.wire.ids import is_version_7, parse_id
from collector.wire.native import parse_event

OWN = ("event_id", "category", "action", "uid", "uid_origin", "visit", "page", "seq", "at", "url")  # beside `data`


class Said(msgspec.Struct, forbid_unknown_fields=True, rename={"name": "eventName"}):
    """An event: `category` and `action`, or `eventName` with both of them; `data` as in an event of the SDK."""

    category: str | None = None
    action: str | None = None
    name: str | None = None
    event_id: str | None = None
    timestamp: int | None = None
    page_id: str | None = None
    url: str | None = None
    data: dict[str, Any] | None = None


async def post_event(call: Call[NoQuery]) -> web.Response:
    """Record an event in a visit, as of whoever spoke there last; 404 for an unknown visit."""
    visit_id, now = call.path["visitId"], call.now()
    uid = await call.read(fetch_speaker, visit_id)
    if uid is None:
        raise Problem("not_found", message="There is no such visit.")
    event = check_event(call.body, visit_id, uid, now, call.edge.fresh_id())
    asserts = event.assertion is not None and not event.assertion.hint
    if asserts and not call.key.opens(Scope.PROFILES_WRITE):
        needed = Scope.PROFILES_WRITE
        raise Problem("scope_missing", message=f"To say who somebody is needs {needed}.", more={"scope": str(needed)})
    arrival = Arrival(call.site, now, None, None, (event,), trust=Trust.SECRET_KEY)
    status = status_of(await call.edge.recorder.record(arrival))
    if status == "id_conflict":
        raise Problem("id_conflict", "event_id")
    recorded = await call.read(fetch_recorded, event.event_id)
    warnings = recorded[1] if recorded else []
    return reply({"eventID": event.event_id, "status": status, "warnings": warnings})


def check_event(said: Said, visit_id: str, uid: str, now: int, fresh_id: str) -> Event:
    """The body of a request as an event. Raises `Problem` naming the member at fault."""
    category, action = _name_of(said)
    event_id = fresh_id if said.event_id is None else parse_id(said.event_id)
    if event_id is None:
        raise _invalid("event_id", "is not a UUID")
    data = said.data or {}
    if any(name in data for name in OWN):
        raise _invalid("data", f"must not hold {', '.join(OWN)}: say it beside data, where it can be said")
    raw = data | {
        "event_id": event_id,
        "category": category,
        "action": action,
        "uid": uid,
        "visit": visit_id,
        "page": said.page_id,
        "at": _time_of(said, event_id, now),
        "url": said.url,
    }
    event = parse_event(raw, read_clock(now, now), purchases_assert=False)
    if isinstance(event, Event):
        return event
    code, field = event
    name = {"page": "page_id", "at": "timestamp"}.get(field, field)
    known = name if name in Said.__struct_fields__ else "data"
    raise _invalid(known, f"cannot be stored: {code}")


def _name_of(said: Said) -> tuple[str, str]:
    if said.name is not None:
        category, _, action = said.name.partition("/")
        if said.category is not None or said.action is not None or not category or not action:
            raise _invalid("eventName", "is category/action, and then neither of them is said beside it")
        return category, action
    if not said.category:
        raise _invalid("category", "is missing")
    if not said.action:
        raise _invalid("action", "is missing")
    return said.category, said.action


def _time_of(said: Said, event_id: str, now: int) -> int:
    """When it happened. The same for every retry of one event, so that a retry is recognised."""
    if said.timestamp is not None:
        at, field = said.timestamp, "timestamp"
    elif said.event_id is None:
        return now
    elif is_version_7(event_id):
        at, field = born_at(event_id), "event_id"
    else:
        raise _invalid("timestamp", "is needed beside an event_id that is not a UUIDv7")
    if not 0 <= at <= now + MAX_AHEAD_MS:
        raise _invalid(field, "lies in the future, or before 1970")
    return at


def _invalid(field: str, problem: str) -> Problem:
    return Problem("invalid_parameter", field, f"{field} {problem}.")
