"""How pages end: an exit for each, with the time for which the visitor had it before them."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page

from tests.browser.recording_endpoint import Endpoint, Event
from tests.browser.sdk_pages import add_page

BROWSERS = ("chromium", "firefox")
LOADED = "window.web_event && web_event.version"
EXIT = "page/exit"

# What moves the page's clock, and what the browser says of the page, in the hands of a test. (A headless browser has no
# window that could lose the focus.)
STAGE = """window.clock = 0; performance.now = () => 1 + clock;
document.hasFocus = () => !window.elsewhere;
Object.defineProperty(document, 'hidden', {get: () => !!window.away});
window.focusing = (yes) => { elsewhere = !yes; dispatchEvent(new Event(yes ? 'focus' : 'blur')) };
window.showing = (yes) => { away = !yes; document.dispatchEvent(new Event('visibilitychange', {bubbles: true})) };"""
LATER = "Date.now = ((now) => () => now.call(Date) + (window.later || 0))(Date.now)"


async def open_page(page: Page, endpoint: Endpoint, path: str = "/page", stage: str = STAGE) -> Event:
    """Opens a page in the hands of the test, and returns its view."""
    await page.add_init_script(stage)
    await page.goto(add_page(endpoint, path))
    await page.wait_for_function(LOADED)
    await page.evaluate("web_event.flush()")
    await endpoint.until(lambda: endpoint.named("page/view"))
    return endpoint.named("page/view")[-1]


async def exits(page: Page, endpoint: Endpoint) -> list[Event]:
    """The exits so far: what was tracked before an event of our own is stored before it."""
    count = len(endpoint.named("test/mark"))
    await page.evaluate("(web_event.track('test', 'mark'), web_event.flush())")
    await endpoint.until(lambda: len(endpoint.named("test/mark")) > count)
    return endpoint.named(EXIT)


def ends(view: Event) -> tuple[object, ...]:
    """What an exit has in common with the view of its page."""
    return tuple(view[key] for key in ("page", "url", "visit", "uid", "device"))


async def test_navigation_inside_the_document_ends_a_page_before_the_next_begins(
    page: Page, endpoint: Endpoint
) -> None:
    await open_page(page, endpoint, "/start")
    for step in (
        "clock = 100; history.pushState({}, '', '/one')",
        "clock = 300; history.replaceState({}, '', '/two#/route')",
        "clock = 600; history.pushState({}, '', location.href); location.hash = '#/other'; web_event.track('a', 'b')",
        "clock = 1000; history.back()",
        "clock = 1500; web_event.page()",
    ):
        await page.evaluate(step)
        await page.evaluate("new Promise((done) => setTimeout(done, 50))")
    found = await exits(page, endpoint)
    views = endpoint.named("page/view")
    assert [view["url"].split("/", 3)[-1] for view in views] == [
        "start", "one", "two#/route", "two#/other", "two#/route", "two#/route",
    ]  # fmt: skip
    assert [ends(view) for view in views[:-1]] == [ends(left) for left in found]
    assert [left["extra"] for left in found] == [{"active_ms": ms} for ms in (100, 200, 300, 400, 500)]
    told = sorted([*views, *found], key=lambda event: event["seq"])
    assert [event["action"] for event in told] == [*["view", "exit"] * 5, "view"]


async def test_pages_that_follow_each_other_at_once_are_kept_apart(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint, "/start")
    await page.evaluate("history.pushState({}, '', '/one'); history.pushState({}, '', '/two'); showing(false)")
    await endpoint.until(lambda: len(endpoint.named(EXIT)) == 3)
    views = endpoint.named("page/view")
    assert [view["url"].split("/")[-1] for view in views] == ["start", "one", "two"]
    assert [ends(view) for view in views] == [ends(left) for left in endpoint.named(EXIT)]
    assert len({view["page"] for view in views}) == 3


async def test_hidden_page_says_so_once_and_counts_on_when_it_is_back(page: Page, endpoint: Endpoint) -> None:
    view = await open_page(page, endpoint)
    await page.evaluate("web_event.track('a', 'b')")
    await page.evaluate("clock = 700; showing(false); clock = 5000; dispatchEvent(new Event('pagehide'))")
    await endpoint.until(lambda: endpoint.named(EXIT))
    assert [event["action"] for event in endpoint.requests[-1].body["events"]] == ["b", "exit"], "one last batch"
    await page.evaluate("clock = 6000; showing(true)")
    await page.evaluate("clock = 6300; showing(false)")
    found = await exits(page, endpoint)
    assert [left["extra"]["active_ms"] for left in found] == [700, 1000]
    assert [ends(left) for left in found] == [ends(view)] * 2


async def test_only_time_that_is_visible_and_focused_counts(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    for step in (
        "clock = 10; focusing(false)",
        "clock = 20; focusing(true)",
        "clock = 40; showing(false); clock = 80; focusing(false)",
        "clock = 160; showing(true)",
        "clock = 320; focusing(true)",
        "clock = 640; focusing(false); clock = 1280; showing(false)",
    ):
        await page.evaluate(step)
    assert (await exits(page, endpoint))[-1]["extra"] == {"active_ms": 10 + (40 - 20) + (640 - 320)}


async def test_page_opened_in_the_background_has_no_active_time(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script("window.away = true")
    await open_page(page, endpoint)
    await page.evaluate("clock = 100; dispatchEvent(new Event('pagehide'))")
    assert [left["extra"] for left in await exits(page, endpoint)] == [{"active_ms": 0}]


async def test_active_time_is_right_whatever_the_wall_clock_does(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script(LATER)
    await open_page(page, endpoint)
    await page.evaluate("later = -3600000; clock = 2000.4; showing(false)")
    assert [left["extra"] for left in await exits(page, endpoint)] == [{"active_ms": 2000}]


async def test_focus_of_elements_is_not_that_of_the_window(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("document.body.innerHTML = '<input id=one><input id=two>'")
    for target in ("one", "two"):
        await page.evaluate(f"clock += 100; {target}.focus()")
    await page.evaluate("clock += 100; two.blur(); clock += 100; showing(false)")
    assert [left["extra"] for left in await exits(page, endpoint)] == [{"active_ms": 400}]


async def test_page_that_goes_away_tells_its_exit_with_the_rest(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    began = await page.evaluate("performance.timeOrigin")
    await page.evaluate("web_event.track('a', 'b'); location.href = 'about:blank'")
    await endpoint.until(lambda: endpoint.named(EXIT))
    await page.wait_for_url("about:blank")  # (Chromium may hang for ever when its context is closed before.)
    assert [event["action"] for event in endpoint.requests[0].body["events"]] == ["view", "b", "exit"]
    (left,) = endpoint.named(EXIT)
    assert ends(left) == ends(endpoint.named("page/view")[0])
    assert 0 <= left["extra"]["active_ms"] <= left["at"] - began + 1_000
    assert isinstance(left["extra"]["active_ms"], int)


async def test_closed_tab_tells_its_exit(page: Page, endpoint: Endpoint) -> None:
    # (Firefox ends the process of a tab it closes within milliseconds, and says earlier that it is hidden: no stage.)
    view = await open_page(page, endpoint, stage="")
    await page.close()
    await endpoint.until(lambda: endpoint.named(EXIT))
    assert [ends(left) for left in endpoint.named(EXIT)] == [ends(view)]


async def test_exit_that_the_collector_did_not_hear_comes_with_the_next_page(page: Page, endpoint: Endpoint) -> None:
    view = await open_page(page, endpoint)
    endpoint.refuse()
    await page.evaluate("showing(false)")
    await endpoint.until(lambda: endpoint.requests[-1].status == 0)
    endpoint.recover()
    await page.goto(add_page(endpoint, "/next"))
    await page.wait_for_function(LOADED)
    await exits(page, endpoint)
    assert ends(endpoint.named(EXIT)[0]) == ends(view)


async def test_page_restored_from_memory_begins_with_no_active_time(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("clock = 500; dispatchEvent(new Event('pagehide')); showing(false)")
    await page.evaluate(
        "clock = 9000; showing(true); dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    )
    await page.evaluate("clock = 9300; showing(false)")
    found = await exits(page, endpoint)
    assert [left["extra"]["active_ms"] for left in found] == [500, 300]
    assert [left["page"] for left in found] == [view["page"] for view in endpoint.named("page/view")]


async def test_exit_belongs_to_the_visit_of_its_page_and_begins_none(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script(LATER)
    view = await open_page(page, endpoint)
    before = await page.evaluate("document.cookie.match(/_regulars_visit=[^;]*/)[0]")
    await page.evaluate("later = 40 * 60000; showing(false)")
    assert await page.evaluate("document.cookie.match(/_regulars_visit=[^;]*/)[0]") == before
    await page.evaluate("showing(true); web_event.track('after', 'silence'); showing(false)")
    found = await exits(page, endpoint)
    assert [left["visit"] for left in found] == [view["visit"]] * 2
    assert endpoint.named("after/silence")[0]["visit"] != view["visit"]
    assert endpoint.named("after/silence")[0]["page"] == view["page"]


async def test_whoever_deleted_their_cookies_is_not_seen_leaving(
    context: BrowserContext, page: Page, endpoint: Endpoint
) -> None:
    await open_page(page, endpoint)
    await context.clear_cookies()
    await page.evaluate("showing(false)")
    assert "_regulars" not in await page.evaluate("document.cookie")
    await page.evaluate("showing(true); web_event.track('a', 'b'); showing(false)")
    assert await exits(page, endpoint) == []


async def test_exit_waits_for_consent_like_everything_else(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"consent": "required"}
    await page.add_init_script(STAGE)
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.evaluate("clock = 200; history.pushState({}, '', '/next'); showing(false); showing(true)")
    await page.evaluate("web_event.flush()")
    assert (endpoint.requests, await page.evaluate("[document.cookie, localStorage.length]")) == ([], ["", 0])
    await page.evaluate("web_event.consent('granted')")
    first, again = await exits(page, endpoint)
    views = endpoint.named("page/view")
    assert [ends(first), ends(again)] == [ends(view) for view in views]
    assert first["extra"] == {"active_ms": 200}
    assert first["at"] <= views[1]["at"]


async def test_denied_page_has_no_exit_even_when_consent_comes_later(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("web_event.consent('denied'); showing(false); showing(true)")
    await page.evaluate("web_event.flush()")
    assert endpoint.named(EXIT) == []
    await page.evaluate("web_event.consent('granted'); showing(false); showing(true)")
    assert await exits(page, endpoint) == []
    await page.evaluate("history.pushState({}, '', '/next'); showing(false)")
    assert [left["url"].split("/")[-1] for left in await exits(page, endpoint)] == ["next"]


async def test_listener_hears_of_exits(page: Page, endpoint: Endpoint) -> None:
    await open_page(page, endpoint)
    await page.evaluate("heard = []; web_event.debug(({kind, text}) => heard.push(`${kind} ${text}`))")
    await page.evaluate("heard.length = 0; showing(false)")
    assert (await page.evaluate("heard"))[:2] == [f"tracked {EXIT}", "sent 1 events"]
