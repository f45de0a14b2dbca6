"""The administration opens to a site's secret key and to nothing else."""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.keys import hash_secret
from collector.domain.site import Site, SiteSettings
from collector.store.keys import replace_key
from collector.store.sites import insert_site, update_site
from collector.web.api import ENDPOINTS
from tests.api_shop import SECRET, Shop, full_key, open_shop
from tests.http_transport import ORIGIN

OTHER_SECRET = "rsk_of-somebody-else"
SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
ADDRESSES = [(each.method, re.sub(r"\{\w+\}", SOMEBODY, each.path.replace("{merge_id}", "1"))) for each in ENDPOINTS]
WRONG_KEYS = {
    "none": {},
    "unknown": {"Authorization": "Bearer rsk_unknown"},
    "empty": {"Authorization": "Bearer "},
    "the write key": {"Authorization": "Bearer key0of0the0shop"},
    "the stored hash": {"Authorization": f"Bearer {hash_secret(SECRET).hex()}"},
    "another scheme": {"Authorization": f"Basic {SECRET}"},
    "no scheme": {"Authorization": SECRET},
    "not text": {"Authorization": "Bearer \udcff\udcfe"},
    "in the query": {},
}


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


@pytest.mark.parametrize(("method", "path"), ADDRESSES, ids=[f"{method} {path}" for method, path in ADDRESSES])
async def test_every_address_asks_for_the_secret_key(shop: Shop, method: str, path: str) -> None:
    assert await shop.fails(method, path, secret=None) == (401, "unauthorized", None)


@pytest.mark.parametrize("wrong", WRONG_KEYS)
async def test_a_wrong_key_is_refused_and_told_how_to_come_in(shop: Shop, wrong: str) -> None:
    query = f"?secret={SECRET}&access_token={SECRET}" if wrong == "in the query" else ""
    response = await shop.ask("GET", f"/api/v1/merges{query}", secret=None, headers=WRONG_KEYS[wrong])
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert SECRET not in await response.text()


async def test_the_right_key_opens_and_the_scheme_is_read_in_any_case(shop: Shop) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {SECRET}"}
        response = await shop.ask("GET", "/api/v1/merges", secret=None, headers=headers)
        assert response.status == 200


async def test_a_key_opens_its_own_site_only(shop: Shop) -> None:
    other = Site(2, "other", "key0of0the0other", (ORIGIN,), SiteSettings())
    shop.database.transact(insert_site, other, 0)
    shop.adds_key(OTHER_SECRET, site_id=2)
    profile_id = (await shop.post(cid="ada-4711"))["profile_id"]
    for path in ("", "/events", "/explain"):
        refused = await shop.fails("GET", f"/api/v1/profiles/{profile_id}{path}", secret=OTHER_SECRET)
        assert refused == (404, "not_found", None)
    assert (await shop.fails("GET", "/api/v1/profiles?cid=ada-4711", secret=OTHER_SECRET))[0] == 404
    assert (await shop.fails("DELETE", f"/api/v1/profiles/{profile_id}", secret=OTHER_SECRET))[0] == 404
    assert (await shop.get(f"/api/v1/profiles/{profile_id}"))["cid"] == "ada-4711"


async def test_the_key_of_a_disabled_site_opens_nothing(shop: Shop) -> None:
    shop.database.transact(update_site, dataclasses.replace(shop.site, disabled=True))
    assert await shop.fails("GET", "/api/v1/merges") == (403, "site_disabled", None)


async def test_a_replaced_key_is_void_at_once(shop: Shop) -> None:
    assert await shop.get("/api/v1/merges") == {"items": [], "next": None}
    shop.database.transact(replace_key, full_key(1, "rsk_new"), 1)
    assert (await shop.fails("GET", "/api/v1/merges"))[0] == 401
    assert (await shop.ask("GET", "/api/v1/merges", secret="rsk_new")).status == 200


async def test_no_page_may_read_any_reply(shop: Shop) -> None:
    requests = [
        ("GET", "/api/v1/merges", SECRET, None),
        ("GET", "/api/v1/merges", None, None),
        ("GET", "/api/v1/profiles/nonsense", SECRET, None),
        ("POST", "/api/v1/identify", SECRET, b"nonsense"),
        ("POST", "/api/v1/identify", SECRET, b"x" * 600_000),
    ]
    for method, path, secret, body in requests:
        response = await shop.ask(method, path, secret=secret, data=body, headers={"Origin": ORIGIN})
        assert "Access-Control-Allow-Credentials" not in response.headers, (method, path, response.status)
        assert "Access-Control-Allow-Origin" not in response.headers, (method, path, response.status)


async def test_a_preflight_is_refused(shop: Shop) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert (await shop.fails("OPTIONS", "/api/v1/identify", headers=asked))[0] == 405


async def test_a_database_that_is_away_is_503_and_the_next_request_succeeds(shop: Shop) -> None:
    def rename(old: str, new: str) -> None:
        with sqlite3.connect(shop.database.path) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
        connection.close()

    rename("merges", "away")
    response = await shop.ask("GET", "/api/v1/merges")
    assert response.status == 503
    assert response.headers["Retry-After"].isdecimal()
    assert (await response.json())["error"]["retryable"] is True
    rename("away", "merges")
    assert await shop.get("/api/v1/merges") == {"items": [], "next": None}
