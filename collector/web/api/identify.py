"""`POST /api/v1/identify`: a site's server says who somebody is (trust T2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from aiohttp import web

from collector.domain.event import Arrival, Assertion, Event, Receipt, Trust
from collector.domain.explain import rule_text
from collector.domain.identifiers import clean_cid, clean_email
from collector.domain.keys import Scope
from collector.domain.recognition import born_at
from collector.recorder.rehearsal import Rehearsal, rehearse
from collector.store.people import fetch_recorded
from collector.web.api.access import Problem, reply
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import DryRun
from collector.web.api.shapes import Identified, Rehearsed
from collector.wire.clock import MAX_AHEAD_MS
from collector.wire.ids import is_version_7, parse_id

RESERVED = {
    "customer_id": "say it beside them",
    "email": "say it beside them",
    "identity_token": "whoever has a secret key needs none",
}


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request. Null is the same as absent."""

    uid: str | None = None
    cid: str | int | None = None
    email: str | None = None
    traits: dict[str, Any] | None = None
    occurred_at: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Identification:
    """What a server says, checked."""

    event_id: str
    occurred_at: int
    uid: str | None
    cid: str | None
    email: str | None
    traits: dict[str, Any]


async def post_identification(call: Call[DryRun]) -> web.Response:
    """Record what the server says; answers with the person it led to, and with what was not believed or odd.

    With `dry_run` nothing is recorded, and the answer is which rules would apply and what they would do.
    """
    now = call.now()
    said = check_identification(call.body, now, call.edge.fresh_id())
    arrival = Arrival(call.site, now, None, None, (as_event(said),), trust=Trust.SECRET_KEY)
    if call.query.dry_run:
        return await _rehearsed(call, arrival, now)
    status = status_of(await call.edge.recorder.record(arrival))
    if status == "id_conflict":
        raise Problem("id_conflict", "event_id")
    recorded = await call.read(fetch_recorded, said.event_id)
    profile_id, warnings = recorded or (None, [])
    return reply({"profile_id": profile_id, "event_id": said.event_id, "status": status, "warnings": warnings})


async def _rehearsed(call: Call[DryRun], arrival: Arrival, now: int) -> web.Response:
    parts = call.parts
    done = await parts.database.read(rehearse, arrival, now, call.edge.fresh_id, parts.erasures)
    if done.status == "id_conflict":
        raise Problem("id_conflict", "event_id")
    return reply(rehearsal_document(done))


def rehearsal_document(done: Rehearsal) -> dict[str, Any]:
    """What would happen, as JSON; where an id is null, a new profile would begin."""
    return {
        "dry_run": True,
        "status": done.status,
        "rules": [{"rule": rule.split()[0], "text": rule_text(rule)} for rule in done.rules],
        "profile_id": done.profile_id,
        "merges": [{"winner": merge.winner, "loser": merge.loser, "rule": merge.rule} for merge in done.merges],
        "warnings": list(done.warnings),
    }


def status_of(receipt: Receipt) -> str:
    """What became of the one event of `receipt`: accepted, duplicate, suppressed (erased), or why it was refused."""
    outcome = receipt.outcomes[0] if receipt.outcomes else None
    if outcome is None or outcome.status == "warned":
        return "accepted"
    return outcome.code if outcome.status == "quarantined" else outcome.status


def check_identification(said: Said, now: int, fresh_id: str) -> Identification:
    """The body of a request as a value. Raises `Problem` naming the field at fault."""
    cid = clean_cid(str(said.cid)) if said.cid is not None else None
    email = clean_email(said.email) if said.email is not None else None
    if said.cid is not None and cid is None:
        raise _invalid("cid", "is not a customer id: empty, too long, or a placeholder that many visitors share")
    if said.email is not None and email is None:
        raise _invalid("email", "is not an e-mail address")
    if cid is None and email is None:
        raise _invalid("cid", "and email are both missing")
    uid, event_id = parse_id(said.uid), parse_id(said.event_id)
    if said.uid is not None and (uid is None or not is_version_7(uid)):
        raise _invalid("uid", "is not a UUIDv7")
    if said.event_id is not None and event_id is None:
        raise _invalid("event_id", "is not a UUID")
    traits = said.traits or {}
    for name, reason in RESERVED.items():
        if name in traits:
            raise _invalid("traits", f"must not hold {name}: {reason}")
    return Identification(event_id or fresh_id, _time_of(said, event_id, now), uid, cid, email, traits)


def _time_of(said: Said, event_id: str | None, now: int) -> int:
    """When it happened. The same for every retry of one event, so that a retry is recognised."""
    if said.occurred_at is not None:
        at, field = said.occurred_at, "occurred_at"
    elif event_id is None:
        return now
    elif is_version_7(event_id):
        at, field = born_at(event_id), "event_id"
    else:
        raise _invalid("occurred_at", "is needed beside an event_id that is not a UUIDv7")
    if not 0 <= at <= now + MAX_AHEAD_MS:
        raise _invalid(field, "lies in the future, or before 1970")
    return at


def _invalid(field: str, problem: str) -> Problem:
    return Problem("invalid_parameter", field, f"{field} {problem}.")


def as_event(said: Identification) -> Event:
    """What is stored: the same event that the SDK's `identify` sends, without a browser."""
    customers = {"customer_id": said.cid, "email": said.email, **said.traits}
    body = {"dims": {"customers": {name: value for name, value in customers.items() if value is not None}}}
    return Event(
        event_id=said.event_id,
        category="user",
        action="identify",
        uid=said.uid,
        uid_origin="first",
        seq=0,
        occurred_at=said.occurred_at,
        tracked_at=said.occurred_at,
        visit_id=None,
        page_id=None,
        url=None,
        body=orjson.dumps(body, option=orjson.OPT_SORT_KEYS),
        assertion=Assertion(said.cid, said.email, said.traits),
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/identify",
        post_identification,
        "Say who somebody is, which outranks what browsers say",
        Scope.PROFILES_WRITE,
        query=DryRun,
        body=Said,
        reply=Identified | Rehearsed,
        errors=("id_conflict", "storage_full"),
    ),
)
