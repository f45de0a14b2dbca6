"""What arrives when things go wrong in a browser, and which page views an application counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
from playwright.async_api import Page, Playwright, async_playwright

from benchmarks.bench import Bench
from benchmarks.pages import serving_line, serving_pages
from benchmarks.sdk import wait_for
from benchmarks.server import Installation, Server, free_port, install
from benchmarks.stored import fetch_events
from benchmarks.targets import Result
from tests.browsers import launch, launch_with_profile

EVENTS = 10
ONE_WAY_S = 0.2
OUTAGE_S = 10
RECOVERY_S = 60  # how long a browser may take to find out that the collector is back
TRACK = "([name, browser]) => {for (let n = 0; n < 10; n++) web_event.track('bench', name, {dims: {browser, n}})}"
TRACK_AND_GO = f"(args) => {{({TRACK})(args); location.href = '/'}}"
STEPS = (
    "history.pushState(null, '', '/one')",
    "history.replaceState(null, '', '/two')",
    "history.pushState(null, '', '/three')",
    "history.back()",
    "history.pushState(null, '', location.href)",
)
VIEWS: tuple[list[str], ...] = (["/one"], ["/two"], ["/three"], ["/two"], [])  # that each step must count


def measure_losses(bench: Bench) -> list[Result]:
    """Ten events and then the page goes; ten in an outage; ten in an outage that the browser does not survive."""
    return asyncio.run(_measure_losses(bench))


async def _measure_losses(bench: Bench) -> list[Result]:
    port = free_port()
    folder = bench.make_folder("losses")
    site = install(folder, f"http://127.0.0.1:{port}")
    collector = site.start(None)
    try:
        async with serving_pages(port), async_playwright() as playwright:
            for name in bench.scale.browsers:
                bench.tell(f"ten events, then leave: {name}")
                await _leave(playwright, name, site, collector)
            collector = await _outage(bench, playwright, site, collector, folder)
    finally:
        collector.stop()
    results = []
    for name in bench.scale.browsers:
        values = (("browser", name.capitalize()),)
        results += [Result(case, [_stored(site, case, name)], values=values) for case in ("leave", "outage", "restart")]
        results.append(Result("twice", [_stored_twice(site, name)], values=values))
    return results


async def _leave(playwright: Playwright, name: str, site: Installation, collector: Server) -> None:
    """Go to another page in the moment after the last event, over a line of 400 ms there and back."""
    async with serving_line(collector.port, ONE_WAY_S) as line:
        browser = await launch(playwright, name)
        page = await browser.new_page()
        await _open(page, site, line.port)
        await page.evaluate(TRACK_AND_GO, ["leave", name])
        await page.wait_for_timeout(2_000)
        await browser.close()


async def _outage(bench: Bench, playwright: Playwright, site: Installation, collector: Server, folder: Path) -> Server:
    """Ten seconds without a collector. Every browser runs twice: one stays, the other is restarted meanwhile."""
    async with AsyncExitStack() as running:
        pages, profiles = {}, {}
        for name in bench.scale.browsers:
            bench.tell(f"outage: {name}")
            browser = await launch(playwright, name)
            running.push_async_callback(browser.close)
            pages[name] = await browser.new_page()
            await _open(pages[name], site, collector.port)
            profiles[name] = await launch_with_profile(playwright, name, folder / name)
            await _open(profiles[name].pages[0], site, collector.port)
        collector.kill()
        ends_at = asyncio.get_running_loop().time() + OUTAGE_S
        for name in bench.scale.browsers:
            await pages[name].evaluate(TRACK, ["outage", name])
            await profiles[name].pages[0].evaluate(TRACK, ["restart", name])
            await profiles[name].close()
        await asyncio.sleep(max(0, ends_at - asyncio.get_running_loop().time()))
        collector = await asyncio.to_thread(site.start, None, collector.port)
        try:
            for name in bench.scale.browsers:
                context = await launch_with_profile(playwright, name, folder / name)
                running.push_async_callback(context.close)
                await _open(context.pages[0], site, collector.port)
            await _recover(bench, site)
        except BaseException:
            collector.stop()
            raise
        await asyncio.sleep(2)  # what is sent twice would be so now
    return collector


async def _recover(bench: Bench, site: Installation) -> None:
    """Wait until everything is there, or until it can be taken for lost."""
    cases = [(case, name) for case in ("outage", "restart") for name in bench.scale.browsers]
    try:
        bench.tell("the collector is back")
        await wait_for(lambda: all(_stored(site, *case) == EVENTS for case in cases), "all events", RECOVERY_S)
    except RuntimeError:
        bench.tell("events are lost")


def measure_spa(bench: Bench) -> list[Result]:
    """pushState, replaceState, pushState, back, pushState to the same URL: which of them were counted rightly."""
    return asyncio.run(_measure_spa(bench))


async def _measure_spa(bench: Bench) -> list[Result]:
    results = []
    for name in bench.scale.browsers:
        bench.tell(f"page views of an application: {name}")
        port = free_port()
        site = install(bench.make_folder(f"spa_{name}"), f"http://127.0.0.1:{port}")
        with site.running(None) as collector:
            async with serving_pages(port), async_playwright() as playwright:
                await _walk(playwright, name, site, collector)
        right = sum(seen == wanted for seen, wanted in zip(_steps(site)[1:], VIEWS, strict=True))
        results.append(Result("spa", [right], values=(("browser", name.capitalize()),)))
    return results


async def _walk(playwright: Playwright, name: str, site: Installation, collector: Server) -> None:
    """Take the five steps, with a marker before the first and after each."""
    browser = await launch(playwright, name)
    page = await browser.new_page()
    await _open(page, site, collector.port)
    for number, step in enumerate(("0", *STEPS)):
        await page.evaluate(step)
        await page.wait_for_timeout(200)
        await page.evaluate(f"web_event.track('bench', 'step', {{dims: {{n: {number}}}}})")
    await page.evaluate("web_event.flush()")
    await wait_for(lambda: len(_steps(site)) == len(STEPS) + 1, "all steps")
    await browser.close()


async def _open(page: Page, site: Installation, port: int) -> None:
    """Open a page with the tag and wait until its own view is stored."""
    before = len(fetch_events(site.url, "page/view"))
    await page.goto(f"{site.origin}/page?tag={site.write_key}@http://127.0.0.1:{port}")
    await page.wait_for_function("web_event.version")
    await wait_for(lambda: len(fetch_events(site.url, "page/view")) > before, "a page view")


def _arrivals(site: Installation, case: str, browser: str) -> Counter[int]:
    """How often each of the ten events is stored."""
    dims = [orjson.loads(event.body)["dims"] for event in fetch_events(site.url, f"bench/{case}")]
    return Counter(dim["n"] for dim in dims if dim["browser"] == browser)


def _stored(site: Installation, case: str, browser: str) -> int:
    return len(_arrivals(site, case, browser))


def _stored_twice(site: Installation, browser: str) -> int:
    counts = [_arrivals(site, case, browser) for case in ("leave", "outage", "restart")]
    return sum(times - 1 for arrivals in counts for times in arrivals.values())


def _steps(site: Installation) -> list[list[str]]:
    """The paths of the page views before each marker."""
    steps: list[list[str]] = []
    views: list[str] = []
    for event in fetch_events(site.url):
        if event.name == "page/view":
            views.append("/" + event.url.split("/", 3)[3].partition("?")[0])
        elif event.name == "bench/step":
            steps.append(views)
            views = []
    return steps
