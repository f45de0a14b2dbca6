"""Orders that were placed in this run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from aiohttp import web

from demo_site import basket
from demo_site.accounts import normalise_email
from demo_site.basket import Lines


@dataclass(frozen=True, slots=True)
class Order:
    """A basket that somebody ordered. `name` and `email` are as typed; a guest has no `account_email`.

    Only whoever was signed in finds the order under their account: an e-mail that a guest typed proves nothing.
    """

    order_id: str
    name: str
    email: str
    town: str
    lines: Lines
    account_email: str | None = None

    @property
    def total_cents(self) -> int:
        """What was to be paid, delivery included."""
        return basket.sum_up(self.lines).total_cents

    @property
    def contents(self) -> str:
        """In words: `2 × Enamel mug, 1 × Seed tin`."""
        return ", ".join(f"{line.quantity} × {line.product.name}" for line in self.lines)


class Orders:
    """All orders of this run, newest last."""

    def __init__(self) -> None:
        self._by_id: dict[str, Order] = {}

    def place(self, typed: dict[str, str], lines: Lines, account_email: str | None) -> Order:
        """Keeps a new order with the name, email and town that were typed, and returns it."""
        order_id = f"ST-{secrets.token_hex(4).upper()}"
        order = Order(order_id, typed["name"], normalise_email(typed["email"]), typed["town"], lines, account_email)
        self._by_id[order_id] = order
        return order

    def of_account(self, account_email: str) -> list[Order]:
        """Orders placed while signed in to an account, newest first."""
        return [order for order in reversed(self._by_id.values()) if order.account_email == account_email]

    def find(self, order_id: str) -> Order | None:
        """The order with this number, or None."""
        return self._by_id.get(order_id)


ORDERS = web.AppKey("orders", Orders)
