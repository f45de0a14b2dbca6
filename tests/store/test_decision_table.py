"""The decision table and the five ways of returning, on a real SQLite file."""

from __future__ import annotations

import pytest

from tests.scenarios import DECISION_TABLE, WAYS_OF_RETURNING, Story
from tests.stage import Stage


@pytest.mark.parametrize("story", DECISION_TABLE, ids=lambda story: story.__name__)
async def test_decision_table(story: Story, stage: Stage) -> None:
    await story(stage)


@pytest.mark.parametrize("story", WAYS_OF_RETURNING, ids=lambda story: story.__name__)
async def test_ways_of_returning(story: Story, stage: Stage) -> None:
    await story(stage)
