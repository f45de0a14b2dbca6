"""From the basket to the order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from aiohttp import web

from demo_site import basket, catalogue
from demo_site.accounts import looks_like_email
from demo_site.catalogue import Product
from demo_site.facts import Fact, lines_fact, order_fact
from demo_site.orders import ORDERS
from demo_site.pages import ACCOUNTS, go_to, page
from demo_site.sessions import SESSION, Notice, keep


async def get_basket(request: web.Request) -> web.Response:
    """The basket."""
    lines = request[SESSION].lines
    sums = basket.sum_up(lines)
    missing_cents = max(0, basket.FREE_DELIVERY_FROM_CENTS - sums.goods_cents)
    return page(request, "basket.html", lines=lines, missing_cents=missing_cents, sums=sums)


async def post_add(request: web.Request) -> web.Response:
    """Puts a product into the basket."""
    product, quantity = await _product_and_quantity(request)
    session = request[SESSION]
    notices = (Notice("added", f"{product.name} is in your basket."),)
    keep(request, replace(session, lines=basket.add(session.lines, product, quantity), notices=notices))
    return go_to("/cart")


async def post_remove(request: web.Request) -> web.Response:
    """Takes a product out of the basket, or fewer of it."""
    product, quantity = await _product_and_quantity(request)
    session = request[SESSION]
    keep(request, replace(session, lines=basket.remove(session.lines, product, quantity)))
    return go_to("/cart")


async def get_checkout(request: web.Request) -> web.Response:
    """The form that places the order; an empty basket leads back."""
    if not request[SESSION].lines:
        return go_to("/cart")
    account = request.app[ACCOUNTS].find(request[SESSION].email)
    typed = {"name": account.name, "email": account.email, "town": account.town} if account else {}
    return _checkout_page(request, typed, {})


async def post_checkout(request: web.Request) -> web.Response:
    """Places the order, or shows what is missing. A signed-in customer orders under the account's e-mail."""
    session = request[SESSION]
    if not session.lines:
        return go_to("/cart")
    form = await request.post()
    typed = {key: str(form.get(key, "")).strip()[:254] for key in ("name", "email", "street", "town")}
    if session.email:
        typed["email"] = session.email
    errors = _checkout_errors(typed)
    if errors:
        return _checkout_page(request, typed, errors)
    order = request.app[ORDERS].place(typed, session.lines, session.email)
    notices = (Notice("ordered", "Thank you. Your order is with us."),)
    keep(request, replace(session, lines=(), order_ids=(*session.order_ids, order.order_id), notices=notices))
    return go_to(f"/orders/{quote(order.order_id)}")


async def get_order(request: web.Request) -> web.Response:
    """Confirmation, for whoever placed the order. The purchase is told to Regulars once, not again on a reload."""
    order = request.app[ORDERS].find(request.match_info["order_id"])
    session = request[SESSION]
    if order is None or order.order_id not in session.order_ids:
        raise web.HTTPNotFound
    new = any(notice.kind == "ordered" for notice in session.notices)
    facts: Fact = {"order": order_fact(order)} if new else {}
    return page(request, "order.html", facts=facts, order=order, sums=basket.sum_up(order.lines))


async def _product_and_quantity(request: web.Request) -> tuple[Product, int]:
    """Reads the two fields of both basket forms; what no form of ours sends is refused."""
    form = await request.post()
    product = catalogue.find_product(str(form.get("product", "")))
    quantity = str(form.get("quantity", "1"))
    if product is None or not (quantity.isascii() and quantity.isdigit()):
        raise web.HTTPBadRequest(text="Unknown product or quantity.")
    return product, min(max(int(quantity[:4]), 1), basket.MOST_OF_ONE)


def _checkout_page(request: web.Request, typed: dict[str, str], errors: dict[str, str]) -> web.Response:
    """The form, for the first time or with errors. Only the first time it is a checkout that starts."""
    lines = request[SESSION].lines
    facts: Fact = {} if errors else {"checkout": lines_fact(lines)}
    values: dict[str, Any] = {"lines": lines, "sums": basket.sum_up(lines), "typed": typed, "errors": errors}
    return page(request, "checkout.html", facts=facts, status=422 if errors else 200, **values)


def _checkout_errors(typed: dict[str, str]) -> dict[str, str]:
    asked = {"name": "your name", "street": "a street and number", "town": "a town"}
    errors = {key: f"Please enter {words}." for key, words in asked.items() if not typed[key]}
    if not looks_like_email(typed["email"]):
        errors["email"] = "Please enter an e-mail address such as ada@example.com."
    return errors
