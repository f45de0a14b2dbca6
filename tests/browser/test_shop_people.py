"""Who is this visitor: the stories of the identity page, played by people in the shop."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.shop_place import put_into_basket, sign_up
from tests.browser.whole import COLLECT, Stored, Town

SCRIPT, DEVICE, CONTACT = "_regulars", "GlobalVisit", "CurrentContact"
ADA, GRACE = "ada@example.com", "grace@example.com"


def cid_of(email: str) -> str:
    """The customer id that the shop gives to an account."""
    return hashlib.md5(email.encode(), usedforsecurity=False).hexdigest()


async def set_day(page: Page, day: int) -> None:
    """What the visitor's clock says: day 7 is today."""
    today = datetime.datetime.now(tz=datetime.UTC)
    await page.context.clock.set_system_time(today - datetime.timedelta(days=7 - day))


async def lose(page: Page, *cookies: str) -> None:
    """The browser loses cookies, as happens between visits."""
    for name in cookies:
        await page.context.clear_cookies(name=name)


async def cookie(page: Page, name: str) -> str:
    """The value of a cookie, also of one that scripts may not read."""
    (found,) = [cookie for cookie in await page.context.cookies() if cookie.get("name") == name]
    return found.get("value", "")


async def test_what_a_visitor_did_on_days_one_and_three_belongs_to_who_signs_up_on_day_seven(town: Town) -> None:
    page = await town.visitor()
    await set_day(page, 1)
    await town.visit(page, "/", "/products/milk-pan")
    await town.arrived(page, "product/view")
    await set_day(page, 3)
    await lose(page, SCRIPT, CONTACT, "_regulars_visit")
    await put_into_basket(page, town.shop, "enamel-mug")
    await town.arrived(page, "cart/add")
    assert len({event.root for event in town.events()}) == 2
    await set_day(page, 7)
    await lose(page, "_regulars_visit")
    await sign_up(page, town.shop, ADA)
    await town.arrived(page, "user/sign_up")

    person = await town.person(email=ADA)
    assert person["cid"] == cid_of(ADA)
    first, third, seventh = (
        {event.uid for event in town.events() if name in event.url} for name in ("milk", "mug", "sign-up")
    )
    assert first != third == seventh
    assert set(person["uids"]) == first | third
    deeds = await town.deeds(person["profile_id"])
    assert len(deeds) == town.count("events")
    assert {"product/view", "cart/add", "user/sign_up"} < set(deeds)
    (merge,) = (await town.explain(person["profile_id"]))["merges"]
    assert merge["rule"] == "R7"
    assert merge["event_id"] == town.events("user/sign_up")[0].event_id


@pytest.mark.parametrize(
    ("lost", "keeps_uid"),
    [
        pytest.param((), True, id="local storage lost"),
        pytest.param((DEVICE, CONTACT), True, id="only the script cookie kept"),
        pytest.param((SCRIPT, DEVICE), False, id="only CurrentContact kept"),
    ],
)
async def test_returning_visitor_is_recognised_by_any_of(town: Town, lost: tuple[str, ...], keeps_uid: bool) -> None:
    before, after = await go_and_return(town, await town.visitor(), lost)
    assert (before.uid == after.uid) == keeps_uid
    assert before.profile == after.profile


async def test_visitor_with_only_the_device_cookie_is_anonymous_until_they_say_who_they_are(town: Town) -> None:
    page = await town.visitor()
    before, after = await go_and_return(town, page, (SCRIPT, CONTACT))
    assert before.uid != after.uid
    assert before.root != after.root
    assert town.count("devices") == 1
    await sign_up(page, town.shop, ADA)
    await town.arrived(page, "user/sign_up")
    person = await town.person(email=ADA)
    assert set(person["uids"]) == {before.uid, after.uid}


async def test_visitor_without_cookies_is_a_stranger_whatever_local_storage_holds(town: Town) -> None:
    page = await town.visitor()
    before, after = await go_and_return(town, page, (SCRIPT, DEVICE, CONTACT))
    assert before.uid != after.uid
    assert before.root != after.root
    assert town.count("devices") == 2
    await sign_up(page, town.shop, ADA)
    await town.arrived(page, "user/sign_up")
    assert (await town.person(email=ADA))["uids"] == [after.uid]


