"""T11: whatever is sent is answered with its exact code, never with 500, and costs its neighbours nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from tests.api_shop import Shop, open_shop
from tests.http.edge_place import PLAIN, Place, counts, growth
from tests.http.malformed_corpus import (
    ALSO_REJECTED,
    BAD_EVENTS,
    MUST_ACCEPT,
    MUST_REJECT,
    OURS_TO_DECIDE,
    gzip_variants,
    raw_requests,
)
from tests.http_transport import ORIGIN
from tests.unit.wire_samples import batch, event

COLLECT = "/v1/collect?site=key0of0the0shop"
REJECTED = MUST_REJECT | ALSO_REJECTED


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def send(shop: Shop, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    said = PLAIN | {"Origin": ORIGIN} | {name.replace("_", "-"): value for name, value in headers.items()}
    response = await shop.ask("POST", COLLECT, secret=None, data=body, headers=said)
    document: dict[str, Any] = await response.json()
    return response.status, document


def bodies(shop: Shop) -> dict[str, tuple[dict[str, Any], str | None]]:
    """What is stored: the body and the warnings of each event, by its id as hexadecimal digits."""
    with closing(sqlite3.connect(shop.database.path)) as connection:
        rows = connection.execute("SELECT lower(hex(event_id)), body, warnings FROM events").fetchall()
    return {event_id: (json.loads(body), warnings) for event_id, body, warnings in rows}


def stored_id(sent: dict[str, Any]) -> str:
    return str(sent["event_id"]).replace("-", "")


def between(first: dict[str, Any], text: bytes, last: dict[str, Any]) -> bytes:
    """A batch of three whose middle event is `text`."""
    return b'{"events":[%b,%b,%b]}' % (json.dumps(first).encode(), text, json.dumps(last).encode())


def holding(sent: dict[str, Any], text: bytes) -> bytes:
    """The text of an event that holds `text` as one of its values."""
    return json.dumps(sent | {"extra": {"x": "MARK"}}).encode().replace(b'"MARK"', text)


@pytest.mark.parametrize("name", REJECTED)
async def test_what_is_no_json_is_400_alone_and_inside_a_batch_and_kept(shop: Shop, name: str) -> None:
    text = REJECTED[name]
    before = counts()
    sent = [text, between(event(), text, event()), between(event(), holding(event(), text), event())]
    for body in sent:
        status, document = await send(shop, body)
        assert (status, document["error"]["code"]) == (400, "malformed_json"), body[:80]
    assert bodies(shop) == {}, "what cannot be parsed cannot be counted as stored"
    kept = (await shop.get("/api/v1/quarantine"))["items"]
    assert [row["size"] for row in reversed(kept)] == [min(len(body), 65_536) for body in sent]
    assert growth(before)["refused"] == len(sent)
    good = event()
    assert (await send(shop, batch(good)))[0] == 200


@pytest.mark.parametrize("name", MUST_ACCEPT)
async def test_what_is_json_is_stored_as_it_is(shop: Shop, name: str) -> None:
    text, value = MUST_ACCEPT[name]
    await holds(shop, text, value, None)


@pytest.mark.parametrize("name", OURS_TO_DECIDE)
async def test_what_is_ours_to_decide_is_stored_as_was_decided(shop: Shop, name: str) -> None:
    text, value, warning = OURS_TO_DECIDE[name]
    await holds(shop, text, value, warning)


async def holds(shop: Shop, text: bytes, value: Any, warning: str | None) -> None:
    """Between good neighbours `text` is stored as `value`; by itself it is no batch."""
    first, middle, last = event(), event(), event()
    status, document = await send(shop, between(first, holding(middle, text), last))
    assert (status, document["accepted"], document["quarantined"]) == (200, 3, 0)
    stored = bodies(shop)
    assert stored.keys() == {stored_id(sent) for sent in (first, middle, last)}
    body, warnings = stored[stored_id(middle)]
    found = body["extra"]["x"]
    assert (found, type(found)) == (value, type(value))
    assert (warnings or "").split() == ["no_sent_at", *([warning] if warning else [])]
    told = [each["code"] for each in document["results"]]
    assert len(told) == 3, "each was told about its clock"
    status, document = await send(shop, text)
    assert (status, document["error"]["code"]) == (400, "malformed_json"), "JSON, but no batch"


@pytest.mark.parametrize("name", BAD_EVENTS)
async def test_a_bad_event_is_quarantined_with_its_code_and_its_neighbours_are_stored(shop: Shop, name: str) -> None:
    text, code, field = BAD_EVENTS[name]
    before = counts()
    first, spare, last = event(), event(), event()
    made = text.replace(b"ID", spare["event_id"].encode()).replace(b"BASE", b'"category":"a","action":"b"')
    status, document = await send(shop, between(first, made, last))
    assert (status, document["accepted"], document["quarantined"]) == (200, 2, 1)
    (refused,) = [each for each in document["results"] if each["status"] == "quarantined"]
    assert (refused["index"], refused["code"], refused["field"]) == (1, code, field)
    assert bodies(shop).keys() == {stored_id(first), stored_id(last)}
    (row,) = (await shop.get("/api/v1/quarantine"))["items"]
    assert (row["code"], row["field"], row["event_id"]) == (code, field, refused["event_id"])
    assert growth(before) == {"received": 3, "stored": 2, "quarantined": 1}


GZIPPED = batch(event(), event())


@pytest.mark.parametrize("name", gzip_variants(GZIPPED))
async def test_gzip_in_every_condition(shop: Shop, name: str) -> None:
    body, code = gzip_variants(GZIPPED)[name]
    status, document = await send(shop, body, Content_Encoding="gzip")
    if code is None:
        assert (status, document["accepted"], len(bodies(shop))) == (200, 2, 2)
    else:
        expected = 413 if code == "body_too_large" else 400
        assert (status, document["error"]["code"]) == (expected, code)
        assert bodies(shop) == {}


REQUESTS = raw_requests(batch(event()), "key-of_the-shop")


@pytest.mark.parametrize("name", REQUESTS)
async def test_headers_in_every_condition(place: Place, name: str) -> None:
    data, expected = REQUESTS[name]
    status, reply = await exchange(place, data)
    assert status == expected, reply
    assert b"Traceback" not in reply
    recorded = len(place.recorder.arrivals)
    assert recorded == (status == 200), "stored and acknowledged, or neither"
    assert (await place.sends(event())).status == 200


async def exchange(place: Place, data: bytes) -> tuple[int, bytes]:
    """Status and all of the reply to `data`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.url.rpartition(":")[2]))
    writer.write(data)
    async with asyncio.timeout(20):
        reply = await reader.read()
    writer.close()
    return int(reply.split()[1]), reply
