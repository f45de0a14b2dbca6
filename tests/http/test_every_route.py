"""What every route has in common, whoever wrote it: methods, keys, bodies, CORS and headers (T14).

The routes come from the router. One that is not in `SURFACES` fails: whoever adds one decides whose it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from pytest_aiohttp.plugin import AiohttpClient

from collector.store.sites import update_site
from collector.web.routes import make_web_app
from tests.api_shop import Shop, open_shop
from tests.http.edge_place import PLAIN
from tests.http_transport import ORIGIN

# PAGE: from browsers, with the write key in the query. SCRIPT: what any page may load. KEY: from servers, with the
# secret key. OPERATOR: asks for nothing. A * marks routes that read a body.
SURFACES = {
    "GET /healthz": "OPERATOR",
    "GET /metrics": "OPERATOR",
    "GET /readyz": "OPERATOR",
    "GET /sdk.js": "SCRIPT",
    "GET /sdk/version.json": "SCRIPT",
    "GET /sdk/{version}/sdk.js": "SCRIPT",
    "GET /v1/pixel.gif": "PAGE",
    "OPTIONS /v1/collect": "PAGE",
    "OPTIONS /v1/consent": "PAGE",
    "POST /v1/collect": "PAGE *",
    "POST /v1/consent": "PAGE *",
    "GET /api/v1/profiles": "KEY",
    "GET /api/v1/profiles/{profile_id}": "KEY",
    "DELETE /api/v1/profiles/{profile_id}": "KEY",
    "GET /api/v1/profiles/{profile_id}/events": "KEY",
    "GET /api/v1/profiles/{profile_id}/explain": "KEY",
    "GET /api/v1/merges": "KEY",
    "POST /api/v1/merges/{merge_id}/reverse": "KEY",
    "GET /api/v1/apart": "KEY",
    "DELETE /api/v1/apart/{merge_id}": "KEY",
    "GET /openapi.json": "OPERATOR",
    "GET /reference": "OPERATOR",
    "POST /api/v1/identify": "KEY *",
    "GET /api/v1/keys": "KEY",
    "POST /api/v1/keys": "KEY *",
    "DELETE /api/v1/keys/{key_id}": "KEY",
    "GET /api/v1/interactions": "KEY",
    "POST /api/v1/interactions": "KEY *",
    "GET /api/v1/interactions/{interaction_id}": "KEY",
    "POST /api/v1/interactions/{interaction_id}/decision": "KEY *",
    "GET /api/v1/visitors/current": "KEY",
    "GET /api/v1/quarantine": "KEY",
    "DELETE /api/v1/quarantine": "KEY",
    "POST /api/v1/quarantine/replay": "KEY",
    "GET /api/v1/quarantine/{quarantine_id}": "KEY",
    "DELETE /api/v1/quarantine/{quarantine_id}": "KEY",
    "POST /api/v1/quarantine/{quarantine_id}/replay": "KEY *",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
IN_A_PATH = {"{version}": "0.1.0", "{quarantine_id}": "7", "{merge_id}": "7"}  # anything else is an id
SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
ROUTES = sorted({(r.method, r.resource.canonical) for r in make_web_app().router.routes() if r.resource is not None})
MINE = [(method, path) for method, path in ROUTES if method != "HEAD"]  # which is GET's
EACH = pytest.mark.parametrize(("method", "path"), MINE, ids=[" ".join(route) for route in MINE])
EACH_PATH = pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
HUGE = b"x" * 700_000


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


def surface_of(method: str, path: str) -> tuple[str, bool]:
    """(whose it is, does it read a body?)."""
    surface = SURFACES[f"{method} {path}"]
    return surface.split()[0], surface.endswith("*")


def address_of(path: str) -> str:
    return re.sub(r"\{\w+\}", lambda found: IN_A_PATH.get(found[0], SOMEBODY), path)


async def ask(
    shop: Shop, method: str, path: str, *, key: str | None = None, secret: str | None = None, body: bytes | None = None
) -> ClientResponse:
    """A request from a page of the site, with the good keys unless others are given."""
    query = {"site": shop.site.write_key if key is None else key} if not path.startswith("/api/") else {}
    headers = PLAIN | {"Origin": ORIGIN}
    known = {} if secret is None else {"secret": secret or None}
    return await shop.ask(method, address_of(path), params=query, headers=headers, data=body, **known)


def test_every_route_is_in_the_table_and_the_table_names_no_other() -> None:
    assert {" ".join(route) for route in MINE} == SURFACES.keys()


@EACH
async def test_every_reply_has_the_headers_that_keep_it_harmless(shop: Shop, method: str, path: str) -> None:
    replies = [
        await ask(shop, method, path),
        await ask(shop, method, path, key="nobody", secret=""),
        await ask(shop, method, path, body=HUGE),
        await ask(shop, "PROPFIND", path),
    ]
    for reply in replies:
        assert reply.status < 500, await reply.text()
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert reply.headers["Server"] == "regulars", "which software, of which version, is nobody's business"
        is_script = path.endswith("sdk.js") and reply.status == 200
        assert reply.headers["Cache-Control"].startswith("public" if is_script else "no-store")
        if reply.status >= 400:
            error = (await reply.json())["error"]
            assert {"code", "message", "request_id", "retryable"} <= error.keys()
            assert reply.headers["X-Request-Id"] == error["request_id"]


@EACH_PATH
async def test_other_methods_are_405_and_told_which_ones_there_are(shop: Shop, path: str) -> None:
    address = address_of(path)
    allowed = {method for method, other in ROUTES if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", other), address)}
    for method in set(METHODS) - allowed:
        reply = await ask(shop, method, path)
        assert (reply.status, reply.headers.get("Allow")) == (405, ", ".join(sorted(allowed))), method
        if method != "HEAD":
            assert (await reply.json())["error"]["code"] == "method_not_allowed"


@EACH
async def test_no_route_opens_without_its_key(shop: Shop, method: str, path: str) -> None:
    surface, _ = surface_of(method, path)
    if surface == "KEY":
        for secret in ("", "rsk_unknown", shop.site.write_key):
            reply = await ask(shop, method, path, secret=secret)
            assert (reply.status, (await reply.json())["error"]["code"]) == (401, "unauthorized")
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        shop.database.transact(update_site, dataclasses.replace(shop.site, disabled=True))
        reply = await ask(shop, method, path)
        assert (reply.status, (await reply.json())["error"]["code"]) == (403, "site_disabled")
    elif surface == "PAGE":
        assert (await ask(shop, method, path, key="nobody")).status == 401
    else:
        assert (await ask(shop, method, path, secret="")).status in (200, 404), "404: no such SDK here"


@EACH
async def test_no_route_takes_an_endless_body(shop: Shop, method: str, path: str) -> None:
    _, reads = surface_of(method, path)
    reply = await ask(shop, method, path, body=HUGE)
    assert reply.status < 500
    if reads:
        assert (reply.status, (await reply.json())["error"]["code"]) == (413, "body_too_large")
    assert (await ask(shop, "GET", "/healthz")).status == 200


@EACH
async def test_pages_can_read_why_and_what_needs_the_secret_key_can_be_read_by_none(
    shop: Shop, method: str, path: str
) -> None:
    surface, reads = surface_of(method, path)
    replies = [await ask(shop, method, path), await ask(shop, method, path, key="nobody", secret="")]
    replies += [await ask(shop, method, path, body=HUGE)] if reads else []
    for reply in replies:
        cors = {name: value for name, value in reply.headers.items() if name.startswith("Access-Control-")}
        if surface == "KEY":
            assert cors == {}
        elif surface == "PAGE":
            assert cors["Access-Control-Allow-Origin"] == ORIGIN
            assert cors["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in reply.headers["Vary"]
    if surface == "PAGE":
        stranger = await shop.ask(
            method,
            address_of(path),
            secret=None,
            params={"site": shop.site.write_key},
            headers=PLAIN | {"Origin": "https://evil.example"},
        )
        assert stranger.status == 403
        assert "Access-Control-Allow-Origin" not in stranger.headers
