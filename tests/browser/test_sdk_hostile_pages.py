"""Pages and browsers that forbid or break things: the page must not notice the SDK, and as much as can arrives."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext, Page, Route

from tests.browser.recording_endpoint import Endpoint
from tests.browser.sdk_pages import WATCH_ERRORS, add_page

BROWSERS = ("chromium", "firefox")
LOADED = "window.web_event && web_event.version"
USE = """() => { web_event.track('a', 'b', {dims: {n: 1}}); web_event.identify('c'); web_event.resetAnonymousUId();
    history.pushState({}, '', '/other'); web_event.page(); web_event.flush(); web_event.signOut(); return 'works' }"""


async def use_page(page: Page, url: str) -> list[str]:
    """Opens a page, uses the SDK and the page's own history, and returns the errors that came up."""
    await page.add_init_script(WATCH_ERRORS)
    await page.goto(url)
    await page.wait_for_function(LOADED)
    assert await page.evaluate(USE) == "works"
    await page.evaluate("new Promise((done) => setTimeout(done, 30))")
    found: list[str] = await page.evaluate("errors")
    return found


@pytest.mark.parametrize(
    "script",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})",
        "Object.defineProperty(window, 'localStorage', {value: null})",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "Object.defineProperty(document, 'cookie', {get() { throw Error('no') }, set() { throw Error('no') }})",
        "delete window.crypto; Object.defineProperty(window, 'crypto', {value: undefined})",
        "Object.defineProperty(Navigator.prototype, 'locks', {value: undefined})",
        "Object.defineProperty(Navigator.prototype, 'sendBeacon', {value: undefined})",
        "const kept = Promise; Promise = undefined; addEventListener('load', () => { Promise = kept })",
        "const then = Promise.prototype.then; Promise.prototype.then = function (...a) { return then.apply(this, a) }",
        "Object.freeze(history)",
        "AbortSignal.timeout = undefined",
        "Array.prototype.mine = 1; Object.prototype.mine = 1",
    ],
    ids=lambda script: script[:40],
)
async def test_events_arrive_from_a_page_without(page: Page, endpoint: Endpoint, script: str) -> None:
    url = add_page(endpoint, before=f"<script>{script}</script>")
    assert await use_page(page, url) == []
    await endpoint.until(lambda: endpoint.named("a/b"))
    await endpoint.until(lambda: endpoint.named("user/sign_out"))
    assert set(endpoint.arrivals.values()) == {1}
    assert len({event["event_id"] for event in endpoint.events}) == len(endpoint.events)


@pytest.mark.parametrize(
    "script",
    [
        "fetch = () => { throw Error('patched') }",
        "fetch = () => undefined",
        "fetch = () => Promise.reject(Error('patched'))",
        "fetch = () => new Promise(() => {})",
        "fetch = undefined",
        "JSON = undefined",
        "JSON.stringify = () => { throw Error('patched') }",
        "JSON.parse = () => null",
        "Date.now = () => NaN",
        "setTimeout = () => { throw Error('patched') }",
    ],
)
async def test_page_works_whatever_it_has_broken(page: Page, endpoint: Endpoint, script: str) -> None:
    await page.add_init_script(WATCH_ERRORS)
    await page.goto(add_page(endpoint, before=f"<script>{script}</script>"))
    await page.wait_for_function("document.readyState == 'complete' && window.web_event")
    assert await page.evaluate(USE.replace("history.pushState({}, '', '/other');", "")) == "works"
    await page.evaluate("(dispatchEvent(new Event('pagehide')), dispatchEvent(new Event('online')))")
    assert await page.evaluate("errors") == []


async def test_really_full_storage_keeps_what_fits_and_sends_the_rest(page: Page, endpoint: Endpoint) -> None:
    endpoint.refuse()
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("""() => { let s = 'x'.repeat(1 << 20); while (s) {
        try { localStorage['fill' + localStorage.length] = s } catch { s = s.slice(s.length / 2 + 0.5) } } }""")
    await page.evaluate("for (let n = 0; n < 10; n++) web_event.track('a', 'b', {dims: {n}})")
    endpoint.recover()
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: len(endpoint.named("a/b")) == 10)
    assert [event["dims"]["n"] for event in endpoint.named("a/b")] == list(range(10))


