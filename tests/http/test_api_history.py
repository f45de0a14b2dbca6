"""The History API tells the story of a visitor: shapes key by key, filters, lists inside, pages, bad input."""

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
    assert (visit["state"], visit["endDate"], visit["endReason"], visit["activeSessionId"]) == (
        "Recognized",
        0,
        None,
        None,
    )
    assert all(
        visit[key] is None for name in LISTS for key in (name, name[:-1].replace("identitie", "identity") + "Ids")
    )
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
    assert [(each["eventID"], each["identityId"], each["sessionId"]) for each in identified] == [
        (story.sign_in, "ada-1", story.sign_in)
    ]
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


# ---- lists inside of a visit ----


async def test_a_single_visit_embeds_its_pages_under_one_prefix_only(shop: Shop) -> None:
    story = await ada_shops(shop)
    embedded = await shop.get(f"/backend/data/visits/{story.visit}")
    assert embedded["pageIds"] == list(story.pages)
    assert embedded["pages"] == await listed(shop, f"/backend/data/visits/{story.visit}/pages")
    plain = await shop.get(f"/server/data/visits/{story.visit}")
    assert plain == embedded | {"pageIds": None, "pages": None}
    assert await shop.get(f"/backend/data/visits/{story.visit}", include_pages="false") == plain
    ids = await shop.get(f"/backend/data/visits/{story.visit}", include_pages="true")
    assert ids == embedded | {"pages": None}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("path", ["/visits", "/visits/{visit}", "/identities/ada-1/visits"])
async def test_lists_are_null_unless_included_and_ids_unless_in_detail(shop: Shop, path: str, name: str) -> None:
    story = await ada_shops(shop)
    url = "/server/data" + path.format(visit=story.visit)

    async def visit(**params: str) -> dict[str, Any]:
        response = await shop.ask("GET", url, params=params)
        document = await response.json()
        assert response.status == 200, document
        found: dict[str, Any] = document[0] if isinstance(document, list) else document
        return found

    ids, key = {"identities": "identityIds"}.get(name, f"{name[:-1]}Ids"), {
        "events": "eventID", "pages": "pageID", "sessions": "sessionID", "identities": "identityId",
    }[name]  # fmt: skip
    items = await listed(shop, f"/server/data/visits/{story.visit}/{name}")
    bare = await visit()
    assert bare[ids] is bare[name] is None
    assert await visit(**{f"include_{name}": "true"}) == bare | {ids: [item[key] for item in items]}
    detailed = await visit(**{f"include_{name}": "true", f"include_{name}_detail": "true"})
    assert detailed == bare | {ids: [item[key] for item in items], name: items}
    assert (
        set(items[0])
        == {"events": EVENT_KEYS, "pages": PAGE_KEYS, "sessions": SESSION_KEYS, "identities": IDENTITY_KEYS}[name]
    )
    refused = await shop.fails("GET", url, params={f"include_{name}_detail": "true"})
    assert refused == (400, "invalid_parameter", f"include_{name}_detail")


async def test_sessions_hold_pages_and_events_where_asked(shop: Shop) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    await views(browser, "/")
    sign_in = await browser.says("ada-1")
    page = await views(browser, "/cart")
    buy = await browser.tracks("cart", "buy")
    await browser.signs_out()
    await browser.sends()
    asked = {f"include_{name}{end}": "true" for name in ("pages", "events") for end in ("", "_detail")}
    session = await shop.get(f"/server/data/sessions/{sign_in}", **asked)
    assert session["pageIds"] == [page]
    assert [event["eventName"] for event in session["events"]] == ["SignIn", "PageEntered", "cart/buy"]
    assert session["eventIds"][-1] == buy
    assert session["pages"] == await listed(shop, f"/server/data/sessions/{sign_in}/pages")
    assert (session["pages"][0]["sessionID"], session["pages"][0]["identityId"]) == (sign_in, "ada-1")
    for path in (f"/visits/{browser.visit}/sessions", "/identities/ada-1/sessions"):
        assert await listed(shop, f"/server/data{path}", **asked) == [session]


