"""What a page tells its own scripts, so that they can tell Regulars: plain JSON values, read by static/tracking.js.

Prices are numbers in CURRENCY (24.5), because that is what a marketer expects to find in an event.
"""

from __future__ import annotations

from demo_site import basket
from demo_site.accounts import Account
from demo_site.basket import Lines
from demo_site.catalogue import CURRENCY, Product
from demo_site.orders import Order

Fact = dict[str, object]


def item_fact(product: Product, quantity: int = 1) -> Fact:
    """One entry of an event's `items`."""
    return {
        "type": "product",
        "id": product.slug,
        "name": product.name,
        "category": product.category.slug,
        "price": product.price_cents / 100,
        "quantity": quantity,
    }


def lines_fact(lines: Lines) -> Fact:
    """Items of a basket with their value."""
    return {
        "items": [item_fact(line.product, line.quantity) for line in lines],
        "value": basket.sum_up(lines).goods_cents / 100,
        "currency": CURRENCY,
    }


def order_fact(order: Order) -> Fact:
    """An order: items, what was paid, and who ordered."""
    return {
        **lines_fact(order.lines),
        "order_id": order.order_id,
        "value": order.total_cents / 100,
        "customer": {"name": order.name, "email": order.email},
    }


def customer_fact(account: Account) -> Fact:
    """What the shop tells about a signed-in customer; the script hashes the e-mail into the customer id."""
    known: Fact = {"email": account.email, "name": account.name}
    return {**known, "town": account.town} if account.town else known
