"""The decision table, the ways of returning and the other stories about visitors, through real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import DummyCookieJar
from pytest_aiohttp.plugin import AiohttpClient

from collector.app import create_app
from collector.config import Config
from collector.domain.site import Site, SiteSettings
from collector.store.database import Database
from collector.store.keys import insert_key
from collector.store.sites import insert_site
from tests.api_shop import full_key
from tests.databases import new_database
from tests.http_transport import ORIGIN, HttpTransport
from tests.postgresql import Cluster
from tests.scenarios import DECISION_TABLE, STORIES, VERIFIED_SITE_STORIES, WAYS_OF_RETURNING, Story
from tests.stage import Stage

WRITE_KEY, SECRET = "key-of-the-shop", "rsk_secret-of-the-shop"


@pytest.fixture
def site_settings() -> SiteSettings:
    """What the site of the test has chosen."""
    return SiteSettings(bots="include")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield new_database(tmp_path)
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        name = request.getfixturevalue("shared_database")
        yield cluster.url(name)
        cluster.empty(name)


@pytest.fixture
async def stage(url: str, aiohttp_client: AiohttpClient, site_settings: SiteSettings) -> AsyncIterator[Stage]:
    """A stage over HTTP."""
    database = Database(url)
    site = Site(0, "shop", WRITE_KEY, (ORIGIN,), site_settings)
    site_id = database.transact(insert_site, site, 0)
    database.transact(insert_key, full_key(site_id, SECRET))
    client = await aiohttp_client(create_app(Config(database_url=url)), cookie_jar=DummyCookieJar())
    yield Stage(HttpTransport(client, WRITE_KEY, SECRET))
    await database.close()


@pytest.mark.parametrize("story", DECISION_TABLE, ids=lambda story: story.__name__)
async def test_decision_table(story: Story, stage: Stage) -> None:
    await story(stage)


@pytest.mark.parametrize("story", WAYS_OF_RETURNING, ids=lambda story: story.__name__)
async def test_ways_of_returning(story: Story, stage: Stage) -> None:
    await story(stage)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_story(story: Story, stage: Stage) -> None:
    await story(stage)


class TestSiteThatRequiresVerifiedIdentity:
    @pytest.fixture
    def site_settings(self) -> SiteSettings:
        return SiteSettings(bots="include", require_verified_identity=True)

    @pytest.mark.parametrize("story", VERIFIED_SITE_STORIES, ids=lambda story: story.__name__)
    async def test_story(self, story: Story, stage: Stage) -> None:
        await story(stage)