# ---- filters, pages of lists, statuses ----


@pytest.mark.parametrize(
    ("path", "params", "count"),
    [
        ("/visits", {"state": "Recognized"}, 1),
        ("/visits", {"state": "Anonymous"}, 0),
        ("/visits", {"globalVisitID": "{device}"}, 1),
        ("/visits", {"globalVisitID": SOMEBODY}, 0),
        ("/visits", {"age": "3600"}, 1),
        ("/visits", {"age": "0"}, 0),
        ("/visits/{visit}/pages", {"url": f"{SHOP}/"}, 1),
        ("/visits/{visit}/pages", {"url": f"{SHOP}/*"}, 2),
        ("/visits/{visit}/pages", {"age": "3600"}, 2),
        ("/visits/{visit}/pages", {"age": "0"}, 0),
        ("/visits/{visit}/events", {"eventName": "VisitStarted"}, 1),
        ("/visits/{visit}/events", {"eventName": "PageEntered"}, 2),
        ("/visits/{visit}/events", {"eventName": "product/view"}, 1),
        ("/visits/{visit}/events", {"eventName": "no/such"}, 0),
        ("/visits/{visit}/events", {"eventType": "SYSTEM"}, 6),
        ("/visits/{visit}/events", {"eventType": "BUSINESS"}, 1),
        ("/visits/{visit}/events", {"category": "page"}, 3),
        ("/visits/{visit}/events", {"category": "page", "url": f"{SHOP}/tea"}, 1),
        ("/visits/{visit}/events", {"age": "0"}, 0),
        ("/visits/{visit}/sessions", {"age": "3600"}, 1),
        ("/visits/{visit}/sessions", {"age": "0"}, 0),
        ("/visits/{visit}/identities", {"age": "3600"}, 1),
        ("/visits/{visit}/identities", {"age": "0"}, 0),
        ("/identities", {"age": "3600"}, 1),
        ("/identities", {"age": "0"}, 0),
        ("/identities", {"globalVisitID": "{device}"}, 1),
        ("/identities", {"globalVisitID": SOMEBODY}, 0),
        ("/identities", {"userAgent": "python/3"}, 1),
        ("/identities", {"userAgent": "{agent}"}, 1),
        ("/identities", {"userAgent": "100%"}, 0),
        ("/identities/ada-1/visits", {"userAgent": "AIOHTTP"}, 1),
        ("/identities/ada-1/visits", {"userAgent": SOMEBODY}, 0),
        ("/identities/ada-1/visits", {"globalVisitID": "{device}", "state": "Recognized"}, 1),
        ("/identities/ada-1/events", {"eventName": "SignIn"}, 1),
        ("/identities/ada-1/events", {"userAgent": "aiohttp", "eventType": "BUSINESS"}, 1),
        ("/identities/ada-1/events", {"globalVisitID": SOMEBODY}, 0),
        ("/identities/ada-1/events", {"url": f"{SHOP}/tea*", "category": "page"}, 1),
        ("/identities/ada-1/sessions", {"globalVisitID": "{device}"}, 1),
        ("/identities/ada-1/sessions", {"userAgent": "Mozilla"}, 0),
        ("/sessions/{sign_in}/events", {"category": "product"}, 1),
        ("/sessions/{sign_in}/events", {"category": "visit"}, 0),
        ("/sessions/{sign_in}/pages", {}, 0),
        ("/contacts", {"identityId": "ada-1"}, 1),
        ("/contacts", {"identityId": "bob-1"}, 0),
        ("/contacts", {"sessionId": "{sign_in}"}, 1),
        ("/contacts", {"sessionId": SOMEBODY}, 0),
        ("/contacts", {"visitId": "{visit}", "globalVisitID": "{device}"}, 1),
        ("/contacts", {"age": "0"}, 0),
        ("/useridentifications", {"visitId": "{visit}"}, 6),
        ("/useridentifications", {"sessionId": "{sign_in}"}, 1),
        ("/useridentifications", {"globalVisitID": "{device}"}, 6),
        ("/useridentifications", {"globalVisitID": SOMEBODY}, 0),
        ("/useridentifications", {"identityId": "ada-1"}, 1),
        ("/useridentifications", {"identityId": "bob-1"}, 0),
        ("/useridentifications", {"identified": "true", "sessionId": "{sign_in}"}, 1),
        ("/useridentifications", {"identified": "true", "visitId": SOMEBODY}, 0),
        ("/useridentifications", {"age": "0"}, 0),
    ],
)
async def test_filters_leave_what_they_say_and_204_where_that_is_nothing(
    shop: Shop, path: str, params: dict[str, str], count: int
) -> None:
    story = await ada_shops(shop)
    shop.stage.passes(minutes=1)
    (visit,) = await listed(shop, "/server/data/visits")
    known = {
        "visit": story.visit,
        "sign_in": story.sign_in,
        "device": visit["globalVisitID"],
        "agent": visit["userAgentID"],
    }
    params = {name: value.format(**known) if value.startswith("{") else value for name, value in params.items()}
    found = await listed(shop, "/server/data" + path.format(**known), **params)
    assert len(found) == count, found