async def test_strict_content_security_policy_and_trusted_types(page: Page, endpoint: Endpoint) -> None:
    policy = (
        "default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; connect-src 'self'; img-src 'self'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    body = """<script nonce=abc>reports = []; document.addEventListener('securitypolicyviolation',
        (event) => reports.push(event.violatedDirective))</script>"""
    url = add_page(endpoint, body=body, headers={"Content-Security-Policy": policy}, nonce="abc")
    assert await use_page(page, url) == []
    await endpoint.until(lambda: endpoint.named("a/b"))
    assert await page.evaluate("reports") == []


async def test_policy_that_forbids_the_collector_breaks_nothing(page: Page, endpoint: Endpoint) -> None:
    url = add_page(endpoint, headers={"Content-Security-Policy": "connect-src 'none'"})
    assert await use_page(page, url) == []
    assert endpoint.requests == []


async def test_ad_blocker_is_not_hammered(page: Page, endpoint: Endpoint) -> None:
    tries: list[str] = []

    async def abort(route: Route) -> None:
        tries.append(route.request.url)
        await route.abort()

    await page.route("**/v1/collect*", abort)
    url = add_page(
        endpoint,
        before="<script>Math.random = () => 0.999; delays = []; setTimeout = ((later) => (work, ms) "
        "=> (ms > 1000 ? (delays.push(ms), later(work, 1)) : later(work, ms)))(setTimeout)</script>",
    )
    assert await use_page(page, url) == []
    await page.wait_for_function("delays.length >= 14")
    delays = await page.evaluate("delays")
    assert delays[:3] == pytest.approx([1998, 3996, 7992])
    assert max(delays) == pytest.approx(599_400)
    assert delays == sorted(delays), "each wait is longer than the one before"
    await page.goto(url)
    # (Firefox may put the page before into its cache while that waits for the lock; 30 s later it is taken away.)
    await page.wait_for_function("delays.length >= 1", timeout=120_000)
    assert (await page.evaluate("delays"))[0] == pytest.approx(599_400), "the next page goes on as slowly"


async def test_plain_http_has_no_locks_and_no_subtle_crypto(page: Page, endpoint: Endpoint) -> None:
    add_page(endpoint, sdk_host="shop.test")
    assert await use_page(page, endpoint.at("shop.test") + "page") == []
    assert await page.evaluate("[isSecureContext, !!navigator.locks, !!crypto.subtle]") == [False, False, False]
    assert await page.evaluate("_cdpEventFunction.md5('a')") == "0cc175b9c0f1b6a831c399e269772661"
    assert await page.evaluate("_cdpEventFunction.sha256('a')") == ""
    await endpoint.until(lambda: endpoint.named("user/sign_out"))
    assert set(endpoint.arrivals.values()) == {1}


async def test_collector_on_another_site(page: Page, endpoint: Endpoint) -> None:
    add_page(endpoint, sdk_host="localhost")
    assert await use_page(page, endpoint.url + "page") == []
    await endpoint.until(lambda: endpoint.named("user/sign_out"))
    assert {request.headers["Host"].split(":")[0] for request in endpoint.requests} == {"localhost"}
    assert set(endpoint.arrivals.values()) == {1}


@pytest.mark.parametrize("years", [-10, 10])
async def test_clock_that_is_years_off(context: BrowserContext, page: Page, endpoint: Endpoint, years: int) -> None:
    shift = years * 365 * 86_400_000
    await page.add_init_script(f"Date.now = ((now) => () => now.call(Date) + {shift})(Date.now)")
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await context.set_offline(True)
    await page.evaluate("for (let n = 0; n < 100; n++) web_event.track('a', 'b', {dims: {n}})")
    await page.evaluate("web_event.flush()")
    await context.set_offline(False)
    await endpoint.until(lambda: len(endpoint.named("a/b")) == 100)
    assert [event["dims"]["n"] for event in endpoint.named("a/b")] == list(range(100))
    assert set(endpoint.arrivals.values()) == {1}
    assert abs(endpoint.events[-1]["sent_at"] - endpoint.events[-1]["at"]) < 60_000


async def test_frame_without_an_origin(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script(WATCH_ERRORS)
    inner = add_page(endpoint, "/inner")
    endpoint.pages["/outer"] = (f'<iframe sandbox="allow-scripts" src="{inner}"></iframe>', {})
    await page.goto(endpoint.url + "outer")
    frame = page.frames[1]
    await frame.wait_for_function(LOADED)
    await frame.evaluate("web_event.track('a', 'b')")
    assert await frame.evaluate("errors") == []
    await page.goto("about:blank")
    await endpoint.until(lambda: endpoint.named("a/b"))
