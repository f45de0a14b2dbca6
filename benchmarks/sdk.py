"""What the SDK costs a page: its size, its time on the main thread, and what it uploads."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable

from playwright.async_api import Browser, async_playwright

from benchmarks.bench import Bench
from benchmarks.pages import serving_line, serving_pages
from benchmarks.server import ROOT, free_port, install
from benchmarks.stored import fetch, last_row
from benchmarks.targets import Result
from tests.browsers import launch

SDK = ROOT / "sdk_js" / "dist" / "sdk.js"
WATCH_MS = 2_500  # the SDK gathers events for a second, sends them and reads the answer
PATIENCE_S = 15

TRACK = """() => {
  for (let n = 0; n < 10; n++) {
    web_event.track("product", "view", {dims: {sku: "watering-can", list: "bestsellers"}, extra: {position: n}});
  }
  web_event.identify("c-1029384756", {name: "Ann Example", email: "ann@example.com"});
}"""


def measure_size(_bench: Bench) -> list[Result]:
    """The built file, compressed."""
    source = SDK.read_bytes()
    return [Result("sdk_size", [len(gzip.compress(source, 9, mtime=0))], f"{len(source):,} bytes before compression")]


def measure_cpu(bench: Bench) -> list[Result]:
    """CPU of all main-thread tasks of a page with the tag, less that of the same page without it, alternating."""
    return asyncio.run(_measure_cpu(bench))


async def _measure_cpu(bench: Bench) -> list[Result]:
    port = free_port()
    # A name, because on a bare address the SDK tries more domains for its cookies than on any real site.
    site = install(bench.make_folder("sdk_cpu"), f"http://shop.localhost:{port}")
    pairs = []
    with site.running(None) as collector:
        async with serving_pages(port), async_playwright() as playwright:
            browser = await launch(playwright, "chromium")
            without, with_tag = f"{site.origin}/", f"{site.origin}/?tag={site.write_key}@{collector.url}"
            await _task_ms(browser, with_tag)
            for number in range(1, bench.scale.page_loads + 1):
                bench.tell(f"main thread, pair {number} of {bench.scale.page_loads}")
                pairs.append((await _task_ms(browser, without), await _task_ms(browser, with_tag)))
            await browser.close()
    # One page view for each page with the tag, the first one included: the SDK did its work.
    [[(views,)]] = fetch(site.url, "SELECT count(*) FROM events WHERE category = 'page' AND action = 'view'")
    if views != len(pairs) + 1:
        raise RuntimeError(f"{views} page views stored, {len(pairs) + 1} expected")
    return [
        Result("sdk_cpu", [with_tag - without for without, with_tag in pairs], "Chromium, a new visitor for each page")
    ]


async def _task_ms(browser: Browser, url: str) -> float:
    """TaskDuration of a page, in CPU time of its thread, from its start until WATCH_MS after it was loaded."""
    context = await browser.new_context()
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.goto(url)
    await page.wait_for_timeout(WATCH_MS)
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    await context.close()
    return 1000 * float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def measure_upload(bench: Bench) -> list[Result]:
    """Bytes of all POST requests for one page view, ten tracks and one identify."""
    return asyncio.run(_measure_upload(bench))


async def _measure_upload(bench: Bench) -> list[Result]:
    bench.tell("bytes uploaded")
    port = free_port()
    site = install(bench.make_folder("sdk_upload"), f"http://127.0.0.1:{port}")
    with site.running(None) as collector:
        async with serving_pages(port), serving_line(collector.port) as line, async_playwright() as playwright:
            browser = await launch(playwright, "chromium")
            page = await browser.new_page()
            await page.goto(f"{site.origin}/?tag={site.write_key}@http://127.0.0.1:{line.port}")
            await page.wait_for_function("web_event.version")
            await page.evaluate(TRACK)
            await wait_for(lambda: last_row(site.url) == 12, "12 events")
            await browser.close()
            posts = line.posts()
    return [Result("sdk_upload", [sum(map(len, posts))], f"Chromium; requests: {len(posts)}")]


async def wait_for(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look until it is so. Raises RuntimeError when patience ends."""
    end = asyncio.get_running_loop().time() + patience_s
    while not condition():
        if asyncio.get_running_loop().time() > end:
            raise RuntimeError(f"waited {patience_s} s in vain for {what}")
        await asyncio.sleep(0.05)
