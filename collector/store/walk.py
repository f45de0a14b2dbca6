"""Lists whose rows can only be told to be wanted once they are read: read in chunks, up to a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

R = TypeVar("R")
K = TypeVar("K")


def walk(
    fetch_chunk: Callable[[K | None, int], Sequence[R]],
    key_of: Callable[[R], K],
    is_wanted: Callable[[R], bool],
    *,
    limit: int,
    before: K | None,
    chunk: int,
    most: int,
) -> tuple[list[R], K | None]:
    """At most `limit` of the rows that are wanted, and the key from which the list goes on, None at its end.

    `fetch_chunk(key, count)` reads the next `count` rows after the one of `key`. At most `most` rows are looked at, to
    the next chunk: where few of them are wanted, there are fewer than `limit`.
    """
    found: list[R] = []
    key, examined = before, 0
    while True:
        rows = fetch_chunk(key, chunk)
        for row in rows:
            if len(found) == limit:
                return found, key
            key = key_of(row)
            if is_wanted(row):
                found.append(row)
        examined += len(rows)
        if len(rows) < chunk:
            return found, None
        if examined >= most:
            return found, key
