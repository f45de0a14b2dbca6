"""`/api/v1/quarantine`: what was refused, in pages; trying it again; dropping it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_aiohttp.plugin import AiohttpClient

from collector import metrics
from collector.domain.site import Site, SiteSettings
from collector.store.sites import insert_site
from collector.wire import native
from tests.api_shop import Shop, open_shop
from tests.http.edge_place import PLAIN, counts, growth
from tests.http_transport import ORIGIN
from tests.unit.wire_samples import event

COLLECT = "/v1/collect?site=key0of0the0shop"
ROWS = "/api/v1/quarantine"
OTHER_SECRET = "rsk_of-somebody-else"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def send(shop: Shop, *events: Any, body: bytes | None = None) -> int:
    data = json.dumps({"events": list(events)}).encode() if body is None else body
    response = await shop.ask("POST", COLLECT, secret=None, data=data, headers=PLAIN | {"Origin": ORIGIN})
    return response.status


async def rows(shop: Shop, **filters: str) -> list[dict[str, Any]]:
    return list((await shop.get(ROWS, **filters))["items"])


async def replay(shop: Shop, address: object, **kwargs: Any) -> dict[str, Any]:
    response = await shop.ask("POST", f"{ROWS}/{address}", **kwargs)
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


def replays() -> dict[str, float]:
    found = text_string_to_metric_families(metrics.expose().decode())
    return {
        sample.labels["outcome"]: sample.value
        for family in found
        for sample in family.samples
        if sample.name == "regulars_replayed_events_total"
    }


async def test_rows_come_newest_first_in_pages_and_by_filter(shop: Shop) -> None:
    sent = [event(seq="x"), event(seq="y"), event(uid="no id")]
    assert await send(shop, *sent) == 200
    assert await send(shop, body=b'{"events":[') == 400
    everything = await rows(shop)
    assert [(row["code"], row["field"], row["event_id"]) for row in everything] == [
        ("malformed_json", "", None),
        ("malformed_id", "uid", sent[2]["event_id"]),
        ("invalid_field", "seq", sent[1]["event_id"]),
        ("invalid_field", "seq", sent[0]["event_id"]),
    ]
    assert [row["whole_request"] for row in everything] == [True, False, False, False]
    assert "raw" not in everything[0]
    pages, start = [], {}
    while True:
        page = await shop.get(ROWS, limit="3", **start)
        pages.append(page["items"])
        if page["next"] is None:
            break
        start = {"start": page["next"]}
    assert [len(page) for page in pages] == [3, 1]
    assert pages[0] + pages[1] == everything
    assert await rows(shop, code="invalid_field") == everything[2:]
    first = min(row["received_at"] for row in everything)
    assert await rows(shop, since=str(first)) == everything
    assert await rows(shop, since=str(first + 60_000)) == []


async def test_a_row_is_shown_with_what_was_sent_and_told_apart_from_what_is_no_text(shop: Shop) -> None:
    await send(shop, event(seq="<script>"))
    await send(shop, body=b'\xff\x00"\xe2\x80\xae{')
    request, one = await rows(shop)
    shown = await shop.get(f"{ROWS}/{one['id']}")
    assert {name: shown[name] for name in one} == one
    assert json.loads(shown["raw"])["seq"] == "<script>"
    assert (shown["exact"], shown["truncated"], shown["bot"], shown["sent_at"]) == (True, False, True, None)
    shown = await shop.get(f"{ROWS}/{request['id']}")
    assert (shown["raw"], shown["exact"], shown["size"]) == ('\ufffd\0"\u202e{', False, 7)
    await send(shop, body=b'"' + b"x" * 70_000)
    (long, *_) = await rows(shop)
    assert (long["size"], long["truncated"]) == (65_536, True)


async def test_a_row_is_recorded_once_it_is_corrected(shop: Shop) -> None:
    before, tried = counts(), replays()
    sent = event(seq="x")
    await send(shop, sent)
    (row,) = await rows(shop)
    still = await replay(shop, f"{row['id']}/replay")
    assert still == {"id": row["id"], "status": "quarantined", "code": "invalid_field", "field": "seq"}
    assert (await rows(shop))[0]["tries"] == 1
    done = await replay(shop, f"{row['id']}/replay", json=sent | {"seq": 3})
    assert done == {"id": row["id"], "status": "stored", "code": "", "field": ""}
    assert await rows(shop) == []
    person = await shop.get("/api/v1/profiles", uid=sent["uid"])
    (stored,) = (await shop.get(f"/api/v1/profiles/{person['profile_id']}/events"))["items"]
    assert (stored["event_id"], stored["received_at"]) == (sent["event_id"], row["received_at"])
    assert growth(before) == {"received": 1, "quarantined": 1}, "it was received once"
    assert replays().get("stored", 0) == tried.get("stored", 0) + 1
    assert replays().get("quarantined", 0) == tried.get("quarantined", 0) + 1


async def test_a_request_that_is_no_json_has_to_be_corrected(shop: Shop) -> None:
    sent = event()
    await send(shop, body=b'{"events":[NaN]}')
    (row,) = await rows(shop)
    address = f"{ROWS}/{row['id']}/replay"
    assert await shop.fails("POST", address) == (409, "correction_needed", None)
    assert await shop.fails("POST", address, data=b"{", headers=PLAIN) == (400, "malformed_json", None)
    assert await shop.fails("POST", address, json={"events": [1] * 501}) == (413, "too_many_events", None)
    assert await rows(shop) == [row]
    done = await replay(shop, f"{row['id']}/replay", json={"events": [sent, event(seq=-1)]})
    assert done["events"] == {"stored": 1, "duplicate": 0, "suppressed": 0, "quarantined": 1}
    assert [one["code"] for one in await rows(shop)] == ["invalid_field"]


async def test_many_are_tried_in_order_of_arrival_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [event(extra={"x": "x" * 33_000}) for _ in range(4)]
    await send(shop, *large[:2], event(seq="x"), *large[2:])
    ids = [row["id"] for row in reversed(await rows(shop))]
    monkeypatch.setattr(native, "MAX_EVENT_BYTES", 64 * 1024)
    first = await replay(shop, "replay?code=event_too_large&limit=3")
    assert [(row["id"], row["status"]) for row in first["items"]] == [
        (ids[0], "stored"),
        (ids[1], "stored"),
        (ids[3], "stored"),
    ]
    rest = await replay(shop, f"replay?code=event_too_large&limit=3&start={first['next']}")
    assert ([row["id"] for row in rest["items"]], rest["next"]) == ([ids[4]], None)
    assert [row["id"] for row in await rows(shop)] == [ids[2]]
    everything = await replay(shop, "replay")
    assert [(row["id"], row["status"]) for row in everything["items"]] == [(ids[2], "quarantined")]


async def test_rows_are_dropped_one_by_one_by_filter_and_all_only_when_asked_for(shop: Shop) -> None:
    async def drop(query: str) -> Any:
        return await (await shop.ask("DELETE", f"{ROWS}{query}")).json()

    await send(shop, event(seq="x"), event(seq="y"), event(uid="no id"), event(uid="no id"))
    newest = (await rows(shop))[0]
    assert await drop(f"/{newest['id']}") == {"deleted": 1}
    assert await shop.fails("DELETE", f"{ROWS}/{newest['id']}") == (404, "not_found", None)
    assert await drop("?code=malformed_id") == {"deleted": 1}
    assert (await shop.fails("DELETE", ROWS))[:2] == (400, "invalid_parameter")
    assert (await shop.fails("DELETE", f"{ROWS}?all=true&code=malformed_id"))[:2] == (400, "invalid_parameter")
    assert len(await rows(shop)) == 2
    assert await drop("?all=true") == {"deleted": 2}


@pytest.mark.parametrize(
    ("method", "address", "field"),
    [
        ("GET", "?code=nonsense", "code"),
        ("GET", "?since=yesterday", "since"),
        ("GET", "?since=-1", "since"),
        ("GET", "?limit=0", "limit"),
        ("GET", "?start=x", "start"),
        ("GET", "?cod=malformed_id", None),
        ("GET", "/x", "quarantine_id"),
        ("GET", "/-1", "quarantine_id"),
        ("GET", "/%C2%B2", "quarantine_id"),
        ("GET", f"/{2**63}", "quarantine_id"),
        ("DELETE", "?sinc=5", None),
        ("DELETE", "?code=malformed_id&code=invalid_field", "code"),
        ("POST", "/replay?cod=malformed_id", None),
        ("POST", "/1/replay?code=malformed_id", None),
        ("POST", "/x/replay", "quarantine_id"),
    ],
)
async def test_a_mistyped_filter_reaches_nothing(shop: Shop, method: str, address: str, field: str | None) -> None:
    await send(shop, event(seq="x"))
    assert await shop.fails(method, ROWS + address) == (400, "invalid_parameter", field)
    (row,) = await rows(shop)
    assert row["tries"] == 0


async def test_what_is_not_there_is_not_found(shop: Shop) -> None:
    for method, address in (("GET", "/7"), ("DELETE", "/7"), ("POST", "/7/replay"), ("GET", f"/{2**63 - 1}")):
        assert await shop.fails(method, ROWS + address) == (404, "not_found", None)
    assert await shop.get(ROWS) == {"items": [], "next": None}


async def test_a_key_reaches_the_rows_of_its_own_site_only(shop: Shop) -> None:
    other = Site(2, "other", "key0of0the0other", (ORIGIN,), SiteSettings())
    shop.database.transact(insert_site, other, 0)
    shop.adds_key(OTHER_SECRET, site_id=2)
    await send(shop, event(seq="x"))
    (row,) = await rows(shop)
    for method, address in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        refused = await shop.fails(method, f"{ROWS}/{row['id']}{address}", secret=OTHER_SECRET)
        assert refused == (404, "not_found", None)
    assert await (await shop.ask("GET", ROWS, secret=OTHER_SECRET)).json() == {"items": [], "next": None}
    dropped = await shop.ask("DELETE", f"{ROWS}?all=true", secret=OTHER_SECRET)
    assert await dropped.json() == {"deleted": 0}
    assert await rows(shop) == [row]


async def test_a_correction_is_checked_like_any_body(shop: Shop) -> None:
    await send(shop, event(seq="x"))
    (row,) = await rows(shop)
    address = f"{ROWS}/{row['id']}/replay"
    assert (await shop.fails("POST", address, data=b"x" * 600_000, headers=PLAIN))[:2] == (413, "body_too_large")
    wrong = {"Content-Type": "text/html"}
    assert (await shop.fails("POST", address, data=b"{}", headers=wrong))[:2] == (415, "unsupported_media_type")
    assert (await shop.fails("POST", address, data=b"[1]", headers=PLAIN))[:2] == (400, "malformed_json")
    assert await rows(shop) == [row]
