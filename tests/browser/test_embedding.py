"""Three ways of embedding the collector in a site, each with what browsers do to cookies there.

Chromium takes every name under localhost for loopback. 127.0.0.1 and localhost are two sites; two names under
regulars.localhost are one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Page, Request

from tests.browser.ground import Plan
from tests.browser.shop_place import sign_up
from tests.browser.whole import OpenTown, Town

SAME_ORIGIN = Plan(path="/track", is_one_origin=True, settings=(("REGULARS_TRUSTED_PROXIES", "127.0.0.1"),))
SUB_DOMAIN = Plan(shop_host="shop.regulars.localhost", collector_host="collect.regulars.localhost")
CROSS_SITE = Plan(shop_host="127.0.0.1", collector_host="localhost")
CROSS_SITE_COOKIES = replace(CROSS_SITE, settings=(("REGULARS_COOKIE_MODE", "cross_site"),))
OURS = {"GlobalVisit", "CurrentContact"}

EVERYWHERE = [
    pytest.param(SAME_ORIGIN, OURS, id="same origin"),
    pytest.param(SUB_DOMAIN, OURS, id="sub-domain"),
    pytest.param(CROSS_SITE, set(), id="cross-site"),
    pytest.param(CROSS_SITE_COOKIES, OURS, id="cross-site with partitioned cookies"),
]


async def look_around(town: Town, page: Page, count: int) -> list[Request]:
    """Looks at products, each in a request of its own; returns those requests."""
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request) if "/v1/collect" in request.url else None)
    before = len(town.events("product/view"))
    for number in range(count):
        await town.visit(page, "/products/milk-pan")
        await town.arrived(page, "product/view", before + number + 1)
    return requests


async def cookies_sent(request: Request) -> set[str]:
    """Names of our HttpOnly cookies in a request."""
    header = (await request.all_headers()).get("cookie", "")
    return {pair.partition("=")[0].strip() for pair in header.split(";")} & OURS


@pytest.mark.parametrize(("plan", "come_back"), EVERYWHERE)
async def test_one_browser_is_one_device_and_one_visitor(open_town: OpenTown, plan: Plan, come_back: set[str]) -> None:
    town = await open_town(plan)
    page = await town.visitor()
    requests = await look_around(town, page, 4)
    assert len(requests) >= 4
    assert await cookies_sent(requests[-1]) == come_back
    assert {str(cookie.get("name")) for cookie in await page.context.cookies()} & OURS == come_back
    assert (town.count("devices"), town.count("profiles"), town.count("uids")) == (1, 1, 1)
    await look_around(town, await town.visitor(), 2)
    assert (town.count("devices"), town.count("profiles"), town.count("uids")) == (2, 2, 2)


@pytest.mark.parametrize(("plan", "come_back"), EVERYWHERE)
async def test_who_loses_the_script_cookie_is_known_where_the_others_come_back(
    open_town: OpenTown, plan: Plan, come_back: set[str]
) -> None:
    town = await open_town(plan)
    page = await town.visitor()
    await look_around(town, page, 1)
    await page.context.clear_cookies(name="_regulars")
    await look_around(town, page, 1)
    first, second = town.events("product/view")
    assert first.uid != second.uid
    assert (first.profile == second.profile) == bool(come_back)
    assert town.count("devices") == (1 if come_back else 2)


@pytest.mark.parametrize(("plan", "come_back"), EVERYWHERE)
async def test_sign_up_joins_what_was_done_before(open_town: OpenTown, plan: Plan, come_back: set[str]) -> None:
    town = await open_town(plan)
    page = await town.visitor()
    await look_around(town, page, 1)
    await sign_up(page, town.shop, "ada@example.com")
    await town.arrived(page, "user/sign_up")
    person = await town.person(email="ada@example.com")
    deeds = await town.deeds(person["profile_id"])
    assert len(deeds) == town.count("events")
    assert {"product/view", "user/sign_up"} < set(deeds)


async def test_sub_domains_share_the_visitor(open_town: OpenTown) -> None:
    town = await open_town(SUB_DOMAIN)
    page = await town.visitor()
    await look_around(town, page, 1)
    domains = {cookie.get("name"): cookie.get("domain") for cookie in await page.context.cookies()}
    assert domains["_regulars"] == ".regulars.localhost"
    assert {domains[name] for name in OURS} == {"collect.regulars.localhost"}
