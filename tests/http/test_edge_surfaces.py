"""Everything at the edge but batches: preflights, consent, pixel, SDK, health."""

from __future__ import annotations

import gzip
import json
import re

import brotli
import pytest

from collector.recorder import StorageUnavailable
from collector.web.sdk_file import integrity_of
from tests.http.edge_place import (
    ORIGIN,
    PLAIN,
    SITE,
    SOURCE,
    Place,
    counts,
    growth,
    open_place,
    pair,
    refused,
    set_cookies_of,
    with_settings,
)
from tests.unit.wire_samples import UID, event

KEY = SITE.write_key


@pytest.mark.parametrize("path", ["/v1/collect", "/v1/consent"])
async def test_a_preflight_of_a_listed_origin_is_answered(place: Place, path: str) -> None:
    before = counts()
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    reply = await place.ask("OPTIONS", f"{path}?site={KEY}", headers)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    assert reply.headers["Access-Control-Allow-Methods"] == "POST"
    assert "Content-Type" in reply.headers["Access-Control-Allow-Headers"]
    assert reply.headers["Vary"] == "Origin"
    assert growth(before) == {}


async def test_a_preflight_of_any_other_origin_is_refused(place: Place) -> None:
    for headers in ({"Origin": "https://evil.example"}, {}):
        failure = refused(await place.ask("OPTIONS", f"/v1/collect?site={KEY}", headers))
        assert (failure.status, failure.code) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in failure.headers


async def test_an_unknown_key_is_no_reason_to_let_any_origin_read(place: Place) -> None:
    failure = refused(await place.post({}, site="nobody", Origin="https://evil.example"))
    assert failure.code == "unknown_key"
    assert "Access-Control-Allow-Origin" not in failure.headers


async def test_failures_before_the_key_is_looked_at_can_be_read_too(place: Place) -> None:
    for reply in (
        await place.post({}, Content_Type="text/html"),
        await place.ask("PUT", f"/v1/collect?site={KEY}", {"Origin": ORIGIN}),
        await place.ask("GET", f"/v1/nowhere?site={KEY}", {"Origin": ORIGIN}),
    ):
        assert refused(reply).headers["Access-Control-Allow-Origin"] == ORIGIN


async def decide(place: Place, body: bytes, cookies: str = "", origin: str = ORIGIN):  # type: ignore[no-untyped-def]
    headers = {"Origin": origin, "Cookie": cookies} | PLAIN
    return await place.ask("POST", f"/v1/consent?site={KEY}", {k: v for k, v in headers.items() if v}, body)


async def test_consent_that_is_given_is_kept(place: Place) -> None:
    reply = await decide(place, json.dumps({"state": "granted", "uid": UID, "at": place.now - 5}).encode())
    assert (reply.status, reply.json) == (200, {"state": "granted"})
    ((site_id, consent),) = place.recorder.consents
    assert (site_id, consent.uid, consent.state, consent.decided_at) == (SITE.site_id, UID, "granted", place.now - 5)
    assert set_cookies_of(reply) == {}


async def test_denial_deletes_both_cookies_and_is_kept_without_the_uid(place: Place) -> None:
    place.recorder.contact_id = UID
    made = set_cookies_of(await place.sends(event()))
    reply = await decide(
        place, json.dumps({"state": "denied", "uid": UID}).encode(), "; ".join(pair(cookie) for cookie in made.values())
    )
    assert (reply.status, reply.json) == (200, {"state": "denied"})
    gone = set_cookies_of(reply)
    assert set(made) <= set(gone)
    for cookie in gone.values():
        assert re.fullmatch(r"\w+=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert [consent.uid for _, consent in place.recorder.consents] == [None]


async def test_denial_deletes_the_cookies_even_when_it_cannot_be_kept(place: Place) -> None:
    place.recorder.fails = StorageUnavailable()
    reply = await decide(place, b'{"state": "denied"}')
    assert refused(reply).code == "storage_unavailable"
    assert {"GlobalVisit", "CurrentContact"} <= set(set_cookies_of(reply))
    granted = await decide(place, b'{"state": "granted"}')
    assert refused(granted).status == 503
    assert set_cookies_of(granted) == {}


@pytest.mark.parametrize("body", [b"", b"{", b'{"state": "maybe"}', b"[]"])
async def test_what_is_no_decision_is_malformed(place: Place, body: bytes) -> None:
    assert refused(await decide(place, body)).code == "malformed_json"


async def test_consent_is_checked_like_a_batch(place: Place) -> None:
    assert refused(await decide(place, b'{"state": "denied"}', origin="https://evil.example")).status == 403
    assert refused(await place.ask("POST", "/v1/consent?site=x", PLAIN, b"{}")).status == 401
    assert (
        refused(await place.ask("POST", f"/v1/consent?site={KEY}", {"Content-Type": "text/html"}, b"{}")).status == 415
    )


async def test_the_pixel_records_an_event_and_knows_no_cookies(place: Place) -> None:
    before = counts()
    place.recorder.contact_id = UID
    headers = {"Cookie": "GlobalVisit=x", "User-Agent": "Thunderbird"}
    reply = await place.ask(
        "GET", f"/v1/pixel.gif?site={KEY}&c=mail&a=open&uid={UID}&e=a%40b.c&d.list=spr%C3%ADng", headers
    )
    assert (reply.status, reply.headers["Content-Type"], reply.body[:6]) == (200, "image/gif", b"GIF89a")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert set_cookies_of(reply) == {}
    (arrival,) = place.recorder.arrivals
    (made,) = arrival.events
    assert (made.category, made.action, made.uid) == ("mail", "open", UID)
    assert json.loads(made.body) == {"email": "a@b.c", "dims": {"list": "spríng"}}
    assert (arrival.device_id, arrival.contact_id) == (None, None)
    assert growth(before) == {"received": 1, "stored": 1}


async def test_each_pixel_is_an_event_of_its_own(place: Place) -> None:
    for _ in range(2):
        assert (await place.ask("GET", f"/v1/pixel.gif?site={KEY}")).status == 200
    assert len(set(place.recorder.event_ids)) == 2


async def test_the_pixel_is_checked_like_a_batch(place: Place) -> None:
    before = counts()
    assert refused(await place.ask("GET", "/v1/pixel.gif?site=x")).status == 401
    pixel = f"/v1/pixel.gif?site={KEY}"
    assert refused(await place.ask("GET", pixel, {"Origin": "https://evil.example"})).status == 403
    reply = await place.ask("GET", pixel, {"Origin": ORIGIN})
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    place.recorder.fails = StorageUnavailable()
    assert refused(await place.ask("GET", pixel)).status == 503
    assert growth(before)["refused"] == 3


async def test_the_sdk_comes_with_the_settings_of_the_site() -> None:
    site = with_settings(SITE, consent="required", gpc_denies=True, own_domains=("pay.example",), track_forms=True)
    async with open_place(sites=(site,)) as place:
        reply = await place.ask("GET", f"/sdk.js?site={KEY}", {"Accept-Encoding": "identity"})
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "Content-Encoding" not in reply.headers
        found = re.fullmatch(
            rb"//# allFunctionsCalledOnLoad\n\(function\(__REGULARS_SETTINGS__\)\{(.*)\n\}\)\((.*)\);\n",
            reply.body,
            re.DOTALL,
        )
        assert found is not None
        assert found[1] == SOURCE
        assert json.loads(found[2]) == {
            "site": KEY,
            "consent": "required",
            "gpc": True,
            "own_domains": ["pay.example"],
            "outbound": False,
            "downloads": False,
            "forms": True,
            "debug": False,
        }


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("", "identity"),
        ("br;q=0", "identity"),
    ],
)
async def test_the_sdk_is_compressed_as_the_browser_likes(place: Place, accepted: str, encoding: str) -> None:
    plain = await place.ask("GET", f"/sdk.js?site={KEY}", {"Accept-Encoding": "identity"})
    reply = await place.ask("GET", f"/sdk.js?site={KEY}", {"Accept-Encoding": accepted})
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}[encoding]
    assert reply.headers.get("Content-Encoding", "identity") == encoding
    assert unpack(reply.body) == plain.body
    assert "Accept-Encoding" in reply.headers["Vary"]


