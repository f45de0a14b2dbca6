"""The document that the collector gives of itself, and the page that is made of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient
from openapi_spec_validator import validate
from pytest_aiohttp.plugin import AiohttpClient

from collector import __version__
from collector.app import create_app
from collector.config import Config
from collector.web.api import ENDPOINTS
from collector.web.api.endpoint import Endpoint
from collector.web.openapi import make_document, meaning_of
from collector.web.reference_page import make_page, prose
from collector.web.routes import ADDRESSES
from tests.described import check_reply
from tests.described import document as described_here

Client = TestClient[Any, Any]
FAILURE = {"error": {"code": "not_found", "message": "x", "request_id": "x", "retryable": False}}


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, tmp_path: Path) -> Client:
    config = Config(database_url=f"sqlite:///{tmp_path / 'regulars.db'}", prefix="/track")
    client: Client = await aiohttp_client(create_app(config), cookie_jar=DummyCookieJar())
    return client


@pytest.fixture
async def document(client: Client) -> dict[str, Any]:
    response = await client.get("/track/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    made: dict[str, Any] = await response.json()
    return made


async def test_it_is_openapi_3_1_and_speaks_of_every_address(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == __version__
    assert document["servers"] == [{"url": "/track"}]
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(each.method, each.path) for each in (*ADDRESSES, *ENDPOINTS)}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in document["tags"]}


async def test_it_says_which_key_and_scope_an_address_needs(document: dict[str, Any]) -> None:
    for each in ENDPOINTS:
        operation = document["paths"][each.path][each.method.lower()]
        assert operation["security"] == [{"secretKey": [each.scope]}]
        assert {"400", "401", "403", "500", "503"} <= operation["responses"].keys()
        for code in each.errors:
            assert f"`{code}`" in operation["responses"][str(meaning_of(code).status)]["description"]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert document["paths"]["/v1/collect"]["post"]["security"] == [{"writeKey": []}]


async def test_parameters_have_their_types_limits_and_defaults(document: dict[str, Any]) -> None:
    said = document["paths"]["/api/v1/profiles/{profile_id}/events"]["get"]["parameters"]
    parameters = {each["name"]: each for each in said}
    assert parameters["profile_id"]["required"]
    assert parameters["profile_id"]["schema"] == {"type": "string", "format": "uuid"}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert not parameters["start"]["required"]
    assert parameters["start"]["schema"] == {"type": "string"}


def test_every_code_of_an_endpoint_has_a_meaning() -> None:
    for each in (*ENDPOINTS, *ADDRESSES):
        for code in each.errors:
            assert meaning_of(code).status >= 400


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/v1/merges", 200, {"items": [], "next": None, "more": 1}),
        ("/api/v1/merges", 200, {"items": []}),
        ("/api/v1/merges", 200, {"items": [{"merge_id": "1"}], "next": None}),
        ("/api/v1/merges", 418, {}),
        ("/api/v1/merges", 403, FAILURE),
        ("/api/v1/elsewhere", 200, {}),
    ],
)
def test_a_reply_that_is_not_as_described_would_be_noticed(path: str, status: int, body: Any) -> None:
    with pytest.raises(AssertionError):
        check_reply("GET", path, status, "application/json", body)
    check_reply("GET", "/api/v1/merges", 200, "application/json", {"items": [], "next": None})
    check_reply("GET", "/api/v1/profiles", 404, "application/json", FAILURE)


class Page(HTMLParser):
    """Ids, links, and whatever a page could load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [str(value) for name, value in attrs if name == "id"]
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]


async def test_the_reference_speaks_of_every_address_and_needs_nothing_from_elsewhere(
    client: Client, document: dict[str, Any]
) -> None:
    response = await client.get("/track/reference")
    assert (response.status, response.content_type) == (200, "text/html")
    html = await response.text()
    page = Page()
    page.feed(html)
    assert len(set(page.ids)) == len(page.ids)
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["operationId"] in page.ids
    assert not page.tags & {"script", "img", "link", "iframe", "form", "object", "base"}
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"url\(|@import|https?:", style)


async def test_both_are_made_once(client: Client) -> None:
    for path in ("/track/openapi.json", "/track/reference"):
        first, second = await client.get(path), await client.get(path)
        assert await first.read() == await second.read()
        assert first.headers["Cache-Control"] == "no-store"


def test_text_of_the_document_is_text_on_the_page() -> None:
    assert prose("a <b> & `c<d>`\n\n- x\n- `y`") == (
        "<p>a &lt;b&gt; &amp; <code>c&lt;d&gt;</code></p><ul><li>x</li><li><code>y</code></li></ul>"
    )
    spoilt = json.loads(json.dumps(described_here()).replace("Erase a person", "<script>alert(1)</script>"))
    html, _ = make_page(spoilt)
    assert b"<script>" not in html
    assert b"&lt;script&gt;alert(1)" in html


def test_an_endpoint_says_that_it_may_be_empty_and_what_its_headers_mean() -> None:
    known = ENDPOINTS[0]
    paged = Endpoint(
        "GET",
        "/backend/data/visits",
        known.handler,
        "Visits",
        known.scope,
        reply=list[str],
        may_be_empty=True,
        headers={"Paging-Next": "Where the next page starts."},
    )
    said = make_document((), (paged,), "")["paths"]["/backend/data/visits"]["get"]
    assert said["tags"] == ["History"]
    assert "204" in said["responses"]
    assert said["responses"]["200"]["headers"]["Paging-Next"]["description"] == "Where the next page starts."
    schema = said["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"type": "array", "items": {"type": "string"}}
