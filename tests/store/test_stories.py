"""The stories about visitors, on a real SQLite file."""

from __future__ import annotations

import pytest

from collector.domain.site import SiteSettings
from tests.scenarios import STORIES, VERIFIED_SITE_STORIES, Story
from tests.stage import Stage


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_story(story: Story, stage: Stage) -> None:
    await story(stage)


class TestSiteThatRequiresVerifiedIdentity:
    @pytest.fixture
    def site_settings(self) -> SiteSettings:
        return SiteSettings(require_verified_identity=True)

    @pytest.mark.parametrize("story", VERIFIED_SITE_STORIES, ids=lambda story: story.__name__)
    async def test_story(self, story: Story, stage: Stage) -> None:
        await story(stage)
