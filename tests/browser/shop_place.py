"""A running demo shop with the recording endpoint as its collector, and the steps that visitors take in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from playwright.async_api import Page, expect

from demo_site.app import create_shop
from demo_site.settings import Consent, ShopSettings, read_stub
from tests.browser.recording_endpoint import SITE, Endpoint, Event, running_endpoint


@dataclass(frozen=True, slots=True)
class Place:
    """A running shop and the collector behind it."""

    address: str
    collector: Endpoint

    def told(self) -> list[str]:
        """Category and action of every event of the shop, in the order of the browser's counter."""
        ordered = sorted(self.collector.events, key=lambda event: event["seq"])
        return [f"{event['category']}/{event['action']}" for event in ordered if event["category"] != "test"]

    def find(self, name: str) -> Event:
        """The one event of this name."""
        found = self.collector.named(name)
        assert len(found) == 1, f"{name}: {len(found)} events among {self.told()}"
        return found[0]


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serves an application on a free port; yields its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_place(consent: Consent = "not_required") -> AsyncIterator[Place]:
    """A shop and its collector, both fresh."""
    async with running_endpoint() as collector:
        collector.settings = {"consent": consent}
        settings = ShopSettings(collector.url, SITE, read_stub(), consent)
        async with serving(create_shop(settings)) as address:
            yield Place(address, collector)


async def put_into_basket(page: Page, shop: str, product: str, quantity: int = 1) -> None:
    await page.goto(f"{shop}/products/{product}")
    await page.get_by_test_id("quantity").select_option(str(quantity))
    await page.get_by_test_id("add-to-cart").click()
    await expect(page.locator(f'[data-testid="cart-line"][data-product="{product}"]')).to_be_visible()


async def sign_up(page: Page, shop: str, email: str) -> None:
    await page.goto(f"{shop}/sign-up")
    for name, text in {"name": "Ada Lovelace", "email": email, "password": "engine-no-1"}.items():
        await page.get_by_test_id(f"sign-up-{name}").fill(text)
    await page.get_by_test_id("sign-up-submit").click()
    await expect(page.get_by_test_id("account-email")).to_have_text(email.strip().lower())


async def order(page: Page, shop: str) -> None:
    await page.goto(f"{shop}/checkout")
    for name, text in {"name": "Ada Lovelace", "street": "Elm Row 3", "town": "Ulm"}.items():
        await page.get_by_test_id(f"checkout-{name}").fill(text)
    if await page.get_by_test_id("checkout-email").is_editable():
        await page.get_by_test_id("checkout-email").fill("Ada@Example.com")
    await page.get_by_test_id("place-order").click()
    await expect(page.get_by_test_id("order-id")).to_be_visible()
