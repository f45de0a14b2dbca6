"""What is tracked arrives, once and in order, whatever happens to the page, the browser or the collector."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Page, Playwright

from tests.browser.recording_endpoint import Answer, Endpoint
from tests.browser.sdk_pages import WATCH_ERRORS, add_page
from tests.browsers import launch_with_profile

BROWSERS = ("chromium", "firefox")
LOADED = "window.web_event && web_event.version"
TRACK = """(count, from = 0) => {{
    for (let n = from; n < from + count; n++) web_event.track('n', '{name}', {{dims: {{n}}}})
}}"""


async def open_page(page: Page, endpoint: Endpoint, path: str = "/page") -> None:
    """Opens a page of the site and waits for the SDK."""
    await page.goto(add_page(endpoint, path))
    await page.wait_for_function(LOADED)


async def track(page: Page, count: int, name: str = "event") -> None:
    """Tracks `n/name` events numbered from 0, all at once."""
    await page.evaluate(TRACK.format(name=name), count)


def numbers(endpoint: Endpoint, name: str = "n/event") -> list[int]:
    """The numbers of the stored events of a name, in order of arrival."""
    return [event["dims"]["n"] for event in endpoint.named(name)]


def waiting(name: str = "localStorage") -> str:
    """JavaScript: how many events wait in storage."""
    return f"Object.keys({name}).filter((key) => /:e1/.test(key)).length"


async def test_five_hundred_offline_events_arrive_once_each_in_order(
    context: BrowserContext, page: Page, endpoint: Endpoint
) -> None:
    await open_page(page, endpoint)
    await page.evaluate("web_event.flush()")
    await context.set_offline(True)
    await track(page, 500)
    await page.evaluate("web_event.flush()")
    assert numbers(endpoint) == []
    await context.set_offline(False)
    await endpoint.until(lambda: len(numbers(endpoint)) >= 500)
    assert numbers(endpoint) == list(range(500))
    assert set(endpoint.arrivals.values()) == {1}
    assert all(len(request.text) <= 60 * 1024 for request in endpoint.requests)
    await page.wait_for_function(waiting() + " == 0")


@pytest.mark.parametrize("gone", ["navigation", "tab"])
async def test_ten_events_survive_a_page_that_goes_away_at_once(page: Page, endpoint: Endpoint, gone: str) -> None:
    endpoint.slow_s = 0.4
    await open_page(page, endpoint)
    if gone == "navigation":
        await page.evaluate(f"({TRACK.format(name='event')})(10); location.href = 'about:blank'")
    else:
        await track(page, 10)
        await page.close()
    await endpoint.until(lambda: len(numbers(endpoint)) == 10)
    assert numbers(endpoint) == list(range(10))


async def test_hiding_the_page_sends_at_once_and_only_once(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await track(page, 3)
    await page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', {value: true, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
        dispatchEvent(new Event('pagehide'));
        delete document.hidden;
    }""")
    await page.evaluate("web_event.track('after', 'return')")
    await endpoint.until(lambda: endpoint.named("after/return"))
    assert numbers(endpoint) == [0, 1, 2]
    assert set(endpoint.arrivals.values()) == {1}


