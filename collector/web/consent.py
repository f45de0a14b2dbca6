"""`POST /v1/consent`: a visitor's decision. Denial deletes both cookies, which a script of the page cannot do."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web

from collector.domain.event import Event
from collector.web.admission import Visitor, admit, check_form, find_site, read_payload
from collector.web.collect import make_arrival, record
from collector.web.cookies import CURRENT_CONTACT, GLOBAL_VISIT
from collector.web.edge import EDGE, Edge
from collector.web.errors import Refusal
from collector.web.replies import answer_refusal
from collector.wire.batch import Batch
from collector.wire.consent import Decision, parse_consent


async def post_consent(request: web.Request) -> web.StreamResponse:
    """Record `{"state": "granted" | "denied", "uid"?, "at"?}` as an event `consent/STATE` of nobody.

    It is kept apart from every profile, so that a person who says no does not get one by saying so.
    """
    edge = request.app[EDGE]
    now = edge.now()
    check_form(request)
    visitor = admit(edge, request, await find_site(edge, request), now)
    decision = parse_consent(await read_payload(edge, request), now)
    if decision is None:
        raise Refusal("malformed_json")
    response: web.StreamResponse
    try:
        await _record_decision(edge, request, visitor, decision, now)
    except Refusal as refusal:
        if decision.state == "granted":
            raise
        response = answer_refusal(edge, request, refusal, "consent")
    else:
        body = orjson.dumps({"state": decision.state})
        response = web.Response(body=body, headers=visitor.entry.replies[visitor.origin])
    if decision.state == "denied" and visitor.origin is not None:
        for name in (GLOBAL_VISIT, CURRENT_CONTACT):
            for cookie in edge.cookies.expire(name, visitor.entry.site.site_id):
                response.headers.add(hdrs.SET_COOKIE, cookie)
    return response


async def _record_decision(edge: Edge, request: web.Request, visitor: Visitor, decision: Decision, now: int) -> None:
    event = Event(
        event_id=edge.fresh_id(),
        category="consent",
        action=decision.state,
        uid=None,
        uid_origin="first",
        seq=0,
        occurred_at=decision.at,
        tracked_at=decision.at,
        visit_id=None,
        page_id=None,
        url=None,
        body=orjson.dumps({"uid": decision.uid} if decision.uid else {}),
    )
    batch = Batch((event,), (0,), (), None, None, 1)
    await record(edge, make_arrival(edge, request, visitor.without_cookies(), batch, now), batch.count)
