"""A migrated database for each test, on both engines.

On SQLite it is a copy of a file that was migrated once, on PostgreSQL one database that every test leaves empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from collector.domain.site import SiteSettings
from collector.store import sqlite as sqlite_module
from collector.store.database import Database
from tests.databases import new_database
from tests.postgresql import Cluster
from tests.stage import Stage
from tests.store.engines import ENGINES
from tests.store_transport import StoreTransport, add_site


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Where the test stores; a test for one engine alone is marked with one of `engines`."""
    return str(request.param)


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database with nothing in it."""
    if engine == "sqlite":
        yield new_database(tmp_path)
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        yield cluster.url(request.getfixturevalue("shared_database"))
        cluster.empty(request.getfixturevalue("shared_database"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, open."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture(scope="module", params=ENGINES)
def quick_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that does not wait for the disk, for many small histories, each on a site of its own."""
    if request.param == "sqlite":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite_module, "WRITER_PRAGMAS", (*sqlite_module.WRITER_PRAGMAS, "synchronous=OFF"))
            database = Database(new_database(tmp_path_factory.mktemp("histories")))
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        from collector.store import postgresql as postgresql_module  # noqa: PLC0415

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgresql_module, "SYNCHRONOUS_COMMIT", "off")
            database = Database(cluster.url(cluster.new_database()))
            database.read_now(lambda _: None)
    yield database
    database.close_now()


@pytest.fixture
def site_settings() -> SiteSettings:
    """What the site of the test has chosen; parametrise or override it."""
    return SiteSettings()


@pytest.fixture
def transport(database: Database, site_settings: SiteSettings) -> StoreTransport:
    """One site in that database."""
    return StoreTransport(database, add_site(database, "shop", site_settings))


@pytest.fixture
def stage(transport: StoreTransport) -> Stage:
    """A stage over the store alone."""
    return Stage(transport)
