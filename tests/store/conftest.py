"""A migrated SQLite file for each test, copied from one that was migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.domain.site import SiteSettings
from collector.store import database as database_module
from collector.store.database import Database
from collector.store.migrate import migrate
from tests.stage import Stage
from tests.store_transport import StoreTransport, add_site


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and nothing in them."""
    path = tmp_path_factory.mktemp("database") / "regulars.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close_now()
    return path


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """An open database of its own."""
    path = tmp_path / "regulars.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close_now()


@pytest.fixture(scope="module")
def quick_database(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that does not wait for the disk, for many small histories, each on a site of its own."""
    path = tmp_path_factory.mktemp("histories") / "regulars.db"
    shutil.copy(migrated_file, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "WRITER_PRAGMAS", (*database_module.WRITER_PRAGMAS, "synchronous=OFF"))
        database = Database(f"sqlite:///{path}")
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
