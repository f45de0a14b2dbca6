"""What lies in a basket and what it costs: pure rules, no session, no HTTP. Money is integer cents."""

from __future__ import annotations

from dataclasses import dataclass, replace

from demo_site.catalogue import Product

MOST_OF_ONE = 20
DELIVERY_CENTS = 490
FREE_DELIVERY_FROM_CENTS = 6000


@dataclass(frozen=True, slots=True)
class Line:
    """So many of one product."""

    product: Product
    quantity: int

    @property
    def total_cents(self) -> int:
        """Price of the line."""
        return self.product.price_cents * self.quantity


Lines = tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Price of a basket, in cents."""

    goods_cents: int
    delivery_cents: int

    @property
    def total_cents(self) -> int:
        """What is to be paid."""
        return self.goods_cents + self.delivery_cents


def add(lines: Lines, product: Product, quantity: int) -> Lines:
    """The basket with `quantity` more of a product, at most MOST_OF_ONE of it."""
    held = quantity_of(lines, product)
    wanted = min(held + quantity, MOST_OF_ONE)
    if not held:
        return (*lines, Line(product, wanted))
    return tuple(replace(line, quantity=wanted) if line.product == product else line for line in lines)


def remove(lines: Lines, product: Product, quantity: int) -> Lines:
    """The basket with `quantity` fewer of a product; at none the line goes."""
    left = quantity_of(lines, product) - quantity
    others = tuple(line for line in lines if line.product != product or left > 0)
    return tuple(replace(line, quantity=left) if line.product == product else line for line in others)


def quantity_of(lines: Lines, product: Product) -> int:
    """How many of a product lie in the basket."""
    return sum(line.quantity for line in lines if line.product == product)


def sum_up(lines: Lines) -> Sums:
    """What a basket costs. Delivery is free from FREE_DELIVERY_FROM_CENTS on, and for an empty basket."""
    goods_cents = sum(line.total_cents for line in lines)
    free = not lines or goods_cents >= FREE_DELIVERY_FROM_CENTS
    return Sums(goods_cents, 0 if free else DELIVERY_CENTS)