async def go_and_return(town: Town, page: Page, lost: tuple[str, ...]) -> tuple[Stored, Stored]:
    """Looks at a product, loses cookies (without any: local storage), comes back and looks at another."""
    await town.visit(page, "/products/milk-pan")
    await town.arrived(page, "product/view")
    if lost:
        await lose(page, *lost, "_regulars_visit")
    else:
        await page.evaluate("localStorage.clear()")
    await town.visit(page, "/products/enamel-mug")
    before, after = await town.arrived(page, "product/view", 2)
    return before, after


async def test_second_customer_after_a_reset_is_another_person_from_the_reset_on(town: Town) -> None:
    page = await town.visitor()
    await sign_up(page, town.shop, ADA)
    await page.get_by_test_id("sign-out-forget").click()
    await expect(page.locator('[data-kind="forgotten"]')).to_be_visible()
    await town.visit(page, "/products/milk-pan")
    await sign_up(page, town.shop, GRACE)
    await town.arrived(page, "user/sign_up", 2)

    ada, grace = await town.person(email=ADA), await town.person(email=GRACE)
    assert set(ada["uids"]).isdisjoint(grace["uids"])
    assert "product/view" not in await town.deeds(ada["profile_id"])
    deeds = await town.deeds(grace["profile_id"])
    assert {"user/reset_anonymous_uid", "product/view", "user/sign_up"} < set(deeds)
    assert town.count("devices") == 1


async def test_second_customer_without_a_reset_is_another_person_from_the_sign_up_on(town: Town) -> None:
    page = await town.visitor()
    await sign_up(page, town.shop, ADA)
    await page.get_by_test_id("sign-out").click()
    await expect(page.locator('[data-kind="signed_out"]')).to_be_visible()
    await town.visit(page, "/products/milk-pan")
    await town.arrived(page, "product/view")
    contact = await cookie(page, CONTACT)
    await sign_up(page, town.shop, GRACE)
    await town.arrived(page, "user/sign_up", 2)

    ada, grace = await town.person(email=ADA), await town.person(email=GRACE)
    assert ada["profile_id"] != grace["profile_id"]
    assert ada["uids"] == grace["uids"]  # one UID, which spoke for the one and then for the other
    assert "product/view" in await town.deeds(ada["profile_id"])
    assert (await town.deeds(grace["profile_id"]))[0] == "user/sign_up"
    assert await cookie(page, CONTACT) != contact
    assert town.count("merges") == 0


@pytest.mark.parametrize("comes_late", [False, True], ids=["lost", "late"])
async def test_second_customer_is_another_person_although_the_reset_was(town: Town, comes_late: bool) -> None:
    page = await town.visitor()
    await sign_up(page, town.shop, ADA)
    await town.arrived(page, "user/sign_up")
    batch = await reset_into_the_void(town, page)
    await page.context.clear_cookies(name="shop_session")
    await town.visit(page, "/products/milk-pan")
    await sign_up(page, town.shop, GRACE)
    await town.arrived(page, "user/sign_up", 2)
    if comes_late:
        send = "([url, body]) => fetch(url, {method: 'POST', body, credentials: 'include'}).then((r) => r.status)"
        assert await page.evaluate(send, [f"{town.collector}/v1/collect?site={town.keys.write_key}", batch]) == 200
    assert len(town.events("user/reset_anonymous_uid")) == comes_late

    ada, grace = await town.person(email=ADA), await town.person(email=GRACE)
    assert set(ada["uids"]).isdisjoint(grace["uids"])
    assert "product/view" not in await town.deeds(ada["profile_id"])
    deeds = await town.deeds(grace["profile_id"])
    assert "product/view" in deeds
    assert ("user/reset_anonymous_uid" in deeds) == comes_late
    assert len(await town.deeds(ada["profile_id"])) + len(deeds) == town.count("events")


