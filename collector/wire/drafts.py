"""Making frozen values quickly.

A frozen dataclass sets each field through `object.__setattr__`; the events of a busy collector would spend a fifth of
their time in that. A draft has the same slots without the ice: fill it, then change its class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


def quick(kind: type[T]) -> Callable[..., T]:
    """A maker of `kind`, a frozen dataclass with slots, that takes every field in order and no defaults."""
    names = [(field.name, object) for field in fields(cast("Any", kind))]
    draft = make_dataclass(f"{kind.__name__}Draft", names, slots=True)

    def make(*values: object) -> T:
        made: Any = draft(*values)
        made.__class__ = kind
        return cast("T", made)

    return make
