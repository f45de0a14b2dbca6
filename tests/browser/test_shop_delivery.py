"""Whatever happens to the network, the collector or the browser: each event is stored once, and in order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import time
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Error, Page, Playwright

from tests.browser.ground import Plan
from tests.browser.whole import COLLECT, OpenTown, Stored, Town, sdk_is_there, sdk_waits
from tests.browsers import launch_with_profile

RETRY_S = 60.0  # the third or fourth attempt may be half a minute away


@pytest_asyncio.fixture(loop_scope="session")
async def fragile_town(open_town: OpenTown) -> Town:
    """A town whose collector can be killed."""
    return await open_town(Plan(is_apart=True))


async def enter(town: Town, page: Page, path: str = "/products/milk-pan") -> Page:
    """The visitor looks at a page, and the SDK is there."""
    await town.visit(page, path)
    await sdk_is_there(page)
    return page


async def mark(page: Page, count: int, tab: str = "", start: int = 0) -> None:
    """Tracks numbered events, all in one go."""
    track = "for (let n = start; n < start + count; n++) web_event.track('test', 'mark', {extra: {tab, n}})"
    await page.evaluate(f"([tab, start, count]) => {{ {track} }}", [tab, start, count])


def marks(town: Town) -> list[Stored]:
    """Numbered events that are stored."""
    return town.events("test/mark")


async def once_and_in_order(town: Town, count: int, *tabs: str, seconds: float = 20.0) -> None:
    """Waits for all numbered events of all tabs; every one is there once, in its tab's order."""
    await town.until(lambda: len(marks(town)) >= count * len(tabs), seconds)
    for tab in tabs:
        seen = [event.body["extra"]["n"] for event in marks(town) if event.body["extra"]["tab"] == tab]
        assert seen == list(range(count)), f"tab {tab!r}"
    seqs = [event.seq for event in marks(town) if event.body["extra"]["tab"] == tabs[0]]
    assert seqs == sorted(set(seqs))


async def test_five_hundred_events_tracked_offline_arrive_once_and_in_order(town: Town) -> None:
    page = await enter(town, await town.visitor())
    await town.arrived(page, "product/view")
    await page.context.set_offline(True)
    await mark(page, 500)
    await page.evaluate("web_event.flush()")
    assert marks(town) == []
    await page.context.set_offline(False)
    await once_and_in_order(town, 500, "")


async def test_collector_that_was_down_is_caught_up_with_by_itself(fragile_town: Town) -> None:
    page = await enter(fragile_town, await fragile_town.visitor())
    await fragile_town.arrived(page, "product/view")
    fragile_town.kill()
    await mark(page, 10)
    await sdk_waits(page)
    await fragile_town.restart()
    await once_and_in_order(fragile_town, 10, "", seconds=RETRY_S)


async def test_collector_killed_again_and_again_loses_and_doubles_nothing(fragile_town: Town) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    page = await enter(fragile_town, await fragile_town.visitor())
    for start in range(0, 150, 50):
        for n in range(start, start + 50, 5):
            await mark(page, 5, start=n)
            await page.evaluate("void web_event.flush()")
        await asyncio.sleep(chance.uniform(0.0, 0.05))  # the moment of the kill
        fragile_town.kill()
        await mark(page, 1, "down", start // 50)
        await fragile_town.restart()
    await page.reload()
    await fragile_town.until(lambda: len(marks(fragile_town)) >= 153, RETRY_S)
    await once_and_in_order(fragile_town, 150, "")
    assert [event.body["extra"]["n"] for event in marks(fragile_town) if event.body["extra"]["tab"]] == [0, 1, 2]


async def test_browser_restarted_while_the_collector_is_down_still_brings_everything(
    fragile_town: Town, playwright: Playwright, tmp_path: Path
) -> None:
    async with await launch_with_profile(playwright, "chromium", tmp_path / "profile") as context:
        page = await enter(fragile_town, await context.new_page())
        await fragile_town.arrived(page, "product/view")
        fragile_town.kill()
        await mark(page, 10)
    await fragile_town.restart()
    async with await launch_with_profile(playwright, "chromium", tmp_path / "profile") as context:
        page = await enter(fragile_town, await context.new_page())
        await once_and_in_order(fragile_town, 10, "", seconds=RETRY_S)
        before, after = await fragile_town.arrived(page, "product/view", 2)
    assert before.uid == after.uid
    assert before.visit != after.visit, "closing the browser ends the visit"
    assert fragile_town.count("devices") == 1


@pytest.mark.parametrize("leaves", ["closes the tab", "goes elsewhere", "reloads"])
async def test_ten_events_and_away(town: Town, leaves: str) -> None:
    page = await enter(town, await town.visitor())
    await town.arrived(page, "product/view")
    await mark(page, 10)
    if leaves == "closes the tab":
        await page.close()
    elif leaves == "reloads":
        await page.reload()
    else:
        await page.goto("about:blank")
    await once_and_in_order(town, 10, "")


async def test_what_a_crashed_tab_had_tracked_is_brought_by_the_next(town: Town) -> None:
    page = await enter(town, await town.visitor())
    await town.arrived(page, "product/view")
    await page.route(COLLECT, lambda route: route.abort())  # this tab alone is cut off
    await mark(page, 10)
    crashed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    page.once("crash", lambda _: crashed.set_result(True))
    crash = asyncio.ensure_future((await page.context.new_cdp_session(page)).send("Page.crash"))
    await crashed
    crash.cancel()  # nobody is left to answer it
    with contextlib.suppress(asyncio.CancelledError, Error):
        await crash
    assert marks(town) == []
    await enter(town, await page.context.new_page())
    await once_and_in_order(town, 10, "")


async def test_five_tabs_at_once_are_one_visitor_and_nothing_is_stored_twice(town: Town) -> None:
    first = await enter(town, await town.visitor())
    others = [await first.context.new_page() for _ in range(4)]
    await asyncio.gather(*(enter(town, page) for page in others))
    tabs = {str(number): page for number, page in enumerate([first, *others])}
    for start in range(0, 50, 10):
        await asyncio.gather(*(mark(page, 10, tab, start) for tab, page in tabs.items()))
    await once_and_in_order(town, 50, *tabs)
    assert len({event.uid for event in town.events()}) == 1
    assert len({event.visit for event in town.events()}) == 1
    assert (town.count("devices"), town.count("profiles")) == (1, 1)


@pytest.mark.parametrize("years", [-10, 10])
async def test_clock_ten_years_off_neither_loses_events_nor_misplaces_them(town: Town, years: int) -> None:
    page = await town.visitor()
    today = datetime.datetime.now(tz=datetime.UTC)
    await page.context.clock.set_system_time(today + datetime.timedelta(days=365 * years))
    await enter(town, page)
    await mark(page, 10)
    await once_and_in_order(town, 10, "")
    now = time.time() * 1000
    assert all(abs(event.occurred_at - now) < 60_000 for event in marks(town))
    assert all(abs(event.tracked_at - now) > 9 * 365 * 86_400_000 for event in marks(town))
    await page.context.clock.set_system_time(today)
    await enter(town, page)
    await mark(page, 10, "set right")
    await once_and_in_order(town, 10, "", "set right")
    assert len({event.uid for event in town.events()}) == 1
