"""The demo shop over plain HTTP: what a browser cannot show quickly about baskets, sessions and other people's data."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from demo_site.app import create_shop
from demo_site.sessions import COOKIE
from demo_site.settings import SettingsError, ShopSettings

SETTINGS = ShopSettings("http://collect.example.com/prefix/", "wk_demo", "/* stub */")
ADA = {"name": "Ada", "email": " Ada@Example.com ", "password": "engine-no-1"}
HOUSE = {"name": "Ada", "email": "ada@example.com", "street": "Elm Row 3", "town": "Ulm"}
Client = TestClient[Any, Any]


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(create_shop(SETTINGS))


async def post(shop: Client, path: str, **form: str) -> str:
    """Submits a form and follows it; returns the text of the page that came."""
    async with shop.post(path, data=form) as response:
        return await response.text()


def token_of(shop: Client) -> str | None:
    """The shop's session cookie in this client."""
    return next((cookie.value for cookie in shop.session.cookie_jar if cookie.key == COOKIE), None)


async def test_basket_holds_at_most_twenty_of_one_product(shop: Client) -> None:
    for _ in range(3):
        text = await post(shop, "/cart/add", product="enamel-mug", quantity="15")
    assert '<b data-testid="cart-count">20</b>' in text
    text = await post(shop, "/cart/remove", product="enamel-mug", quantity="19")
    assert '<b data-testid="cart-count">1</b>' in text
    assert 'data-testid="cart-empty"' in await post(shop, "/cart/remove", product="enamel-mug", quantity="1")


@pytest.mark.parametrize(("goods", "total"), [(("milk-pan",), "€42.90"), (("milk-pan", "milk-pan"), "€76")])
async def test_delivery_is_free_from_sixty_euros(shop: Client, goods: tuple[str, ...], total: str) -> None:
    for product in goods:
        text = await post(shop, "/cart/add", product=product)
    assert f'<dd data-testid="total">{total}</dd>' in text


@pytest.mark.parametrize("form", [{"product": "unknown"}, {"product": "enamel-mug", "quantity": "-1"}, {}])
async def test_basket_refuses_what_no_form_of_the_shop_sends(shop: Client, form: dict[str, str]) -> None:
    async with shop.post("/cart/add", data=form) as response:
        assert response.status == 400
    assert token_of(shop) is None


async def test_looking_around_sets_no_cookie(shop: Client) -> None:
    for path in ("/", "/catalogue?q=tin", "/products/seed-tin", "/stories"):
        async with shop.get(path) as response:
            assert response.status == 200
            assert "Set-Cookie" not in response.headers


async def test_signing_in_and_out_changes_the_session_token(shop: Client) -> None:
    await post(shop, "/cart/add", product="enamel-mug")
    anonymous = token_of(shop)
    assert "Hello" in await post(shop, "/sign-up", **ADA)
    signed_in = token_of(shop)
    await post(shop, "/sign-out")
    signed_out = token_of(shop)
    assert len({anonymous, signed_in, signed_out}) == 3
    async with shop.get("/account", cookies={COOKIE: str(signed_in)}, allow_redirects=False) as response:
        assert response.status == 303, "the token of a session that has ended must open nothing"


async def test_wrong_password_and_unknown_address_get_the_same_answer(shop: Client) -> None:
    await post(shop, "/sign-up", **ADA)
    await post(shop, "/sign-out")
    wrong = await post(shop, "/sign-in", email="ada@example.com", password="engine-no-2")
    unknown = await post(shop, "/sign-in", email="bob@example.com", password="engine-no-2")
    assert "do not match" in wrong
    assert re.findall("do not match", wrong) == re.findall("do not match", unknown)
    assert "Hello" in await post(shop, "/sign-in", email="ADA@example.com", password="engine-no-1")


async def test_an_address_has_one_account(shop: Client) -> None:
    await post(shop, "/sign-up", **ADA)
    await post(shop, "/sign-out")
    assert "already" in await post(shop, "/sign-up", name="Eve", email="ada@example.com", password="engine-no-2")


async def test_order_is_shown_to_nobody_else(shop: Client, aiohttp_client: AiohttpClient) -> None:
    await post(shop, "/cart/add", product="enamel-mug")
    async with shop.post("/checkout", data=HOUSE) as response:
        order_path = response.url.path
        assert "ada@example.com" in await response.text()
    shop.session.cookie_jar.clear()
    async with shop.get(order_path) as response:
        assert response.status == 404
    await post(shop, "/sign-up", **ADA)
    async with shop.get("/account") as response:
        assert order_path not in await response.text(), "an address typed by a guest proves nothing"


async def test_what_visitors_type_is_text_and_never_markup(shop: Client) -> None:
    script = "</script><script>alert(1)</script>"
    async with shop.get("/catalogue", params={"q": script}) as response:
        assert script not in await response.text()
    assert script not in await post(shop, "/sign-up", **{**ADA, "name": script})


async def test_form_of_another_site_is_refused(shop: Client) -> None:
    async with shop.post("/newsletter", data=HOUSE, headers={"Sec-Fetch-Site": "cross-site"}) as response:
        assert response.status == 403


async def test_policy_allows_the_collector_and_inline_scripts_by_nonce_alone(shop: Client) -> None:
    nonces = set()
    for _ in range(2):
        async with shop.get("/") as response:
            policy, text = response.headers["Content-Security-Policy"], await response.text()
        nonce = re.findall(r"'nonce-([\w-]+)'", policy)[0]
        assert f"script-src 'self' 'nonce-{nonce}' http://collect.example.com;" in policy
        assert f'<script nonce="{nonce}">/* stub */</script>' in text
        assert '<script async src="http://collect.example.com/prefix/sdk.js?site=wk_demo"></script>' in text
        assert "unsafe" not in policy
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize(
    ("collector", "site", "stub", "named"),
    [
        ("collect.example.com", "k", "", "collector"),
        ("http://collect.example.com", "", "", "site"),
        ("http://collect.example.com", "k", "</SCRIPT>", "stub"),
    ],
)
def test_setting_that_cannot_work_is_named(collector: str, site: str, stub: str, named: str) -> None:
    with pytest.raises(SettingsError, match=f"^{named}:"):
        ShopSettings(collector, site, stub)
