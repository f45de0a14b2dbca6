"""Opening the database for a command: the one that the settings name, whether or not a server runs on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from collector.cli.trouble import Trouble
from collector.config import Config, load_config
from collector.domain.site import Site
from collector.store.database import Database, is_sqlite, sqlite_path
from collector.store.migrate import HEAD, fetch_revision, migrate
from collector.store.sites import fetch_site_by_name, fetch_sites

T = TypeVar("T")

PATIENCE_S = 20


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def read_settings(file: Path | None) -> Config:
    """The settings, as `serve` would see them. Raises `ConfigError`."""
    return load_config(os.environ, file)


@contextmanager
def existing_database(config: Config) -> Iterator[Database]:
    """The database, which must be there and at this version's schema. Raises `Trouble`."""
    if is_sqlite(config.database_url) and not (path := sqlite_path(config.database_url)).exists():
        raise Trouble(f"there is no database at {path} (REGULARS_DATABASE_URL); `regulars site add` begins one")
    with _opened(config) as database:
        revision = database.read_now(fetch_revision)
        if revision != HEAD:
            found = f"at revision {revision}" if revision else "empty"
            raise Trouble(f"the database {database.name} is {found}, this version needs {HEAD}: run `regulars migrate`")
        yield database


@contextmanager
def migrated_database(config: Config) -> Iterator[Database]:
    """The database, made or migrated where it has to be."""
    with _opened(config) as database:
        patiently(lambda: migrate(database))
        yield database


@contextmanager
def _opened(config: Config) -> Iterator[Database]:
    database = Database(config.database_url)
    try:
        yield database
    finally:
        database.close_now()


def patiently(write: Callable[[], T]) -> T:
    """Run `write` until a server that writes all the time leaves it a gap. Raises its error after 20 s."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return write()
        except OperationalError as error:
            said = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
            is_busy = error.statement == "flock" or said in ("SQLITE_BUSY", "55P03")
            if not is_busy or time.monotonic() > deadline:
                raise


def existing_site(conn: Connection, name: str) -> Site:
    """The site of that name, which nobody else changes before this transaction ends. Raises `Trouble`."""
    site = fetch_site_by_name(conn, name)
    if site is None:
        raise Trouble(f"there is no site named {name}; `regulars site list` shows them")
    return site


def choose_site(database: Database, name: str | None) -> Site:
    """The site of that name, or the only one there is. Raises `Trouble`."""
    sites = database.read_now(fetch_sites)
    known = ", ".join(site.name for site in sites)
    if not sites:
        raise Trouble("there is no site yet; `regulars site add NAME --origin URL` adds one")
    if name is None:
        if len(sites) > 1:
            raise Trouble(f"there are several sites, choose one with --site: {known}")
        return sites[0]
    for site in sites:
        if site.name == name:
            return site
    raise Trouble(f"there is no site named {name}; there are: {known}")
