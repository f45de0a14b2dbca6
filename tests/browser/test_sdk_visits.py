"""Pages, visits and ids: what the SDK remembers of a visitor, and what it must forget."""

from __future__ import annotations

from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.recording_endpoint import Endpoint, Event
from tests.browser.sdk_pages import add_page

BROWSERS = ("chromium", "firefox")
LOADED = "web_event.version"


async def visit_page(page: Page, endpoint: Endpoint, url: str, coming_from: str | None = None) -> Event:
    """Opens a page, directly or by a link on another one, and returns the page view it sent."""
    before = len(endpoint.named("page/view"))
    if coming_from:
        endpoint.pages["/elsewhere"] = (f'<!doctype html><a href="{url}">here</a>', {})
        await page.goto(coming_from + "elsewhere")
        await page.click("a")
        await page.wait_for_url(url)
    else:
        await page.goto(url)
    await page.wait_for_function(LOADED)
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: len(endpoint.named("page/view")) > before)
    return endpoint.named("page/view")[-1]


async def test_five_steps_of_a_single_page_application_are_counted_right(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint, "/start"))
    await page.wait_for_function(LOADED)
    for step in (
        "history.pushState({}, '', '/one')",
        "history.replaceState({}, '', '/two')",
        "history.pushState({}, '', '/three')",
        "history.back()",
        "history.pushState({}, '', location.href)",
        "history.replaceState({state: 1}, '')",
        "location.hash = 'section'",
    ):
        await page.evaluate(step)
        await page.evaluate("new Promise((done) => setTimeout(done, 50))")
    await page.evaluate("(web_event.track('the', 'end'), web_event.flush())")
    views = endpoint.named("page/view")
    assert [view["url"].split("/")[-1] for view in views] == ["start", "one", "two", "three", "two"]
    assert [view["referrer"].split("/")[-1] for view in views[1:]] == ["start", "one", "two", "three"]
    assert len({view["page"] for view in views}) == 5
    assert endpoint.named("the/end")[0]["page"] == views[-1]["page"]


