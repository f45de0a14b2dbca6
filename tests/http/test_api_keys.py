"""Secret keys: what each scope opens, making and revoking them over HTTP, and what is masked without `pii:read`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.keys import Scope
from tests.api_shop import SECRET, Shop, open_shop
from tests.http.edge_place import PLAIN
from tests.http_transport import ORIGIN
from tests.unit.wire_samples import event

KEYS = "/api/v1/keys"
EMAIL = "ada.lovelace@analytical.example"
NARROW = "rsk_narrow"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def made(shop: Shop, *scopes: str, name: str = "crm", secret: str = SECRET) -> dict[str, Any]:
    response = await shop.ask("POST", KEYS, json={"name": name, "scopes": scopes}, secret=secret)
    assert response.status == 201, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def test_a_key_is_made_works_is_listed_without_its_secret_and_revoked(shop: Shop) -> None:
    key = await made(shop, "profiles:read", "pii:read")
    assert key.keys() == {"key_id", "name", "scopes", "created_at", "revoked_at", "secret_key"}
    secret = key.pop("secret_key")
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("crm", ["pii:read", "profiles:read"], None)
    assert (await shop.ask("GET", "/api/v1/merges", secret=secret)).status == 200
    listed = (await shop.get(KEYS))["items"]
    assert [each["name"] for each in listed] == ["default", "crm"]
    assert listed[1] == key
    revoked = await shop.ask("DELETE", f"{KEYS}/{key['key_id']}")
    assert (revoked.status, (await revoked.json()).keys()) == (200, key.keys())
    assert await shop.fails("GET", "/api/v1/merges", secret=secret) == (401, "unauthorized", None)
    assert (await shop.get(KEYS))["items"][1]["revoked_at"] is not None
    assert await shop.fails("DELETE", f"{KEYS}/{key['key_id']}") == (404, "not_found", None)


async def test_a_missing_scope_is_named(shop: Shop) -> None:
    shop.adds_key(NARROW, Scope.HISTORY_READ)
    response = await shop.ask("GET", "/api/v1/merges", secret=NARROW)
    error = (await response.json())["error"]
    assert (response.status, error["code"], error["scope"]) == (403, "scope_missing", "profiles:read")
    assert "profiles:read" in error["message"]


async def test_a_key_gives_no_scope_that_it_has_not_itself(shop: Shop) -> None:
    shop.adds_key("rsk_admin", Scope.ADMIN)
    asked = {"name": "more", "scopes": ["pii:read"]}
    refused = await shop.fails("POST", KEYS, json=asked, secret="rsk_admin")
    assert refused == (403, "scope_missing", "scopes")
    await made(shop, "admin", "quarantine", secret="rsk_admin")
    shop.adds_key(NARROW, Scope.PROFILES_READ, Scope.PII_READ)
    refused = await shop.fails("POST", KEYS, json={"name": "x", "scopes": ["profiles:read"]}, secret=NARROW)
    assert refused == (403, "scope_missing", None)


async def test_the_last_key_that_administers_stays(shop: Shop) -> None:
    (default,) = (await shop.get(KEYS))["items"]
    address = f"{KEYS}/{default['key_id']}"
    assert await shop.fails("DELETE", address) == (409, "last_admin_key", None)
    other = await made(shop, "admin", name="other")
    assert (await shop.ask("DELETE", address)).status == 200
    assert (await shop.fails("GET", KEYS))[0] == 401
    left = await shop.fails("DELETE", f"{KEYS}/{other['key_id']}", secret=other["secret_key"])
    assert left == (409, "last_admin_key", None)


async def test_names_of_valid_keys_are_unique_and_free_again_after_revoking(shop: Shop) -> None:
    key = await made(shop, "quarantine")
    again = {"name": "crm", "scopes": []}
    assert await shop.fails("POST", KEYS, json=again) == (409, "name_taken", "name")
    await shop.ask("DELETE", f"{KEYS}/{key['key_id']}")
    assert (await made(shop, name="crm"))["scopes"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "scopes"),
        ({"scopes": []}, "name"),
        ({"name": "", "scopes": []}, "name"),
        ({"name": "  ", "scopes": []}, "name"),
        ({"name": "x" * 101, "scopes": []}, "name"),
        ({"name": "\u202ex", "scopes": []}, "name"),
        ({"name": 1, "scopes": []}, "name"),
        ({"name": "x", "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "scopes": "admin"}, "scopes"),
        ({"name": "x", "scopes": ["admin"] * 1000}, "scopes"),
        ({"name": "x", "scopes": [], "secret_key": "mine"}, None),
    ],
)
async def test_what_makes_no_key_is_refused_by_name(shop: Shop, body: Any, field: str | None) -> None:
    assert await shop.fails("POST", KEYS, json=body) == (400, "invalid_parameter", field)
    assert len((await shop.get(KEYS))["items"]) == 1


async def test_keys_of_another_site_are_out_of_reach(shop: Shop) -> None:
    other = shop.adds_key("rsk_other", site_id=2)
    assert await shop.fails("DELETE", f"{KEYS}/{other.key_id}") == (404, "not_found", None)
    assert len((await shop.get(KEYS))["items"]) == 1
    assert (await shop.fails("GET", KEYS, secret="rsk_other"))[0] == 401, "the site does not exist"


async def test_without_pii_read_no_reply_holds_what_tells_who_somebody_is(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.tracks("page", "view", url=f"https://shop.example/?email={EMAIL}")
    await browser.says("ada-1", EMAIL, action="sign_up", first_name="Augusta", tier="gold")
    await browser.says("ada-1", "other@analytical.example", last_name="King")
    await shop.post(cid="ada-1", email="new@analytical.example", traits={"first_name": "Ada"})
    bad = event(seq="x", email=EMAIL, dims={"customers": {"first_name": "Augusta"}})
    body = json.dumps({"events": [bad]}).encode()
    sent = await shop.ask(
        "POST", "/v1/collect?site=key0of0the0shop", secret=None, data=body, headers=PLAIN | {"Origin": ORIGIN}
    )
    assert sent.status == 200
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    (row,) = (await shop.get("/api/v1/quarantine"))["items"]
    shop.adds_key(NARROW, Scope.ADMIN)
    one = f"/api/v1/profiles/{profile['profile_id']}"
    paths = ("/api/v1/profiles?cid=ada-1", one, f"{one}/events", f"{one}/explain", f"/api/v1/quarantine/{row['id']}")
    for path in (*paths, "/api/v1/merges"):
        full = await (await shop.ask("GET", path)).text()
        masked = await (await shop.ask("GET", path, secret=NARROW)).text()
        assert json.loads(masked).keys() == json.loads(full).keys()
        for personal in (EMAIL, "other@", "new@", "lovelace", "Augusta", "King", '"Ada"'):
            assert personal not in masked, path
        if path != "/api/v1/merges":
            assert "@analytical.example" in masked or "***" in masked, path
            assert any(personal in full for personal in (EMAIL, "Augusta")), path
    shown = await (await shop.ask("GET", one, secret=NARROW)).json()
    assert (shown["cid"], shown["email"]) == ("ada-1", "n***@analytical.example")
    assert shown["traits"]["tier"] == "gold"
    assert shown["uids"] == profile["uids"]


async def test_undoing_a_merge_tells_no_address_without_pii_read(shop: Shop) -> None:
    owner, ada = shop.stage.browser(), shop.stage.browser()
    await owner.submits("lovelace@analytical.example")
    await ada.says("ada-1", EMAIL)
    await shop.post(uid=ada.uid, cid="ada-1", email="lovelace@analytical.example")
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    shop.adds_key(NARROW, Scope.PROFILES_WRITE)
    done = await shop.ask("POST", f"/api/v1/merges/{merge['merge_id']}/reverse", secret=NARROW)
    text = await done.text()
    assert done.status == 200, text
    assert [person["email"] for person in json.loads(text)["people"]] == [
        "a***@analytical.example",
        "l***@analytical.example",
    ]
    assert EMAIL not in text