async def test_outage_loses_nothing_and_ends_by_itself(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("web_event.flush()")
    endpoint.refuse()
    await track(page, 10)
    await endpoint.until(lambda: len([request for request in endpoint.requests if request.status == 0]) >= 3, 40)
    endpoint.recover()
    await endpoint.until(lambda: len(numbers(endpoint)) == 10, 60)
    assert numbers(endpoint) == list(range(10))


async def test_browser_restarted_during_the_outage(
    playwright: Playwright, browser_name: str, tmp_path: Path, endpoint: Endpoint
) -> None:
    context = await launch_with_profile(playwright, browser_name, tmp_path)
    page = await context.new_page()
    await open_page(page, endpoint)
    await page.evaluate("web_event.flush()")
    endpoint.refuse()
    await track(page, 10)
    await page.evaluate("web_event.flush()")
    await context.close()
    endpoint.recover()
    context = await launch_with_profile(playwright, browser_name, tmp_path)
    await open_page(await context.new_page(), endpoint)
    await endpoint.until(lambda: len(numbers(endpoint)) == 10)
    await context.close()
    assert numbers(endpoint) == list(range(10))
    first, second = endpoint.named("page/view")
    assert (first["uid"], first["device"]) == (second["uid"], second["device"])
    assert first["visit"] != second["visit"], "closing the browser ends a visit"


async def test_crashed_tab_loses_nothing(browser_name: str, context: BrowserContext, endpoint: Endpoint) -> None:
    if browser_name != "chromium":
        pytest.skip("only Chromium has a page that crashes")
    endpoint.refuse()
    page = await context.new_page()
    await open_page(page, endpoint)
    await track(page, 20)
    with pytest.raises(Error):
        await page.goto("chrome://crash")
    endpoint.recover()
    await open_page(await context.new_page(), endpoint)
    await endpoint.until(lambda: len(numbers(endpoint)) == 20)
    assert numbers(endpoint) == list(range(20))
    assert endpoint.events[0]["uid"] == endpoint.events[-1]["uid"]


@pytest.mark.parametrize("lock", ["web locks", "lease"])
async def test_five_tabs_share_one_queue(context: BrowserContext, endpoint: Endpoint, lock: str) -> None:
    if lock == "lease":
        await context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', {value: undefined})")
    endpoint.slow_s = 0.05
    tabs = [await context.new_page() for _ in range(5)]
    await open_page(tabs[0], endpoint)
    for tab in tabs[1:]:
        await open_page(tab, endpoint)
    for part in range(4):
        for index, tab in enumerate(tabs):
            await tab.evaluate(TRACK.format(name=f"tab{index}").replace("from = 0", f"from = {part * 10}"), 10)
    await endpoint.until(lambda: len(endpoint.events) == 205, 60)
    for index in range(5):
        assert numbers(endpoint, f"n/tab{index}") == list(range(40))
    assert len({event["uid"] for event in endpoint.events}) == 1
    assert len({event["visit"] for event in endpoint.events}) == 1


async def test_tab_that_never_gives_the_lock_back_stops_nobody(context: BrowserContext, endpoint: Endpoint) -> None:
    """As a page does that a browser put into its cache, with the lock, when the visitor went on."""
    stuck, page = await context.new_page(), await context.new_page()
    await stuck.goto(add_page(endpoint, "/stuck", before="<script>fetch = () => new Promise(() => {})</script>"))
    await stuck.wait_for_function(LOADED)
    await track(stuck, 3, "stuck")
    await stuck.wait_for_function("navigator.locks.query().then(({held}) => held.length)")
    impatient = """let waits = 0; AbortSignal.timeout = ((kept) => (ms) => kept.call(AbortSignal, waits++ ? ms : 100))(
        AbortSignal.timeout)"""
    await page.goto(add_page(endpoint, "/next", before=f"<script>{WATCH_ERRORS}; {impatient}</script>"))
    await page.wait_for_function(LOADED)
    await track(page, 3)
    await endpoint.until(lambda: len(endpoint.named("n/event") + endpoint.named("n/stuck")) == 6)
    assert numbers(endpoint) == [0, 1, 2]
    assert numbers(endpoint, "n/stuck") == [0, 1, 2], "it sends what the other could not"
    await page.evaluate("web_event.flush()")
    assert await page.evaluate("navigator.locks.query().then(({held}) => held.length)") == 0
    assert await page.evaluate("errors") == []
    assert set(endpoint.arrivals.values()) == {1}


async def test_what_is_tracked_after_a_slow_answer_is_sent_too(page: Page, endpoint: Endpoint) -> None:
    endpoint.slow_s = 2.5
    await open_page(page, endpoint)
    await asyncio.sleep(1.5)  # the view is on its way
    await track(page, 1, "meanwhile")  # its timer ends before the answer comes
    await endpoint.until(lambda: endpoint.named("n/meanwhile"))
    await page.wait_for_function(waiting() + " == 0")
    await track(page, 1, "afterwards")
    await endpoint.until(lambda: endpoint.named("n/afterwards"), 10)


async def test_retry_after_is_obeyed_across_reloads(page: Page, endpoint: Endpoint) -> None:
    endpoint.fail(Answer(503, {"Retry-After": "10"}))
    await open_page(page, endpoint)
    await endpoint.until(lambda: len(endpoint.requests) == 1)
    # A page that is left before it has heard the answer sends its exit at once.
    await page.wait_for_function("Object.keys(localStorage).some((k) => k.endsWith(':r') && +localStorage[k])")
    await page.reload()
    await page.wait_for_function(LOADED)
    await page.evaluate("(web_event.track('a', 'b'), web_event.flush(), dispatchEvent(new Event('online')))")
    assert len(endpoint.requests) == 1
    left = await page.evaluate(
        "Math.max(...Object.keys(localStorage).map((k) => k.endsWith(':r') && +localStorage[k]))"
    )
    await endpoint.until(lambda: len(endpoint.events) == 3)
    assert endpoint.events[-1]["sent_at"] >= left - 50


@pytest.mark.parametrize("status", [413, 400])
async def test_poisonous_event_is_given_up_alone_and_counted(page: Page, endpoint: Endpoint, status: int) -> None:
    def refuse_poison(batch: dict[str, object]) -> Answer | None:
        return Answer(status) if '"n":13' in json.dumps(batch, separators=(",", ":")) else None

    endpoint.plan = refuse_poison
    await open_page(page, endpoint)
    await track(page, 20)
    await endpoint.until(lambda: len(numbers(endpoint)) == 19)
    await page.evaluate("(web_event.track('after', 'wards'), web_event.flush())")
    await endpoint.until(lambda: endpoint.named("after/wards"))
    assert numbers(endpoint) == [n for n in range(20) if n != 13]
    assert endpoint.named("after/wards")[0]["dropped"] == 1
    assert set(endpoint.arrivals.values()) == {1}


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_site_keeps_its_events_and_asks_again_only_after_a_reload(
    page: Page, endpoint: Endpoint, status: int
) -> None:
    endpoint.fail(Answer(status))
    await open_page(page, endpoint)
    await page.evaluate("web_event.flush()")
    await page.evaluate("(web_event.track('a', 'b'), web_event.flush())")
    assert [request.status for request in endpoint.requests] == [status]
    await page.reload()
    await endpoint.until(lambda: len(endpoint.events) == 3)
    assert set(endpoint.arrivals.values()) == {1}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, body="<html>Please log in to this network</html>"),
        Answer(200, body="{}"),
        Answer(200, body="null"),
        Answer(429),
        Answer(500, body="<html>"),
        Answer(404),
    ],
    ids=["captive portal", "empty", "null", "rate", "bug", "missing"],
)
async def test_only_a_verdict_deletes(page: Page, endpoint: Endpoint, answer: Answer) -> None:
    endpoint.always(answer)
    await open_page(page, endpoint)
    await page.evaluate("web_event.flush()")
    assert len(endpoint.requests) >= 1
    assert await page.evaluate(waiting()) == 1
    endpoint.recover()
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: len(endpoint.events) == 1)
    await page.wait_for_function(waiting() + " == 0")