@pytest.mark.parametrize(
    "path",
    [
        "/visits/{id}", "/visits/{id}/pages", "/visits/{id}/events", "/visits/{id}/sessions", "/visits/{id}/identities",
        "/identities/nobody", "/identities/nobody/visits", "/identities/no@body.example/events",
        "/identities/nobody/sessions", "/sessions/{id}", "/sessions/{id}/events", "/sessions/{id}/pages",
        "/useragents/{id}",
    ],
)  # fmt: skip
async def test_what_is_unknown_is_404_and_ids_that_are_none_400(shop: Shop, path: str) -> None:
    await ada_shops(shop)
    url = f"/backend/data{path}"
    assert await shop.fails("GET", url.format(id=SOMEBODY)) == (404, "not_found", None)
    if "{id}" in path:
        status, code, field = await shop.fails("GET", url.format(id="x"))
        assert (status, code) == (400, "invalid_parameter")
        assert field in ("visitId", "sessionID", "userAgentID")


@pytest.mark.parametrize("path", ["/visits", "/identities", "/contacts", "/useridentifications"])
async def test_a_site_where_nothing_happened_has_nothing_to_list(shop: Shop, path: str) -> None:
    assert await listed(shop, f"/backend/data{path}") == []


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        *(("/visits", f"page_size={size}", "page_size") for size in ("0", "501", "-1", "ten", "")),
        *(("/visits", f"page_start={start}", "page_start") for start in ("x", "", "W10", "WzEsMl0", "A" * 900)),
        *(("/visits", f"age={age}", "age") for age in ("-1", "x", "1.5", "9" * 30)),
        ("/visits", "state=Asleep", "state"),
        ("/visits", "globalVisitID=x", "globalVisitID"),
        ("/visits", "state=Anonymous&state=Anonymous", "state"),
        ("/visits", "colour=red", None),
        ("/visits", "include_pages=maybe", "include_pages"),
        ("/identities/ada-1/events", "eventType=ANY", "eventType"),
        ("/identities/ada-1/events", "eventName=", "eventName"),
        ("/identities/ada-1/events", "url=%00", "url"),
        ("/identities/ada-1/events", "state=Anonymous", None),
        ("/contacts", "sessionId=1", "sessionId"),
        ("/contacts", "visitId=1", "visitId"),
        ("/contacts", f"identityId={'x' * 600}", "identityId"),
        ("/useridentifications", "identified=1", "identified"),
        ("/useridentifications", "page_start=WzEsMl0", "page_start"),
    ],
)
async def test_a_bad_parameter_is_named(shop: Shop, path: str, query: str, field: str | None) -> None:
    await ada_shops(shop)
    assert await shop.fails("GET", f"/backend/data{path}?{query}") == (400, "invalid_parameter", field)


