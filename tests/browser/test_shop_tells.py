"""What the demo shop tells Regulars while a visitor walks through it: a customer's calls, seen from the collector."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.shop_place import Place, open_place, order, put_into_basket, sign_up
from tests.browser.whole import sdk_is_there


@pytest_asyncio.fixture(loop_scope="session")
async def place() -> AsyncIterator[Place]:
    async with open_place() as place:
        yield place


@pytest_asyncio.fixture(loop_scope="session")
async def asking_place() -> AsyncIterator[Place]:
    async with open_place("required") as place:
        yield place


async def delivered(page: Page, place: Place) -> None:
    """Returns when everything tracked so far is stored: the SDK keeps the order, so an event of our own shows it."""
    await running(page)
    mark = f"mark{len(place.collector.events)}"
    await page.evaluate(f'web_event.track("test", "{mark}")')
    await place.collector.until(lambda: place.collector.named(f"test/{mark}"))


async def running(page: Page) -> None:
    """Returns when the page is complete and the SDK has taken over from the stub."""
    await page.wait_for_load_state()
    await sdk_is_there(page)


async def test_buying_is_told_step_by_step(page: Page, place: Place) -> None:
    await put_into_basket(page, place.address, "watering-can", 2)
    await put_into_basket(page, place.address, "enamel-mug")
    await page.get_by_test_id("remove-enamel-mug").click()
    await expect(page.get_by_test_id("cart-line")).to_have_count(1)
    await order(page, place.address)
    await page.reload()
    await delivered(page, place)
    told = [name for name in place.told() if name != "page/view"]
    assert told == [
        "product/view",
        "cart/add",
        "product/view",
        "cart/add",
        "cart/remove",
        "checkout/start",
        "order/purchase",  # once, although the page was loaded twice
    ]
    purchase = place.find("order/purchase")
    assert purchase["items"] == [
        {
            "type": "product",
            "id": "watering-can",
            "name": "Watering can",
            "category": "garden",
            "price": 45,
            "quantity": 2,
        }
    ]
    assert purchase["extra"]["value"] == 90
    assert purchase["extra"]["currency"] == "EUR"
    assert "email" not in purchase


async def test_search_is_told_with_its_words_and_results(page: Page, place: Place) -> None:
    await page.goto(place.address)
    await page.get_by_test_id("search-input").fill("enamel")
    await page.get_by_test_id("search-input").press("Enter")
    await page.wait_for_url("**/catalogue?q=enamel")
    shown = await page.get_by_test_id("product-card").count()
    await delivered(page, place)
    assert place.find("product/search")["extra"] == {"search_keyword": "enamel", "results": shown}


async def test_newsletter_asserts_the_address_and_survives_the_navigation(page: Page, place: Place) -> None:
    await page.goto(place.address)
    await running(page)
    await page.get_by_test_id("newsletter-email-footer").fill("ada@example.com")
    await page.get_by_test_id("newsletter-submit-footer").click()
    await expect(page.locator('[data-kind="subscribed"]')).to_be_visible()
    await delivered(page, place)
    assert place.find("form/submit")["email"] == "ada@example.com"


async def test_signing_up_and_in_names_the_customer_by_the_hash_of_the_email(page: Page, place: Place) -> None:
    await sign_up(page, place.address, " Ada@Example.com")
    await delivered(page, place)
    event = place.find("user/sign_up")
    cid = hashlib.md5(b"ada@example.com").hexdigest()
    assert event["dims"]["customers"] == {"customer_id": cid, "email": "ada@example.com", "name": "Ada Lovelace"}
    assert event["extra"]["identify_id"] == cid
    assert event["extra"]["identify_event"] == "user_sign_up"
    await page.get_by_test_id("account-details").click()
    await expect(page.get_by_test_id("details-name")).to_be_visible()
    await delivered(page, place)
    assert place.find("user/identify")["dims"]["customers"]["customer_id"] == cid
    await page.get_by_test_id("sign-out").click()
    await expect(page.locator('[data-kind="signed_out"]')).to_be_visible()
    await page.goto(f"{place.address}/sign-in")
    await page.get_by_test_id("sign-in-email").fill("ada@example.com")
    await page.get_by_test_id("sign-in-password").fill("not the password")
    await page.get_by_test_id("sign-in-submit").click()
    await expect(page.get_by_test_id("error")).to_be_visible()
    await page.get_by_test_id("sign-in-password").fill("engine-no-1")
    await page.get_by_test_id("sign-in-submit").click()
    await expect(page.get_by_test_id("account-name")).to_be_visible()
    await delivered(page, place)
    assert place.find("user/sign_in")["extra"]["identify_id"] == cid  # once: the wrong password told nothing


async def test_two_ways_of_signing_out_differ_in_the_uid(page: Page, place: Place) -> None:
    await sign_up(page, place.address, "ada@example.com")
    await delivered(page, place)
    await page.get_by_test_id("sign-out").click()
    await expect(page.locator('[data-kind="signed_out"]')).to_be_visible()
    await sign_up(page, place.address, "grace@example.com")
    await delivered(page, place)
    await page.get_by_test_id("sign-out-forget").click()
    await expect(page.locator('[data-kind="forgotten"]')).to_be_visible()
    await delivered(page, place)
    before = {event["uid"] for event in place.collector.events if event["uid_origin"] == "first"}
    assert place.find("user/sign_out")["uid"] in before
    assert len(before) == 1
    reset = place.find("user/reset_anonymous_uid")
    assert reset["uid_origin"] == "reset"
    assert reset["uid"] not in before


async def test_stories_are_one_page_with_an_address_for_each(page: Page, place: Place) -> None:
    await page.goto(f"{place.address}/stories")
    await delivered(page, place)
    await page.evaluate("window.sameDocument = true")
    await page.get_by_test_id("topic-mending").click()
    await expect(page).to_have_url(f"{place.address}/stories?topic=mending")
    await expect(page.get_by_test_id("story-five-brines")).to_be_hidden()
    await page.get_by_test_id("story-chipped-enamel").click()
    await expect(page.get_by_test_id("story-title").locator("visible=true")).to_have_text("What to do about a chip")
    await page.go_back()
    await expect(page.get_by_test_id("story-sharpen-a-trowel")).to_be_visible()
    await expect(page.get_by_test_id("story-five-brines")).to_be_hidden()
    assert await page.evaluate("window.sameDocument")
    await delivered(page, place)
    views = sorted(place.collector.named("page/view"), key=lambda event: event["seq"])
    assert [(view["url"].removeprefix(place.address), view["title"].split(" · ")[0]) for view in views] == [
        ("/stories", "Stories"),
        ("/stories?topic=mending", "Stories"),
        ("/stories/chipped-enamel", "What to do about a chip"),
        ("/stories?topic=mending", "Stories"),
    ]


async def test_panel_shows_the_uid_and_what_was_stored(page: Page, place: Place) -> None:
    await page.goto(f"{place.address}/products/clay-pots")
    await page.get_by_test_id("panel-toggle").click()
    row = page.get_by_test_id("panel-events").get_by_role("listitem").filter(has_text="product/view")
    await expect(row).to_contain_text("stored")
    await expect(page.get_by_test_id("panel-uid")).to_have_text(place.find("product/view")["uid"])
    await page.get_by_test_id("add-to-cart").click()
    await expect(page.get_by_test_id("panel-events")).to_contain_text("cart/add")


async def test_banner_asks_once_and_yes_starts_the_recording(page: Page, asking_place: Place) -> None:
    await page.goto(asking_place.address)
    await running(page)
    assert asking_place.collector.events == []
    assert await page.context.cookies() == []
    await page.get_by_test_id("consent-accept").click()
    await expect(page.get_by_test_id("consent-banner")).to_be_hidden()
    await delivered(page, asking_place)
    assert [decision["state"] for decision in asking_place.collector.consents] == ["granted"]
    assert asking_place.told() == ["page/view"]
    await page.reload()
    await expect(page.get_by_test_id("panel-toggle")).to_be_visible()
    await expect(page.get_by_test_id("consent-banner")).to_be_hidden()


async def test_no_records_nothing_and_may_be_changed_later(page: Page, asking_place: Place) -> None:
    await page.goto(f"{asking_place.address}/products/clay-pots")
    await page.get_by_test_id("consent-decline").click()
    await page.get_by_test_id("add-to-cart").click()
    await expect(page.get_by_test_id("cart-line")).to_be_visible()
    await running(page)
    await page.evaluate("web_event.flush()")
    assert asking_place.collector.events == []
    assert [decision["state"] for decision in asking_place.collector.consents] == ["denied"]
    await page.get_by_test_id("consent-open").click()
    await page.get_by_test_id("consent-accept").click()
    await page.goto(f"{asking_place.address}/catalogue")
    await delivered(page, asking_place)
    assert "page/view" in asking_place.told()
