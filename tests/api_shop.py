"""A shop with a running collector, its secret key, and what is needed to ask the administration about people."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from collector.app import create_app
from collector.config import Config
from collector.domain.keys import FULL, Key, Scope, hash_secret
from collector.domain.site import Site, SiteSettings
from collector.store.database import Database
from collector.store.keys import insert_key
from collector.store.sites import insert_site
from tests.databases import new_database
from tests.described import check_reply
from tests.http_transport import ORIGIN, HttpTransport
from tests.stage import Stage

SECRET = "rsk_of-the-shop"


_numbers = itertools.count(1)


def full_key(site_id: int, secret: str, *scopes: Scope, name: str = "default") -> Key:
    """A key that opens everything, or `scopes` alone."""
    key_id = f"01890a5d-0000-7000-8000-{next(_numbers):012x}"
    return Key(site_id, key_id, name, hash_secret(secret), frozenset(scopes) or FULL, 0)


@dataclass(frozen=True, slots=True)
class Shop:
    """A collector with one site, on which `stage` plays. `database` is another connection to its file."""

    client: TestClient[Any, Any]
    database: Database
    site: Site
    stage: Stage

    def adds_key(self, secret: str, *scopes: Scope, site_id: int = 1) -> Key:
        """Another secret key; one that opens everything unless `scopes` are given."""
        key = full_key(site_id, secret, *scopes, name=f"key {secret}")
        self.database.transact(insert_key, key)
        return key

    async def ask(self, method: str, path: str, *, secret: str | None = SECRET, **kwargs: Any) -> ClientResponse:
        """A request with a secret key; the reply is as the document of the API says."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        response = await self.client.request(method, path, headers=headers | kwargs.pop("headers", {}), **kwargs)
        document = await response.json() if response.content_type == "application/json" and method != "HEAD" else None
        check_reply(method, response.url.path, response.status, response.content_type, document)
        return response

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """The JSON of a GET that succeeds."""
        response = await self.ask("GET", path, params=params)
        assert response.status == 200, await response.text()
        document: dict[str, Any] = await response.json()
        return document

    async def post(self, **said: Any) -> dict[str, Any]:
        """What is answered to an identification that succeeds."""
        response = await self.ask("POST", "/api/v1/identify", json=said)
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer

    async def fails(self, method: str, path: str, **kwargs: Any) -> tuple[int, str, str | None]:
        """(status, code, field) of a request that is refused in the one shape of failures."""
        response = await self.ask(method, path, **kwargs)
        document = await response.json()
        assert set(document) == {"error"}
        error = document["error"]
        assert {"code", "message", "request_id", "retryable"} <= set(error) <= {*error, "field"}
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, error["code"], error.get("field")


async def open_shop(
    aiohttp_client: AiohttpClient,
    folder: Path,
    *,
    token_keys: int = 0,
    config: dict[str, Any] | None = None,
    **chosen: Any,
) -> Shop:
    """Start a collector on a new file; `chosen` are settings of the site, `config` those of the collector."""
    url = new_database(folder)
    database = Database(url)
    settings = SiteSettings(**{"bots": "include"} | chosen)  # what sends the events of these tests is no browser
    shop = Site(1, "shop", "key0of0the0shop", (ORIGIN,), settings, token_keys=token_keys)
    database.transact(insert_site, shop, 0)
    database.transact(insert_key, full_key(1, SECRET))
    client = await aiohttp_client(create_app(Config(database_url=url, **(config or {}))), cookie_jar=DummyCookieJar())
    return Shop(client, database, shop, Stage(HttpTransport(client, shop.write_key, SECRET)))
