"""The published tag in the shop: before the SDK is there, without it, after; and pages that make life hard for it."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route

from demo_site import security
from demo_site.security import content_security_policy
from tests.browser.ground import Plan
from tests.browser.shop_place import order, put_into_basket, sign_up
from tests.browser.whole import SDK, OpenTown, Town, eventually, sdk_is_there, sdk_waits

ADA = "ada@example.com"
SIGN_IN = """(email) => web_event.track("user", "sign_in", {
    dims: {customers: {customer_id: window._cdpEventFunction.md5(email), name: "Ada", email: email}},
    extra: {
        identify_id: window._cdpEventFunction.md5(email),
        identify_time: window._cdpEventFunction._cdpGetLeadTime(),
        identify_event: "user_sign_in",
        identify_type: "exact"
    }
})"""


def watch(page: Page) -> list[str]:
    """Fills with uncaught errors of the page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


async def use_the_shop(page: Page, town: Town) -> None:
    """Everything that a customer does here."""
    await put_into_basket(page, town.shop, "enamel-mug")
    await sign_up(page, town.shop, ADA)
    await order(page, town.shop)


async def test_calls_made_before_the_sdk_arrives_count_from_when_they_were_made(town: Town) -> None:
    page = await town.visitor()
    errors = watch(page)
    arrives = asyncio.Event()

    async def hold(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    await page.route(SDK, hold)
    await page.goto(f"{town.shop}/products/milk-pan", wait_until="domcontentloaded")
    await page.evaluate(SIGN_IN, ADA)
    assert await page.evaluate("web_event.version") is None
    said_by = time.time() * 1000
    await asyncio.sleep(0.05)  # lets the clock of the events differ from that of their sending
    arrives.set()
    (sign_in,) = await town.arrived(page, "user/sign_in")

    assert [event.name for event in town.events()] == ["page/view", "product/view", "user/sign_in"]
    assert sign_in.tracked_at <= said_by
    assert (await town.person(email=ADA))["cid"] == hashlib.md5(ADA.encode(), usedforsecurity=False).hexdigest()
    assert errors == []


async def test_shop_works_when_the_sdk_never_arrives_and_recovers_when_it_does(town: Town) -> None:
    page = await town.visitor()
    errors = watch(page)
    await page.route(SDK, lambda route: route.abort())
    await use_the_shop(page, town)
    assert await page.evaluate("typeof _cdpEventFunction.md5('x') + typeof _cdpEventFunction._cdpGetLeadTime()")
    assert town.events() == []
    await page.unroute(SDK)
    await town.visit(page, "/account")
    await town.arrived(page, "user/identify")
    assert (await town.person(email=ADA))["email"] == ADA
    assert errors == []


async def test_calls_by_function_and_by_queue_after_the_sdk_has_arrived(town: Town) -> None:
    page = await town.visitor()
    await town.visit(page, "/")
    await sdk_is_there(page)
    await page.evaluate("web_event.track('test', 'call', {extra: {n: 1}})")
    await page.evaluate("web_event.queue.push(['track', 'test', 'call', {extra: {n: 2}}])")
    await page.evaluate(SIGN_IN, ADA)
    await town.arrived(page, "user/sign_in")
    assert [event.body["extra"]["n"] for event in town.events("test/call")] == [1, 2]
    assert await page.evaluate("_cdpEventFunction.md5('é')") == hashlib.md5("é".encode()).hexdigest()


BLOCKED = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {get() { throw new DOMException("blocked", "SecurityError"); }});
Object.defineProperty(Document.prototype, "cookie", {
  get() { throw new DOMException("blocked", "SecurityError"); },
  set() { throw new DOMException("blocked", "SecurityError"); },
});
"""


async def test_blocked_storage_hurts_neither_the_shop_nor_the_recording(town: Town) -> None:
    page = await town.visitor()
    errors = watch(page)
    await page.add_init_script(BLOCKED)
    await town.visit(page, "/products/milk-pan")
    first = (await town.arrived(page, "product/view"))[0]
    await town.visit(page, "/products/enamel-mug")
    second = (await town.arrived(page, "product/view", 2))[1]
    assert first.uid != second.uid  # nothing could be kept
    assert first.profile == second.profile  # but the collector's own cookie came back
    await use_the_shop(page, town)
    await town.arrived(page, "order/purchase")
    assert "product/view" in await town.deeds((await town.person(email=ADA))["profile_id"])
    assert errors == []


async def test_strictest_policy_and_trusted_types_have_nothing_to_complain_about(town: Town) -> None:
    page = await town.visitor()
    errors = watch(page)
    violations: list[str] = []
    await page.expose_function("complain", lambda text: violations.append(text))  # noqa: PLW0108 - needs attributes
    await page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => complain(`${e.violatedDirective} ${e.blockedURI}`))"
    )
    response = await page.goto(town.shop)
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    await use_the_shop(page, town)
    await town.arrived(page, "order/purchase")
    assert (errors, violations) == ([], [])
    # The watch itself works: what the policy forbids is noticed.
    await page.evaluate("new Image().src = 'http://elsewhere.example/x.png'")
    await town.until(lambda: violations)


async def test_policy_that_forgets_the_collector_delays_events_until_it_is_mended(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await town.visitor()
    errors = watch(page)
    with monkeypatch.context() as patch:
        patch.setattr(security, "content_security_policy", policy_without_connections)
        await town.visit(page, "/products/milk-pan")
        await sdk_is_there(page)
        await sdk_waits(page)
        assert town.events() == []
    await town.visit(page, "/products/enamel-mug")
    milk, mug = await town.arrived(page, "product/view", 2)
    assert (milk.uid, milk.url.rpartition("/")[2]) == (mug.uid, "milk-pan")
    assert errors == []


def policy_without_connections(collector_origin: str, nonce: str) -> str:
    """The shop's policy, with the line forgotten that lets the SDK send."""
    policy = content_security_policy(collector_origin, nonce)
    return policy.replace(f"connect-src 'self' {collector_origin}", "connect-src 'self'")


