"""The History API tells the story of a visitor: shapes key by key, filters, includes, pages, and what bad input gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.keys import Scope
from tests.api_shop import Shop, open_shop
from tests.stage import Browser, mint_uuid7

EMAIL = "ada@analytical.example"
SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
SHOP = "https://shop.example"
EVENT_KEYS = {
    "eventID", "category", "eventType", "eventName", "timestamp", "serverTimestamp", "visitID", "pageID",
    "globalVisitID", "url", "data",
}  # fmt: skip
PAGE_KEYS = {
    "pageID", "visitID", "sessionID", "identityId", "url", "title", "referrer", "enterDate", "exitDate", "duration",
    "globalVisitID",
}  # fmt: skip
SESSION_KEYS = {"sessionID", "identityId", "startDate", "endDate", "duration"}
IDENTITY_KEYS = {"identityId", "name", "location", "visitScope", "firstDate", "lastDate"}
LISTS = ("events", "pages", "sessions", "identities")
VISIT_KEYS = {
    "visitId", "startDate", "endDate", "endReason", "activeSessionId", "globalVisitID", "userAgentID", "state",
    "eventIds", "events", "pageIds", "pages", "sessionIds", "sessions", "identityIds", "identities",
}  # fmt: skip


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


@dataclass(frozen=True, slots=True)
class Story:
    """What a visitor did: two pages, a sign-in, a product, a sign-out."""

    browser: Browser
    pages: tuple[str, str]
    product: str
    sign_in: str
    sign_out: str

    @property
    def visit(self) -> str:
        return self.browser.visit


async def views(browser: Browser, path: str, **fields: Any) -> str:
    """A page view; its page id."""
    page = mint_uuid7(browser.clock, browser.stage.chance)
    await browser.tracks("page", "view", page=page, url=SHOP + path, title=f"Page {path}", **fields)
    return page


async def leaves(browser: Browser, page: str, path: str, active_ms: int) -> None:
    await browser.tracks("page", "exit", page=page, url=SHOP + path, extra={"active_ms": active_ms})


async def ada_shops(shop: Shop) -> Story:
    browser = shop.stage.browser()
    browser.offline = True  # one request keeps the distances in time of a clock that stands in the past
    first = await views(browser, "/", referrer="https://search.example/")
    await leaves(browser, first, "/", 700)
    second = await views(browser, "/tea")
    sign_in = await browser.says("ada-1", EMAIL, first_name="Ada", last_name="Lovelace", city="London", country="UK")
    product = await browser.tracks("product", "view", page=second, url=SHOP + "/tea", dims={"product": {"id": "p1"}})
    sign_out = await browser.signs_out()
    browser.offline = False
    await browser.sends()
    return Story(browser, (first, second), product, sign_in, sign_out)


async def listed(shop: Shop, path: str, **params: str) -> list[dict[str, Any]]:
    response = await shop.ask("GET", path, params=params)
    if response.status == 204:
        assert await response.read() == b""
        return []
    assert response.status == 200, await response.text()
    items: list[dict[str, Any]] = await response.json()
    assert items or "Paging-Next" in response.headers
    return items


async def all_pages(shop: Shop, path: str, between: Any = None, **params: str) -> list[list[dict[str, Any]]]:
    """All pages of a list; `between` runs after the first."""
    found = []
    while True:
        response = await shop.ask("GET", path, params=params)
        assert response.status == 200, await response.text()
        found.append(await response.json())
        following = response.headers.get("Paging-Next")
        if following is None:
            return found
        params["page_start"] = following
        if between is not None and len(found) == 1:
            await between()


@pytest.mark.parametrize("prefix", ["/backend/data", "/server/data"])
async def test_a_visit_tells_what_the_visitor_did(shop: Shop, prefix: str) -> None:
    story = await ada_shops(shop)
    (visit,) = await listed(shop, f"{prefix}/visits")
    assert set(visit) == VISIT_KEYS
    assert visit["visitId"] == story.visit
    assert (visit["state"], visit["endDate"], visit["endReason"], visit["activeSessionId"]) == ("Recognized", 0, None, None)
    assert all(visit[key] is None for name in LISTS for key in (name, name[:-1].replace("identitie", "identity") + "Ids"))
    events = await listed(shop, f"{prefix}/visits/{story.visit}/events")
    assert all(set(event) == EVENT_KEYS for event in events)
    assert [(event["eventType"], event["eventName"]) for event in events] == [
        ("SYSTEM", "VisitStarted"),
        ("SYSTEM", "PageEntered"),
        ("SYSTEM", "PageExited"),
        ("SYSTEM", "PageEntered"),
        ("SYSTEM", "SignIn"),
        ("BUSINESS", "product/view"),
        ("SYSTEM", "SignOut"),
    ]
    assert events[0]["eventID"] == story.visit
    assert events[0]["timestamp"] == events[1]["timestamp"] == visit["startDate"]
    assert events[5]["data"] == {"dims": {"product": {"id": "p1"}}}
    assert {event["globalVisitID"] for event in events} == {visit["globalVisitID"]}
    pages = await listed(shop, f"{prefix}/visits/{story.visit}/pages")
    assert all(set(page) == PAGE_KEYS for page in pages)
    assert [page["pageID"] for page in pages] == list(story.pages)
    assert [(page["url"], page["title"]) for page in pages] == [(f"{SHOP}/", "Page /"), (f"{SHOP}/tea", "Page /tea")]
    assert pages[0]["referrer"] == "https://search.example/"
    assert pages[0]["exitDate"] - pages[0]["enterDate"] == 1000
    assert pages[0]["duration"] == 700
    assert (pages[1]["exitDate"], pages[1]["duration"]) == (0, 0)
    (session,) = await listed(shop, f"{prefix}/visits/{story.visit}/sessions")
    assert set(session) == SESSION_KEYS
    assert (session["sessionID"], session["identityId"]) == (story.sign_in, "ada-1")
    assert session["duration"] == session["endDate"] - session["startDate"] == 2000
    (identity,) = await listed(shop, f"{prefix}/visits/{story.visit}/identities")
    assert set(identity) == IDENTITY_KEYS
    assert identity["identityId"] == "ada-1"
    assert (identity["name"], identity["location"]) == ("Ada Lovelace", "London, UK")
    assert identity["visitScope"] == [visit["globalVisitID"]]
    assert await shop.get(f"{prefix}/identities/ada-1") == identity
    inside = await listed(shop, f"{prefix}/sessions/{story.sign_in}/events")
    assert [event["eventID"] for event in inside] == [story.sign_in, story.product]
    assert await shop.get(f"{prefix}/sessions/{story.sign_in}") == session
    identified = await listed(shop, f"{prefix}/useridentifications", identified="true")
    assert [(each["eventID"], each["identityId"], each["sessionId"]) for each in identified] == [(story.sign_in, "ada-1", story.sign_in)]
    system = await listed(shop, f"{prefix}/useridentifications")
    assert [each["eventName"] for each in system] == [
        "SignOut", "SignIn", "PageEntered", "PageExited", "PageEntered", "VisitStarted",
    ]  # fmt: skip
    assert set(system[0]) == EVENT_KEYS | {"identityId", "sessionId"}
    (contact,) = await listed(shop, f"{prefix}/contacts")
    assert contact == {
        "contactId": story.sign_in,
        "identityId": "ada-1",
        "sessionId": story.sign_in,
        "visitId": story.visit,
        "globalVisitID": visit["globalVisitID"],
        "timestamp": session["startDate"],
    }
