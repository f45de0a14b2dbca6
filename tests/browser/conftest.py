"""Browsers for the tests of this folder, and the endpoint that records what pages send.

A test that asks for `browser` runs in Chromium; a module with `BROWSERS = ("chromium", "firefox")` runs in both.
Browsers live as long as the session, so every test of this folder runs in the session's event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from tests.browser.recording_endpoint import Endpoint, running_endpoint
from tests.browser.whole import grounds, open_town, town  # noqa: F401 - fixtures of the tests with the real collector
from tests.browsers import launch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test once per browser that its module names."""
    if "browser_name" in metafunc.fixturenames:
        names = getattr(metafunc.module, "BROWSERS", ("chromium",))
        metafunc.parametrize("browser_name", names, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests into the event loop that the browsers belong to."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """The driver."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright, browser_name: str) -> AsyncIterator[Browser]:
    """One running browser per name, for the whole session."""
    started = await launch(playwright, browser_name)
    yield started
    await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A visitor's profile, new for each test."""
    fresh = await browser.new_context()
    yield fresh
    await fresh.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    """A tab of that visitor."""
    return await context.new_page()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running() -> AsyncIterator[Endpoint]:
    """The one endpoint of the session."""
    async with running_endpoint() as started:
        yield started


@pytest.fixture
def endpoint(running: Endpoint) -> Endpoint:
    """The endpoint, with nothing recorded and nothing planned."""
    running.reset()
    return running
