"""A site's server says who somebody is: believed (T2), repeatable, and checked before anything is recorded."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.explain import RULE_TEXT
from collector.web.api.access import Problem
from collector.web.api.body import parse_body
from collector.web.api.identify import Identification, Said, as_event, check_identification
from tests.api_shop import Shop, open_shop
from tests.stage import START_MS

EVENT_ID = "01890a5d-ac96-774b-bcce-b302099a8057"  # version 7, born in 2023
RANDOM_ID = "5f0c954e-3e5e-4ab4-b1c9-91fa2d9f2a3f"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def test_a_server_names_the_person_behind_a_uid(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.tracks()
    answer = await shop.post(uid=browser.uid, cid=4711, email=" Ada@Analytical.Example ", traits={"tier": "gold"})
    profile = await shop.get("/api/v1/profiles", uid=browser.uid)
    assert answer["profile_id"] == profile["profile_id"]
    assert answer["status"] == "accepted"
    assert answer["warnings"] == []
    assert (profile["cid"], profile["email"]) == ("4711", "ada@analytical.example")
    assert profile["traits"] == {"tier": "gold"}
    explained = await shop.get(f"/api/v1/profiles/{profile['profile_id']}/explain")
    assert {held["trust"] for held in explained["identifiers"]} == {"secret_key"}


async def test_without_a_uid_the_identifier_names_the_person_or_begins_one(shop: Shop) -> None:
    first = await shop.post(email="ada@analytical.example")
    second = await shop.post(cid="ada-1", email="ada@analytical.example")
    assert first["profile_id"] == second["profile_id"]
    assert (await shop.get("/api/v1/profiles", cid="ada-1"))["email"] == "ada@analytical.example"


async def test_what_is_not_done_is_said(shop: Shop) -> None:
    await shop.post(cid="ada-1", email="ada@analytical.example")
    await shop.post(cid="bob-1", email="bob@difference.example")
    answer = await shop.post(cid="bob-1", email="ada@analytical.example")
    assert answer["warnings"] == ["email_owned_by_other_customer"]
    assert (await shop.get("/api/v1/profiles", cid="bob-1"))["email"] == "bob@difference.example"


@pytest.mark.parametrize("when", [{}, {"occurred_at": START_MS}], ids=["time of the id", "time given"])
async def test_a_retry_changes_nothing_and_another_event_of_the_same_id_is_refused(
    shop: Shop, when: dict[str, int]
) -> None:
    said = {"cid": "ada-1", "traits": {"tier": "gold"}, "event_id": EVENT_ID, **when}
    first = await shop.post(**said)
    again = await shop.post(**said)
    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    assert again["profile_id"] == first["profile_id"]
    assert again["event_id"] == EVENT_ID
    refused = await shop.fails("POST", "/api/v1/identify", json=said | {"traits": {"tier": "lead"}})
    assert refused == (409, "id_conflict", "event_id")
    assert (await shop.get("/api/v1/profiles", cid="ada-1"))["traits"] == {"tier": "gold"}
    assert len((await shop.get(f"/api/v1/profiles/{first['profile_id']}/events"))["items"]) == 1


async def test_what_an_erased_person_did_before_is_suppressed(shop: Shop) -> None:
    profile_id = (await shop.post(cid="ada-1"))["profile_id"]
    assert (await shop.ask("DELETE", f"/api/v1/profiles/{profile_id}")).status == 200
    answer = await shop.post(cid="ada-1", occurred_at=START_MS)
    assert (answer["status"], answer["profile_id"]) == ("suppressed", None)
    assert (await shop.fails("GET", "/api/v1/profiles?cid=ada-1"))[0] == 404


BAD: list[tuple[dict[str, Any], str | None]] = [
    ({}, "cid"),
    ({"traits": {"tier": "gold"}}, "cid"),
    ({"cid": "", "email": "ada@analytical.example"}, "cid"),
    ({"cid": "undefined"}, "cid"),
    ({"cid": "5e543256c480ac577d30f76f9120eb74"}, "cid"),  # md5("undefined")
    ({"cid": "x" * 257}, "cid"),
    ({"cid": True}, "cid"),
    ({"cid": 1.5}, "cid"),
    ({"cid": ["ada-1"]}, "cid"),
    ({"email": "ada"}, "email"),
    ({"email": 1}, "email"),
    ({"cid": "ada-1", "uid": "1"}, "uid"),
    ({"cid": "ada-1", "uid": RANDOM_ID}, "uid"),
    ({"cid": "ada-1", "event_id": "1"}, "event_id"),
    ({"cid": "ada-1", "event_id": RANDOM_ID}, "occurred_at"),
    ({"cid": "ada-1", "event_id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}, "event_id"),
    ({"cid": "ada-1", "occurred_at": 2**62}, "occurred_at"),
    ({"cid": "ada-1", "occurred_at": 2**70}, "occurred_at"),
    ({"cid": "ada-1", "occurred_at": -1}, "occurred_at"),
    ({"cid": "ada-1", "occurred_at": "2026-01-01"}, "occurred_at"),
    ({"cid": "ada-1", "traits": []}, "traits"),
    ({"cid": "ada-1", "traits": {"email": "x@analytical.example"}}, "traits"),
    ({"cid": "ada-1", "traits": {"identity_token": "a.b.c"}}, "traits"),
    ({"cid": "ada-1", "traits": {str(n): n for n in range(1001)}}, "traits"),
    ({"cid": "ada-1", "traits": {"a": "x" * 40_000}}, "traits"),
    ({"cid": "ada-1", "secret": "x"}, None),
]


def as_text(value: Any) -> bytes:
    """JSON of integers that orjson refuses, too."""
    text = orjson.dumps(value, default=str) if not isinstance(value.get("occurred_at"), int) else None
    return text or repr(value).replace("'", '"').encode()


@pytest.mark.parametrize(("said", "field"), BAD, ids=[str(said)[:60] for said, _ in BAD])
async def test_what_cannot_be_meant_is_refused_by_name_and_nothing_is_recorded(
    shop: Shop, said: dict[str, Any], field: str | None
) -> None:
    refused = await shop.fails(
        "POST", "/api/v1/identify", data=as_text(said), headers={"Content-Type": "application/json"}
    )
    assert refused == (400, "invalid_parameter", field)
    assert (await shop.fails("GET", "/api/v1/profiles?cid=ada-1"))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b'{"cid":NaN}',
        b'{"cid":"a","traits":{"a":1e400}}',
        b'{"cid":"a"} x',
        b"\xef\xbb\xbf{}",
        b'{"cid":"\xff"}',
    ],
)
async def test_what_is_no_json_object_is_refused(shop: Shop, body: bytes) -> None:
    refused = await shop.fails("POST", "/api/v1/identify", data=body, headers={"Content-Type": "application/json"})
    assert refused == (400, "malformed_json", None)


async def test_size_type_and_encoding_are_limited_as_everywhere(shop: Shop) -> None:
    async def status(data: bytes, **headers: str) -> int:
        headers = {"Content-Type": "application/json", **headers}
        return (await shop.ask("POST", "/api/v1/identify", data=data, headers=headers)).status

    said = orjson.dumps({"cid": "ada-1"})
    assert await status(b" " * 600_000) == 413
    assert await status(said, **{"Content-Type": "image/png"}) == 415
    assert await status(said, **{"Content-Encoding": "br"}) == 415
    assert await status(gzip.compress(said), **{"Content-Encoding": "gzip"}) == 200


async def test_an_unknown_parameter_records_nothing(shop: Shop) -> None:
    for query, name in (
        ("dryrun=true", None),
        ("dry_run=yes", "dry_run"),
        ("dry_run=true&dry_run=false", "dry_run"),
    ):
        refused = await shop.fails("POST", f"/api/v1/identify?{query}", json={"cid": "ada-1"})
        assert refused == (400, "invalid_parameter", name)
    assert (await shop.fails("GET", "/api/v1/profiles?cid=ada-1"))[0] == 404


async def test_a_dry_run_tells_the_rules_and_records_nothing(shop: Shop) -> None:
    async def foretold(**said: Any) -> dict[str, Any]:
        response = await shop.ask("POST", "/api/v1/identify?dry_run=true", json=said)
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        assert answer.pop("dry_run") is True
        return answer

    ada, browser = shop.stage.browser(), shop.stage.browser()
    await ada.says("ada-1", "ada@analytical.example")
    await browser.tracks()
    counted = await (await shop.client.get("/metrics")).text()
    adas = (await shop.get("/api/v1/profiles", cid="ada-1"))["profile_id"]
    guest = (await shop.get("/api/v1/profiles", uid=browser.uid))["profile_id"]
    answer = await foretold(uid=browser.uid, cid="ada-1")
    assert answer == {
        "status": "accepted",
        "rules": [{"rule": "R4b", "text": RULE_TEXT["R4b"]}],
        "profile_id": adas,
        "merges": [{"winner": adas, "loser": guest, "rule": "R4b"}],
        "warnings": [],
    }
    unknown = await foretold(uid=EVENT_ID, cid="bob-1")
    assert ([rule["rule"] for rule in unknown["rules"]], unknown["profile_id"]) == (["R3", "R4a"], None)
    taken = await foretold(cid="bob-1", email="ada@analytical.example")
    assert (taken["warnings"], taken["merges"]) == (["email_owned_by_other_customer"], [])
    assert (await shop.get("/api/v1/merges"))["items"] == []
    assert (await shop.fails("GET", "/api/v1/profiles?cid=bob-1"))[0] == 404
    events = [line for line in counted.splitlines() if line.startswith("regulars_events_total")]
    assert set(events) <= set((await (await shop.client.get("/metrics")).text()).splitlines())
    assert (await shop.post(uid=browser.uid, cid="ada-1"))["profile_id"] == adas
    assert len((await shop.get("/api/v1/merges"))["items"]) == 1


async def test_a_dry_run_refuses_what_the_real_one_would(shop: Shop) -> None:
    address = "/api/v1/identify?dry_run=true"
    assert await shop.fails("POST", address, json={"cid": "undefined"}) == (400, "invalid_parameter", "cid")
    said = {"cid": "ada-1", "event_id": EVENT_ID}
    first = await shop.post(**said)
    again = await (await shop.ask("POST", address, json=said)).json()
    assert (again["status"], again["profile_id"]) == ("duplicate", first["profile_id"])
    assert await shop.fails("POST", address, json=said | {"traits": {"a": 1}}) == (409, "id_conflict", "event_id")


async def test_text_that_a_database_cannot_hold_is_replaced(shop: Shop) -> None:
    body = b'{"cid":"ada-1","traits":{"a":"x\\u0000y","b":"\\ud800","c":12345678901234567890}}'
    response = await shop.ask("POST", "/api/v1/identify", data=body, headers={"Content-Type": "application/json"})
    assert response.status == 200, await response.text()
    traits = (await shop.get("/api/v1/profiles", cid="ada-1"))["traits"]
    assert traits == {"a": "x\ufffdy", "b": "\ufffd", "c": "12345678901234567890"}


def read(data: bytes) -> Identification:
    return check_identification(parse_body(data, Said), START_MS, RANDOM_ID)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["uid", "cid", "email", "traits", "occurred_at", "event_id", "other"])


@given(st.dictionaries(FIELDS, JSON | st.sampled_from(["ada-1", EVENT_ID, "a@b.example"]), max_size=5))
def test_any_object_is_an_event_or_a_problem(said: dict[str, Any]) -> None:
    import json  # noqa: PLC0415 - writes NaN, lone surrogates and any integer, as a careless client does

    try:
        event = as_event(read(json.dumps(said).encode()))
    except Problem:
        return
    assert event.assertion is not None
    assert event.assertion.cid or event.assertion.email
    assert orjson.loads(event.body)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_problem(data: bytes) -> None:
    with pytest.raises(Problem):
        read(data)