async def test_view_of_a_route_has_the_title_that_the_router_sets(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("history.pushState({}, '', '/next'); document.title = 'Next'")
    await page.evaluate("history.pushState({}, '', '#/route'); document.title = 'Route'")
    await endpoint.until(lambda: len(endpoint.named("page/view")) == 3)
    assert [view["title"] for view in endpoint.named("page/view")] == ["A page", "Next", "Route"]


async def test_page_restored_from_memory_is_a_new_page(page: Page, endpoint: Endpoint) -> None:
    view = await visit_page(page, endpoint, add_page(endpoint))
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await endpoint.until(lambda: len(endpoint.named("page/view")) == 2)
    restored = endpoint.named("page/view")[1]
    assert restored["page"] != view["page"]
    assert (restored["visit"], restored["uid"]) == (view["visit"], view["uid"])


async def test_second_load_keeps_uid_device_and_visit_and_counts_on(page: Page, endpoint: Endpoint) -> None:
    first = await visit_page(page, endpoint, add_page(endpoint, "/one"))
    second = await visit_page(page, endpoint, add_page(endpoint, "/two"))
    assert all(first[key] == second[key] for key in ("uid", "uid_origin", "device", "visit"))
    assert first["page"] != second["page"]
    assert first["seq"] < second["seq"]


async def test_external_referrer_begins_a_visit_once(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"own_domains": ["bank.test"]}
    url = add_page(endpoint)
    first = await visit_page(page, endpoint, url)
    outside = await visit_page(page, endpoint, url, endpoint.at("other.test"))
    await page.reload()
    await endpoint.until(lambda: len(endpoint.named("page/view")) == 3)
    own = await visit_page(page, endpoint, url, endpoint.at("pay.bank.test"))
    assert outside["visit"] != first["visit"]
    assert outside["referrer"] == endpoint.at("other.test")
    assert [view["visit"] for view in endpoint.named("page/view")[2:]] == [outside["visit"]] * 2
    assert own["visit"] == outside["visit"]


async def test_another_campaign_begins_a_visit_and_is_told(page: Page, endpoint: Endpoint) -> None:
    url = add_page(endpoint)
    views = [
        await visit_page(page, endpoint, url + query)
        for query in ("", "?utm_source=mail&utm_campaign=may", "", "?utm_source=mail&utm_campaign=may", "?gclid=7")
    ]
    visits = [view["visit"] for view in views]
    assert visits[1] == visits[2] == visits[3]
    assert len(set(visits)) == 3
    assert views[1]["campaign"] == {"utm_source": "mail", "utm_campaign": "may"}
    assert views[4]["campaign"] == {"gclid": "7"}
    assert "campaign" not in views[0]


async def test_half_an_hour_of_silence_ends_a_visit(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script("Date.now = ((now) => () => now.call(Date) + (window.later || 0))(Date.now)")
    first = await visit_page(page, endpoint, add_page(endpoint))
    for minutes in (20, 40, 71):
        await page.evaluate(f"later = {minutes} * 60000; web_event.track('after', '{minutes}')")
    await page.evaluate("web_event.flush()")
    visits = [endpoint.named(f"after/{minutes}")[0]["visit"] for minutes in (20, 40, 71)]
    assert visits[0] == visits[1] == first["visit"] != visits[2]


async def test_whoever_deletes_cookies_is_forgotten(context: BrowserContext, page: Page, endpoint: Endpoint) -> None:
    url = add_page(endpoint)
    before = await visit_page(page, endpoint, url)
    assert await page.evaluate("Object.keys(localStorage).every((key) => !localStorage[key].includes('first'))")
    await context.clear_cookies()
    after = await visit_page(page, endpoint, url)
    assert before["uid"] != after["uid"]
    assert before["device"] != after["device"]


async def test_waiting_events_keep_the_uid_and_device_of_their_time(
    context: BrowserContext, page: Page, endpoint: Endpoint
) -> None:
    endpoint.refuse()
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("web_event.track('before', 'deletion')")
    await context.clear_cookies()
    await page.evaluate("web_event.track('after', 'deletion')")
    endpoint.recover()
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: len(endpoint.events) == 3)
    view, before, after = endpoint.events
    assert (view["uid"], view["device"]) == (before["uid"], before["device"])
    assert before["uid"] != after["uid"]
    assert before["device"] != after["device"]
    assert "Cookie" not in endpoint.requests[-2].headers, "an old device must not meet the cookies of its successor"


async def test_sub_domains_share_uid_and_visit(page: Page, endpoint: Endpoint) -> None:
    add_page(endpoint, sdk_host="shop.test")
    one = await visit_page(page, endpoint, endpoint.at("www.shop.test") + "page")
    two = await visit_page(page, endpoint, endpoint.at("a.b.shop.test") + "page", endpoint.at("www.shop.test"))
    other = await visit_page(page, endpoint, endpoint.at("other.test") + "page")
    assert all(one[key] == two[key] for key in ("uid", "device", "visit"))
    assert one["uid"] != other["uid"]


async def test_cookies_hold_what_they_should(context: BrowserContext, page: Page, endpoint: Endpoint) -> None:
    view = await visit_page(page, endpoint, add_page(endpoint))
    cookies = {cookie["name"]: cookie for cookie in await context.cookies() if cookie["name"].startswith("_regulars")}
    assert set(cookies) == {"_regulars", "_regulars_visit"}
    assert view["uid"] in cookies["_regulars"]["value"]
    assert view["visit"] in cookies["_regulars_visit"]["value"]
    assert cookies["_regulars"]["sameSite"] == "Lax"
    assert cookies["_regulars_visit"]["expires"] == -1


async def test_uid_survives_blocked_cookies_in_storage(browser: Browser, endpoint: Endpoint) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.add_init_script("Object.defineProperty(document, 'cookie', {get: () => '', set: () => {}})")
    url = add_page(endpoint)
    first = await visit_page(page, endpoint, url)
    second = await visit_page(page, endpoint, url)
    assert all(first[key] == second[key] for key in ("uid", "device", "visit"))
    await context.close()
