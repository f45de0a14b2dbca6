"""The demo shop in a real browser: fits on a phone, has no errors, can be used by everybody, and needs no collector."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, Page, expect

from demo_site.app import create_shop
from demo_site.settings import ShopSettings, read_stub
from tests.browser.recording_endpoint import SITE
from tests.browser.shop_place import open_place, order, put_into_basket, serving, sign_up

PHONE, DESKTOP = 390, 1280
EVERYBODY = {
    "home": "/",
    "catalogue": "/catalogue",
    "shelf": "/catalogue?category=garden",
    "search": "/catalogue?q=enamel",
    "nothing found": "/catalogue?q=zeppelin",
    "product": "/products/watering-can",
    "basket": "/cart",
    "checkout": "/checkout",
    "letter": "/newsletter",
    "sign in": "/sign-in",
    "sign up": "/sign-up",
    "stories": "/stories",
    "story": "/stories/five-brines",
    "privacy": "/privacy",
}
CUSTOMERS = {"account": "/account", "details": "/account/details"}
NOBODY = {"empty basket": "/cart", "home with banner": "/"}
VISITS = [
    *(("guest", name, path) for name, path in EVERYBODY.items()),
    *(("customer", name, path) for name, path in CUSTOMERS.items()),
    *(("stranger", name, path) for name, path in NOBODY.items()),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visitors(browser: Browser) -> AsyncIterator[dict[str, tuple[str, BrowserContext]]]:
    """Three browsers: a guest with a full basket, a customer with an order, a stranger whom the shop asks first."""
    async with open_place() as place, open_place("required") as asking_place:
        contexts = {kind: await browser.new_context() for kind in ("guest", "customer", "stranger")}
        for kind in ("guest", "customer"):
            page = await contexts[kind].new_page()
            await put_into_basket(page, place.address, "enamel-mug")
            if kind == "customer":
                await sign_up(page, place.address, "ada@example.com")
                await order(page, place.address)
            await page.close()
        yield {
            kind: (asking_place.address if kind == "stranger" else place.address, context)
            for kind, context in contexts.items()
        }
        for context in contexts.values():
            await context.close()


def complaints_of(page: Page) -> list[str]:
    """Fills up with what the browser reports as an error on this page."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


async def overflow_of(page: Page) -> list[str]:
    """Names of the elements that stick out on the right; scrolling boxes may hold more than they show."""
    wide: list[str] = await page.evaluate("""() => {
      const width = document.documentElement.clientWidth;
      const sticksOut = (one) => one.getBoundingClientRect().right > width + 1;
      const wide = [...document.querySelectorAll("body *")].filter(sticksOut);
      const whole = document.documentElement.scrollWidth > width ? ["the page itself"] : [];
      return whole.concat(wide.map((one) => one.tagName + "." + (one.getAttribute("class") ?? "")));
    }""")
    return wide


async def grave_violations_of(page: Page) -> list[str]:
    """What axe calls serious or critical: rule, and where."""
    found = (await Axe().run(page)).response["violations"]
    grave = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in grave for node in rule["nodes"]]


@pytest.mark.parametrize(("kind", "name", "path"), VISITS, ids=[f"{kind}-{name}" for kind, name, _ in VISITS])
async def test_page_fits_has_no_errors_and_is_accessible(
    visitors: dict[str, tuple[str, BrowserContext]], kind: str, name: str, path: str
) -> None:
    shop, context = visitors[kind]
    page = await context.new_page()
    complaints = complaints_of(page)
    for width, panel in ((DESKTOP, "closed"), (PHONE, "open")):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.goto(shop + path)
        toggle = page.get_by_test_id("panel-toggle")
        await expect(toggle).to_be_visible()
        if panel == "open":
            await toggle.click()
            await expect(page.get_by_test_id("panel-uid")).to_be_visible()
        assert await overflow_of(page) == [], f"at {width} px, panel {panel}"
        assert await grave_violations_of(page) == [], f"at {width} px, panel {panel}"
    assert complaints == []
    await toggle.click()
    await page.close()


async def test_page_that_is_not_there_leads_back_to_the_shop(visitors: dict[str, tuple[str, BrowserContext]]) -> None:
    shop, context = visitors["guest"]
    page = await context.new_page()
    response = await page.goto(f"{shop}/products/flying-carpet")
    assert response is not None
    assert response.status == 404
    await page.get_by_test_id("not-found").get_by_role("link").click()
    await expect(page.get_by_test_id("product-card")).to_have_count(16)
    await page.close()


async def test_panel_covers_nothing_on_a_phone(visitors: dict[str, tuple[str, BrowserContext]]) -> None:
    shop, context = visitors["guest"]
    page = await context.new_page()
    await page.set_viewport_size({"width": PHONE, "height": 844})
    await page.goto(shop)
    panel, footer = page.get_by_test_id("panel"), page.locator("footer")
    await page.get_by_test_id("panel-toggle").click()
    panel_box, footer_box = await panel.bounding_box(), await footer.bounding_box()
    assert panel_box is not None
    assert footer_box is not None
    assert panel_box["y"] >= footer_box["y"] + footer_box["height"] - 1
    await expect(page.get_by_test_id("panel-uid")).to_be_in_viewport()
    await page.close()


async def test_shop_works_with_the_keyboard_alone(visitors: dict[str, tuple[str, BrowserContext]]) -> None:
    shop, context = visitors["guest"]
    page = await context.new_page()
    await page.goto(f"{shop}/products/seed-tin")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    for _ in range(4):  # two crumbs, quantity, button
        await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("add-to-cart")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator('[data-testid="cart-line"][data-product="seed-tin"]')).to_be_visible()
    await page.close()


async def test_shop_works_while_the_collector_is_unreachable(browser: Browser) -> None:
    async with serving(web.Application()) as gone:
        pass
    async with serving(create_shop(ShopSettings(gone, SITE, read_stub()))) as shop:
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await put_into_basket(page, shop, "milk-pan")
        await order(page, shop)
        await page.get_by_test_id("newsletter-email-footer").fill("ada@example.com")
        await page.get_by_test_id("newsletter-submit-footer").click()
        await expect(page.locator('[data-kind="subscribed"]')).to_be_visible()
        await sign_up(page, shop, "ada@example.com")
        await page.get_by_test_id("stories-link").click()
        await page.get_by_test_id("story-five-brines").click()
        await expect(page).to_have_url(f"{shop}/stories/five-brines")
        await page.get_by_test_id("account-link").click()
        await page.get_by_test_id("sign-out-forget").click()
        await expect(page.get_by_test_id("sign-in-link")).to_be_visible()
        assert errors == []
        await page.close()