async def test_quarantined_event_is_not_sent_again(page: Page, endpoint: Endpoint) -> None:
    verdict = {"accepted": 0, "duplicate": 0, "quarantined": 1, "suppressed": 0}
    result = {"index": 0, "event_id": "x", "status": "quarantined", "code": "invalid_field", "field": "dims.x"}
    endpoint.fail(Answer(200, body=json.dumps({**verdict, "results": [result]})))
    await open_page(page, endpoint)
    await page.evaluate("heard = []; web_event.debug((entry) => heard.push(entry.text))")
    await page.evaluate("web_event.flush()")
    await page.evaluate("web_event.flush()")
    assert len(endpoint.requests) == 1
    assert any("invalid_field" in text for text in await page.evaluate("heard"))


async def test_queue_is_bounded_and_says_what_it_gave_up(page: Page, endpoint: Endpoint) -> None:
    endpoint.refuse()
    await open_page(page, endpoint)
    await page.evaluate("web_event.identify('ann')")
    await track(page, 1_100)
    assert await page.evaluate(waiting()) == 1_000
    endpoint.recover()
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: len(endpoint.events) == 1_000)
    assert len(endpoint.named("user/identify")) == 1, "who somebody is outlives what they looked at"
    assert numbers(endpoint) == list(range(101, 1_100))
    assert (
        sum(event.get("dropped", 0) for event in endpoint.events)
        + int(await page.evaluate("+localStorage['_regulars:site-key:d'] || 0"))
        == 102
    )


async def test_hidden_page_does_not_send_what_other_tabs_track(context: BrowserContext, endpoint: Endpoint) -> None:
    one, two = await context.new_page(), await context.new_page()
    await open_page(one, endpoint)
    await open_page(two, endpoint)
    await one.evaluate("web_event.flush()")
    await two.evaluate("web_event.flush()")
    await track(one, 3)
    await two.close()
    await endpoint.until(lambda: len(numbers(endpoint)) == 3)
    # (The views may come twice: what one tab has deleted, another may see in localStorage for a moment more.)
    assert {endpoint.arrivals[event["event_id"]] for event in endpoint.named("n/event")} == {1}


async def test_first_visit_costs_few_requests_and_bytes(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("for (let i = 0; i < 10; i++) web_event.track('product', 'view', {dims: {sku: 'kettle-' + i}})")
    await page.evaluate("web_event.identify('0cc175b9c0f1b6a831c399e269772661')")
    await endpoint.until(lambda: len(endpoint.events) == 12)
    assert sum(request.raw_header_bytes + len(request.text.encode()) for request in endpoint.requests) <= 6_000


async def test_envelope_says_when_and_from_where(browser: Browser, endpoint: Endpoint) -> None:
    context = await browser.new_context(timezone_id="Asia/Kolkata")
    page = await context.new_page()
    await open_page(page, endpoint)
    lead_time = await page.evaluate("_cdpEventFunction._cdpGetLeadTime(Date.UTC(2026, 0, 1, 20))")
    await endpoint.until(lambda: endpoint.requests)
    body, headers = endpoint.requests[0].body, endpoint.requests[0].headers
    await context.close()
    assert lead_time == "2026-01-02 01:30:00"
    assert body["tz"] == 330
    assert body["sdk"] == "0.1.0"
    assert re.fullmatch(r"[0-9a-f-]{14}7[0-9a-f]{3}-8[0-9a-f-]{16}", body["device"])
    assert abs(body["sent_at"] - body["events"][0]["at"]) < 60_000
    assert headers["Content-Type"] == "text/plain;charset=UTF-8"
