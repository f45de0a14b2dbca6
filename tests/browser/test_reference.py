"""The reference of the HTTP API in a real browser: on a phone and a desk, by day and by night, without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from aiohttp import web
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, expect

from collector.app import create_app
from collector.config import Config

PHONE, DESKTOP = 390, 1280


@pytest_asyncio.fixture(loop_scope="session")
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A collector that serves everything below a path of its site."""
    config = Config(database_url=f"sqlite:///{tmp_path / 'regulars.db'}", prefix="/track")
    runner = web.AppRunner(create_app(config))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/track"
    await runner.cleanup()


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
async def test_the_reference_can_be_read_by_everybody(
    browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    # Axe is a script: it is let in past the policy, which forbids all of them.
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = await context.new_page()
    await page.goto(f"{address}/reference")
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    await context.close()


async def test_it_looks_as_it_should_under_its_policy_and_needs_no_script(browser: Browser, address: str) -> None:
    context = await browser.new_context(java_script_enabled=False, viewport={"width": DESKTOP, "height": 900})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    await page.goto(f"{address}/reference")
    await page.get_by_role("navigation").get_by_role("link", name="Erase a person").click()
    await expect(page.get_by_role("heading", name="Erase a person")).to_be_in_viewport()
    navigation = await page.get_by_role("navigation").bounding_box()
    main = await page.get_by_role("main").bounding_box()
    assert navigation is not None
    assert main is not None
    assert navigation["x"] + navigation["width"] <= main["x"], "the style counts: one stands beside the other"
    failures = page.locator("#delete_api_v1_profiles_profile_id details")
    await failures.locator("summary").click()
    await expect(failures).to_contain_text("scope_missing")
    assert complaints == []
    assert {url.partition("#")[0] for url in requested if "favicon" not in url} == {f"{address}/reference"}
    await context.close()