@pytest_asyncio.fixture(loop_scope="session")
async def asking_town(open_town: OpenTown) -> Town:
    """A town where everybody is asked first."""
    return await open_town(Plan(consent="required"))


async def kept(page: Page) -> tuple[set[str], list[str]]:
    """Names of all cookies but the shop's own, and the SDK's keys in local storage."""
    cookies = {str(cookie.get("name")) for cookie in await page.context.cookies()}
    return {name for name in cookies if not name.startswith("shop_")}, await page.evaluate("Object.keys(localStorage)")


async def test_nothing_is_sent_or_kept_before_consent_and_then_all_of_it(asking_town: Town) -> None:
    page = await asking_town.visitor()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    await asking_town.visit(page, "/products/milk-pan")
    await sdk_is_there(page)
    await page.evaluate("web_event.flush()")
    assert (asked, await kept(page)) == ([], (set(), []))
    said_by = time.time() * 1000
    await page.get_by_test_id("consent-accept").click()
    (view,) = await asking_town.arrived(page, "product/view")
    assert view.tracked_at <= said_by
    assert {"_regulars", "GlobalVisit", "CurrentContact"} <= (await kept(page))[0]
    assert await decisions(asking_town, 1) == ["granted"]


async def decisions(town: Town, count: int) -> list[str]:
    """What visitors decided, once there are so many decisions."""
    await town.until(lambda: town.count("consents") >= count)
    return [state for (state,) in town.rows("SELECT state FROM consents ORDER BY consent_id")]


@pytest.mark.parametrize("agreed_first", [False, True], ids=["at once", "later"])
async def test_denial_leaves_no_cookie_and_ends_the_recording(asking_town: Town, agreed_first: bool) -> None:
    page = await asking_town.visitor()
    await asking_town.visit(page, "/products/milk-pan")
    if agreed_first:
        await page.get_by_test_id("consent-accept").click()
        await asking_town.arrived(page, "product/view")
        await page.get_by_test_id("consent-open").click()
    await page.get_by_test_id("consent-decline").click()
    assert await decisions(asking_town, 1 + agreed_first) == ["granted"] * agreed_first + ["denied"]
    await no_cookie_is_left(page)
    before = len(asking_town.events())
    await use_the_shop(page, asking_town)
    await page.evaluate("web_event.flush()")
    await no_cookie_is_left(page)
    assert len(asking_town.events()) == before
    assert (before > 0) == agreed_first


async def no_cookie_is_left(page: Page) -> None:
    """The answer that expires the cookies may still be on its way."""

    async def is_empty() -> bool:
        return await kept(page) == (set(), [])

    await eventually(is_empty, lambda: "something is kept")