async def reset_into_the_void(town: Town, page: Page) -> str:
    """The page resets, and the batch that says so is answered on its way without reaching the collector."""
    batches: list[str] = []

    async def swallow(route: Route) -> None:
        batch = route.request.post_data or ""
        if "reset_anonymous_uid" not in batch:
            await route.continue_()
            return
        batches.append(batch)
        headers = {"Access-Control-Allow-Origin": town.shop, "Access-Control-Allow-Credentials": "true"}
        await route.fulfill(json={"accepted": 1, "duplicate": 0, "quarantined": 0, "results": []}, headers=headers)

    await page.route(COLLECT, swallow)
    await page.evaluate("web_event.resetAnonymousUId(); web_event.flush()")
    await town.until(lambda: batches)
    await page.unroute(COLLECT, swallow)
    return batches[0]


async def subscribe(page: Page, town: Town, email: str) -> None:
    """Gives an e-mail address to the shop's letter."""
    await town.visit(page, "/newsletter")
    await page.get_by_test_id("newsletter-email-page").fill(email)
    await page.get_by_test_id("newsletter-submit-page").click()
    await expect(page.locator('[data-kind="subscribed"]')).to_be_visible()


async def test_one_address_given_in_two_browsers_makes_them_one_person(town: Town) -> None:
    laptop, phone = await town.visitor(), await town.visitor()
    await town.visit(laptop, "/products/milk-pan")
    await subscribe(laptop, town, ADA)
    await town.arrived(laptop, "form/submit")
    await town.visit(phone, "/products/enamel-mug")
    await subscribe(phone, town, "Ada@Example.com")
    await town.arrived(phone, "form/submit", 2)

    person = await town.person(email=ADA)
    assert len(person["uids"]) == 2
    assert len(person["merged_profile_ids"]) == 1
    assert (await town.deeds(person["profile_id"])).count("product/view") == 2
    (merge,) = (await town.explain(person["profile_id"]))["merges"]
    assert merge["rule"] == "R5b"


async def test_second_address_in_one_browser_is_somebody_else_and_the_visitor_stays(town: Town) -> None:
    page = await town.visitor()
    await subscribe(page, town, ADA)
    await town.arrived(page, "form/submit")
    contact = await cookie(page, CONTACT)
    await subscribe(page, town, GRACE)
    await town.arrived(page, "form/submit", 2)
    await town.visit(page, "/products/milk-pan")
    await town.arrived(page, "product/view")

    ada, grace = await town.person(email=ADA), await town.person(email=GRACE)
    assert ada["email"] == ADA
    assert await town.deeds(grace["profile_id"]) == ["form/submit"]
    assert "product/view" in await town.deeds(ada["profile_id"])
    assert await cookie(page, CONTACT) == contact
    assert town.count("merges") == 0


async def test_signing_out_keeps_the_visitor_and_a_reset_makes_a_new_one(town: Town) -> None:
    page = await town.visitor()
    await sign_up(page, town.shop, ADA)
    await page.get_by_test_id("sign-out").click()
    await expect(page.locator('[data-kind="signed_out"]')).to_be_visible()
    await town.visit(page, "/products/milk-pan")
    (known,) = await town.arrived(page, "product/view")
    contact = await cookie(page, CONTACT)
    ada = await town.person(email=ADA)
    assert known.root == ada["profile_id"]
    assert town.rows("SELECT state FROM visits") == [("Recognized",)]
    assert town.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]

    await page.evaluate("web_event.resetAnonymousUId()")
    await town.visit(page, "/products/enamel-mug")
    stranger = (await town.arrived(page, "product/view", 2))[-1]
    assert stranger.uid != known.uid
    assert stranger.root != known.root
    assert stranger.visit == known.visit
    assert await cookie(page, CONTACT) != contact
    assert town.rows("SELECT state FROM visits") == [("Anonymous",)]
    assert (await town.person(email=ADA))["uids"] == [known.uid]


async def test_the_shop_says_who_is_there_on_every_page_and_it_is_sent_once_a_day(town: Town) -> None:
    page = await town.visitor()
    await sign_up(page, town.shop, ADA)
    await town.visit(page, "/account/details", "/account", "/account/details", "/products/milk-pan")
    await town.arrived(page, "product/view")
    await town.arrived(page, "user/identify", 1)
    await set_day(page, 8)
    await town.visit(page, "/account", "/products/enamel-mug")
    await town.arrived(page, "product/view", 2)
    await town.arrived(page, "user/identify", 2)