@pytest.mark.parametrize("size", ["1", "2", "3"])
@pytest.mark.parametrize(
    "path",
    ["/visits", "/identities", "/contacts", "/useridentifications", "/identities/ada-1/events", "EVENTS", "PAGES"],
)
async def test_lists_are_paged_and_the_last_page_says_so(shop: Shop, path: str, size: str) -> None:
    story = await ada_shops(shop)
    for name in ("bob-1", "eve-1"):
        browser = shop.stage.browser()
        await views(browser, "/")
        await browser.says(name)
    path = {"EVENTS": f"/visits/{story.visit}/events", "PAGES": f"/visits/{story.visit}/pages"}.get(path, path)
    whole = await listed(shop, f"/server/data{path}")
    found = await all_pages(shop, f"/server/data{path}", page_size=size)
    assert [item for page in found for item in page] == whole
    assert len(found) == -(-len(whole) // int(size))


async def test_pages_neither_repeat_nor_skip_while_visits_begin_and_move(shop: Shop) -> None:
    browsers = []
    for _ in range(5):
        browser = shop.stage.browser()
        await views(browser, "/")
        browsers.append(browser)
    before = [visit["visitId"] for visit in await listed(shop, "/server/data/visits")]

    async def more() -> None:
        await views(shop.stage.browser(), "/")
        late = browsers[-1].stamp("product", "view")
        late["at"] -= 600_000
        browsers[-1].outbox.append(late)
        await browsers[-1].sends()

    found = await all_pages(shop, "/server/data/visits", between=more, page_size="2")
    assert [visit["visitId"] for page in found for visit in page] == before


# ---- keys ----


async def test_scopes_open_reading_writing_and_personal_data_apart(shop: Shop) -> None:
    story = await ada_shops(shop)
    shop.adds_key("rsk_reader", Scope.HISTORY_READ)
    shop.adds_key("rsk_writer", Scope.EVENTS_WRITE)
    url = f"/backend/data/visits/{story.visit}/events"
    assert (await shop.ask("GET", url, secret="rsk_reader")).status == 200
    said = {"category": "order", "action": "shipped"}
    assert (await shop.ask("POST", url, secret="rsk_writer", json=said)).status == 200
    refused = await shop.ask("POST", url, secret="rsk_reader", json=said)
    assert (refused.status, (await refused.json())["error"]["code"]) == (403, "scope_missing")
    refused = await shop.ask("GET", url, secret="rsk_writer")
    assert (refused.status, (await refused.json())["error"]["code"]) == (403, "scope_missing")
    assert (await shop.ask("GET", url, secret="rsk_unknown")).status == 401


async def test_personal_data_is_masked_without_its_scope_and_all_else_is_the_same(shop: Shop) -> None:
    shop.adds_key("rsk_reader", Scope.HISTORY_READ)
    browser = shop.stage.browser()
    await views(browser, f"/?mail={EMAIL}", referrer=f"https://mail.example/{EMAIL}")
    await browser.says(None, EMAIL, name="Ada Lovelace", city="London")
    await browser.tracks("order", "placed", dims={"order": {"email": EMAIL, "phone": "+44 1", "total": 9}})
    for path in (
        "/visits?include_events=true&include_events_detail=true&include_identities=true&include_identities_detail=true",
        f"/visits/{browser.visit}",
        f"/visits/{browser.visit}/events",
        f"/visits/{browser.visit}/pages",
        f"/visits/{browser.visit}/sessions",
        f"/visits/{browser.visit}/identities",
        "/identities",
        f"/identities/{EMAIL}",
        f"/identities/{EMAIL}/events",
        "/contacts",
        "/useridentifications",
        "/useridentifications?identified=true",
    ):
        full = await shop.ask("GET", f"/backend/data{path}")
        masked = await shop.ask("GET", f"/backend/data{path}", secret="rsk_reader")
        assert (full.status, masked.status) == (200, 200), path
        text = await masked.text()
        for secret in (EMAIL, "Lovelace", "+44 1"):
            assert secret not in text, path
        assert shape_of(await full.json()) == shape_of(await masked.json())
    (identity,) = await (await shop.ask("GET", "/backend/data/identities", secret="rsk_reader")).json()
    assert (identity["identityId"], identity["name"], identity["location"]) == ("a***@analytical.example", "***", "***")


def shape_of(document: Any) -> Any:
    """The document without its texts."""
    if isinstance(document, dict):
        return {name: shape_of(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape_of(item) for item in document]
    return None if isinstance(document, str) else document


# ---- people ----


async def test_merged_people_answer_under_every_identity_they_ever_had(shop: Shop) -> None:
    phone, laptop = shop.stage.browser(), shop.stage.browser()
    await views(phone, "/")
    await phone.submits(EMAIL)
    await views(laptop, "/tea")
    await laptop.says("ada-1", EMAIL)
    assert len({visit["globalVisitID"] for visit in await listed(shop, "/server/data/identities/ada-1/visits")}) == 2
    for path in ("visits", "events", "sessions"):
        by_cid = await listed(shop, f"/server/data/identities/ada-1/{path}")
        assert by_cid
        for other in (EMAIL, f" {EMAIL.upper()} "):
            assert await listed(shop, f"/server/data/identities/{other}/{path}") == by_cid
    await shop.post(uid=laptop.uid, cid="ada-1", email="countess@analytical.example", occurred_at=shop.stage.now)
    assert [e["eventName"] for e in await listed(shop, f"/server/data/identities/{EMAIL}/events")][1:] == [
        event["eventName"] for event in by_cid_events(await listed(shop, "/server/data/identities/ada-1/events"))
    ]


def by_cid_events(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return events[1:]


async def test_whom_a_visit_is_held_to_be_of_is_among_its_identities(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says("ada-1")
    browser.arrives()
    await views(browser, "/")
    visit = await shop.get(f"/server/data/visits/{browser.visit}", include_identities="true")
    assert (visit["state"], visit["identityIds"]) == ("WM-Recognized", ["ada-1"])


async def test_user_agents_are_told_by_their_id(shop: Shop) -> None:
    await ada_shops(shop)
    (visit,) = await listed(shop, "/server/data/visits")
    agent = await shop.get(f"/server/data/useragents/{visit['userAgentID']}")
    assert set(agent) == {"userAgentID", "userAgent"}
    assert "aiohttp" in agent["userAgent"]


async def test_a_visit_ends_when_the_next_one_of_its_device_begins(shop: Shop) -> None:
    browser = shop.stage.browser()
    reasons = [
        {"referrer": "", "campaign": {"utm_source": "letter"}},
        {"referrer": "https://search.example/"},
        {"referrer": SHOP + "/basket"},
    ]
    sign_in = await browser.says("ada-1")
    first = await shop.get(f"/server/data/visits/{browser.visit}")
    assert (first["endDate"], first["activeSessionId"]) == (0, sign_in)
    ended = []
    for fields in reasons:
        ended.append(browser.visit)
        browser.arrives()
        await views(browser, "/", **fields)
    found = [await shop.get(f"/server/data/visits/{visit}") for visit in ended]
    assert [visit["endReason"] for visit in found] == ["campaign", "referrer", "closed"]
    assert found[0]["endDate"] == found[0]["startDate"] > 0
    assert found[0]["activeSessionId"] is None
    session = await shop.get(f"/server/data/sessions/{sign_in}")
    assert session["endDate"] == found[0]["endDate"]


# ---- adding events ----


async def test_a_server_adds_an_event_to_a_visit_of_somebody(shop: Shop) -> None:
    story = await ada_shops(shop)
    url = f"/backend/data/visits/{story.visit}/events"
    said = {
        "eventName": "order/shipped", "event_id": SOMEBODY, "timestamp": shop.stage.now, "page_id": story.pages[1],
        "url": f"{SHOP}/order", "data": {"dims": {"order": {"id": "o1"}}, "items": [{"id": "p1"}]},
    }  # fmt: skip
    said["timestamp"] = (await shop.get(f"/backend/data/visits/{story.visit}"))["startDate"] + 9000
    for status in ("accepted", "duplicate"):
        response = await shop.ask("POST", url, json=said)
        assert (response.status, await response.json()) == (
            200,
            {"eventID": SOMEBODY, "status": status, "warnings": []},
        )
    assert await shop.fails("POST", url, json=said | {"url": f"{SHOP}/other"}) == (409, "id_conflict", "event_id")
    (event,) = await listed(shop, url, eventName="order/shipped")
    assert (event["eventID"], event["pageID"], event["url"]) == (SOMEBODY, story.pages[1], f"{SHOP}/order")
    assert event["data"] == said["data"]
    assert event["timestamp"] == said["timestamp"]
    assert SOMEBODY in [each["eventID"] for each in await listed(shop, "/backend/data/identities/ada-1/events")]
    assert len(await listed(shop, "/backend/data/visits")) == 1


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "category"),
        ({"category": "order"}, "action"),
        ({"eventName": "order"}, "eventName"),
        ({"eventName": "a/b", "category": "a"}, "eventName"),
        ({"category": "x" * 300, "action": "b"}, "category"),
        ({"category": "a", "action": "b", "event_id": "x"}, "event_id"),
        ({"category": "a", "action": "b", "event_id": "01890a5d-ac96-474b-8cce-b302099a8057"}, "timestamp"),
        ({"category": "a", "action": "b", "timestamp": 10**15}, "timestamp"),
        ({"category": "a", "action": "b", "timestamp": "now"}, "timestamp"),
        ({"category": "a", "action": "b", "page_id": "x"}, "page_id"),
        ({"category": "a", "action": "b", "data": {"dims": 1}}, "data"),
        ({"category": "a", "action": "b", "data": {"uid": SOMEBODY}}, "data"),
        ({"category": "a", "action": "b", "data": []}, "data"),
        ({"category": "a", "action": "b", "colour": "red"}, None),
    ],
)
async def test_an_event_that_cannot_be_stored_names_the_member(
    shop: Shop, said: dict[str, Any], field: str | None
) -> None:
    story = await ada_shops(shop)
    url = f"/backend/data/visits/{story.visit}/events"
    assert await shop.fails("POST", url, json=said) == (400, "invalid_parameter", field)


async def test_an_event_for_an_unknown_visit_is_404(shop: Shop) -> None:
    said = {"category": "order", "action": "shipped"}
    assert await shop.fails("POST", f"/backend/data/visits/{SOMEBODY}/events", json=said) == (404, "not_found", None)


async def test_saying_who_somebody_is_needs_the_scope_for_that(shop: Shop) -> None:
    story = await ada_shops(shop)
    shop.adds_key("rsk_writer", Scope.EVENTS_WRITE)
    shop.adds_key("rsk_both", Scope.EVENTS_WRITE, Scope.PROFILES_WRITE)
    url = f"/backend/data/visits/{story.visit}/events"
    said = {"category": "user", "action": "identify", "data": {"dims": {"customers": {"customer_id": "ada-1"}}}}
    refused = await shop.ask("POST", url, secret="rsk_writer", json=said)
    assert (refused.status, (await refused.json())["error"]["scope"]) == (403, "profiles:write")
    assert (await shop.ask("POST", url, secret="rsk_both", json=said)).status == 200
