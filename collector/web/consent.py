"""`POST /v1/consent`: a visitor's decision. Denial deletes both cookies, which a script of the page cannot do."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web

from collector.recorder import StorageUnavailable
from collector.store.consents import Consent
from collector.web.admission import admit, check_form, find_site, read_payload
from collector.web.cookies import CURRENT_CONTACT, GLOBAL_VISIT
from collector.web.edge import EDGE
from collector.web.errors import Refusal
from collector.web.headers import json_headers
from collector.web.replies import answer_refusal
from collector.wire.consent import parse_consent


async def post_consent(request: web.Request) -> web.StreamResponse:
    """Keep `{"state": "granted" | "denied", "uid"?, "at"?}`.

    A denial is kept without the UID, and both cookies go even when it could not be kept.
    """
    edge = request.app[EDGE]
    now = edge.now()
    check_form(request)
    visitor = admit(edge, request, await find_site(edge, request), now)
    decision = parse_consent(await read_payload(edge, request), now)
    if decision is None:
        raise Refusal("malformed_json")
    is_denial = decision.state == "denied"
    site_id = visitor.entry.site.site_id
    consent = Consent(None if is_denial else decision.uid, decision.state, decision.at, now)
    response: web.StreamResponse
    try:
        await edge.recorder.record_consent(site_id, consent)
    except StorageUnavailable as error:
        refusal = Refusal(error.code, retry_after_s=error.retry_after_s)
        if not is_denial:
            raise refusal from error
        response = answer_refusal(edge, request, refusal, "consent")
    else:
        response = web.Response(body=orjson.dumps({"state": decision.state}), headers=json_headers(visitor.origin))
    if is_denial and visitor.origin is not None:
        for name in (GLOBAL_VISIT, CURRENT_CONTACT):
            for cookie in edge.cookies.expire(name, site_id):
                response.headers.add(hdrs.SET_COOKIE, cookie)
    return response
