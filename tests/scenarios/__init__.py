"""Stories about visitors, independent of how a collector is reached: every transport plays all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType

from tests.scenarios import browsers, claims, decision_table, returning, trust, unmerging
from tests.stage import Stage

Story = Callable[[Stage], Awaitable[None]]


def _told_in(module: ModuleType) -> list[Story]:
    """The stories of a module: its public functions."""
    return [
        story
        for name, story in vars(module).items()
        if getattr(story, "__module__", None) == module.__name__ and not name.startswith("_")
    ]


VERIFIED_SITE_STORIES: list[Story] = [
    trust.an_unverified_sign_in_is_only_a_claim,
    trust.a_server_may_still_say_who_it_is,
]
DECISION_TABLE = _told_in(decision_table)
WAYS_OF_RETURNING = _told_in(returning)
STORIES = [
    story
    for module in (browsers, claims, trust, unmerging)
    for story in _told_in(module)
    if story not in VERIFIED_SITE_STORIES
]

__all__ = ["DECISION_TABLE", "STORIES", "VERIFIED_SITE_STORIES", "WAYS_OF_RETURNING", "Story"]