async def test_the_sdk_is_not_sent_again_while_it_is_the_same(place: Place) -> None:
    path = f"/sdk.js?site={KEY}"
    first = await place.ask("GET", path, {"Accept-Encoding": "br"})
    tag = first.headers["ETag"]
    for header in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        again = await place.ask("GET", path, {"Accept-Encoding": "br", "If-None-Match": header})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == tag
    assert (await place.ask("GET", path, {"Accept-Encoding": "gzip", "If-None-Match": tag})).status == 200
    place.sites[0] = with_settings(SITE, debug=True)
    await place.edge.sites.refresh()
    changed = await place.ask("GET", path, {"Accept-Encoding": "br", "If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


async def test_the_sdk_of_one_version_never_changes_and_can_be_pinned(place: Place) -> None:
    version = (await place.ask("GET", "/sdk/version.json")).json
    assert version == {"version": "1.2.3", "path": "sdk/1.2.3/sdk.js", "integrity": integrity_of(SOURCE)}
    reply = await place.ask("GET", f"/{version['path']}", {"Accept-Encoding": "identity"})
    assert reply.body == SOURCE
    assert "immutable" in reply.headers["Cache-Control"]
    assert reply.headers["Access-Control-Allow-Origin"] == "*", "integrity needs CORS"
    assert refused(await place.ask("GET", "/sdk/1.2.2/sdk.js")).status == 404


async def test_the_sdk_needs_a_site_and_has_to_be_built(place: Place) -> None:
    assert refused(await place.ask("GET", "/sdk.js")).code == "unknown_key"
    async with open_place(source=None) as bare:
        for path in (f"/sdk.js?site={KEY}", "/sdk/1.2.3/sdk.js", "/sdk/version.json"):
            assert refused(await bare.ask("GET", path)).status == 404


async def test_a_new_site_is_found_without_a_restart() -> None:
    async with open_place(sites=()) as place:
        assert (await place.sends(event())).status == 401
        place.sites.append(SITE)
        await place.edge.sites.refresh()
        assert (await place.sends(event())).status == 200


async def test_health_and_readiness(place: Place) -> None:
    assert (await place.ask("GET", "/readyz")).status == 200
    assert place.recorder.probes == 0
    place.recorder.ready, place.recorder.fails = False, StorageUnavailable()
    assert (await place.ask("GET", "/readyz")).status == 503
    assert (await place.ask("GET", "/healthz")).status == 200
    place.recorder.fails = None
    assert (await place.ask("GET", "/readyz")).status == 200, "each look is an attempt"


async def test_metrics_are_for_prometheus(place: Place) -> None:
    reply = await place.ask("GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    assert b"regulars_events_received_total" in reply.body


async def test_everything_lies_below_the_prefix() -> None:
    async with open_place(prefix="/track") as place:
        assert (await place.sends(event())).status == 200
        for path in ("/healthz", f"/sdk.js?site={KEY}", "/sdk/version.json"):
            assert (await place.ask("GET", path)).status == 200
        root = place.url.removesuffix("/track")
        place.url = root
        assert (await place.ask("GET", "/healthz")).status == 404
        assert (await place.sends(event())).status == 404
