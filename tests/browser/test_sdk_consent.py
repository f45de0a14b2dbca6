"""Consent: what may exist before the visitor has decided, and after."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page

from tests.browser.recording_endpoint import Endpoint
from tests.browser.sdk_pages import add_page

BROWSERS = ("chromium", "firefox")
LOADED = "web_event.version"
STORED = "[document.cookie, Object.keys(localStorage).length, Object.keys(sessionStorage).length]"


async def test_nothing_is_stored_or_sent_before_consent(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.goto(add_page(endpoint, body="<script>web_event.track('early', 'call')</script>"))
    await page.wait_for_function(LOADED)
    await page.evaluate("(web_event.track('a', 'b'), web_event.identify('c'), web_event.resetAnonymousUId())")
    await page.evaluate("web_event.flush()")
    assert await page.evaluate(STORED) == ["", 0, 0]
    await page.goto("about:blank")
    assert endpoint.requests == []


async def test_grant_stamps_what_waited_with_its_own_time(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.goto(add_page(endpoint, "/first"))
    await page.wait_for_function(LOADED)
    tracked_at = await page.evaluate("(web_event.track('a', 'b', {dims: {n: 1}}), Date.now())")
    await page.evaluate("history.pushState({}, '', '/second')")
    await page.evaluate("new Promise((done) => setTimeout(done, 100))")
    granted_at = await page.evaluate("(web_event.consent('granted'), web_event.track('c', 'd'), Date.now())")
    await endpoint.until(lambda: len(endpoint.events) == 4)
    view, event, second, last = endpoint.events
    assert view["at"] <= event["at"] <= tracked_at < second["at"] <= last["at"] <= granted_at
    assert [item["url"].split("/")[-1] for item in endpoint.events] == ["first", "first", "second", "second"]
    assert len({item["uid"] for item in endpoint.events}) == 1
    await endpoint.until(lambda: endpoint.consents)
    assert endpoint.consents[0]["state"] == "granted"
    assert endpoint.consents[0]["uid"] == view["uid"]


async def test_grant_is_remembered(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.goto(add_page(endpoint))
    await page.evaluate("web_event.consent('granted')")
    await page.reload()
    await endpoint.until(lambda: len(endpoint.named("page/view")) == 2)


async def test_only_a_hundred_events_wait_and_the_rest_is_counted(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("for (let i = 0; i < 150; i++) web_event.track('a', 'b', {dims: {i}})")
    await page.evaluate("web_event.consent('granted')")
    await endpoint.until(lambda: len(endpoint.events) == 100)
    assert endpoint.events[0]["dropped"] == 51
    assert [event["dims"]["i"] for event in endpoint.events[1:]] == list(range(99))


async def test_denial_drops_what_waited_and_stores_nothing(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("web_event.track('a', 'b'); web_event.consent('denied'); web_event.track('c', 'd')")
    await endpoint.until(lambda: endpoint.consents)
    await page.evaluate("web_event.flush()")
    assert await page.evaluate(STORED) == ["", 0, 0]
    assert (endpoint.events, endpoint.consents[0]["state"]) == ([], "denied")


async def test_denial_after_tracking_deletes_ids_and_queue_and_lasts(
    context: BrowserContext, page: Page, endpoint: Endpoint
) -> None:
    endpoint.refuse()
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    uid = (await page.evaluate("document.cookie.match(/_regulars=([^;]*)/)[1]")).split(".")[1]
    await page.evaluate("web_event.track('a', 'b'); web_event.consent('denied')")
    endpoint.recover()
    await endpoint.until(lambda: endpoint.consents)
    assert endpoint.consents[0]["uid"] == uid
    await page.reload()
    await page.wait_for_function(LOADED)
    await page.evaluate("(web_event.track('c', 'd'), web_event.flush())")
    assert endpoint.events == []
    assert uid not in str(await context.cookies()) + await page.evaluate("JSON.stringify(localStorage)")
    await page.evaluate("(web_event.consent('granted'), web_event.track('e', 'f'), web_event.flush())")
    await endpoint.until(lambda: endpoint.named("e/f"))
    assert endpoint.named("e/f")[0]["uid"] != uid


async def test_privacy_signal_denies_where_the_site_heeds_it(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    await page.goto(add_page(endpoint))
    await endpoint.until(lambda: len(endpoint.events) == 1)
    endpoint.settings = {"gpc": True}
    await page.reload()
    await page.wait_for_function(LOADED)
    await endpoint.until(lambda: endpoint.consents)
    await page.evaluate("(web_event.track('a', 'b'), web_event.flush())")
    assert endpoint.consents[0]["state"] == "denied"
    assert len(endpoint.events) == 1
