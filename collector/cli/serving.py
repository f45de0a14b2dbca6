"""The work of `regulars serve` and `regulars migrate`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from collector.app import run
from collector.cli.opening import patiently, read_settings
from collector.cli.output import say
from collector.cli.workers import supervise
from collector.config import load_config
from collector.store.database import Database
from collector.store.migrate import migrate


def run_server(file: Path | None, overrides: Mapping[str, Any]) -> None:
    """Serve until a signal. Raises `ConfigError`, or what the database or the socket says."""
    config = load_config(os.environ, file, **overrides)
    if config.workers == 1:
        run(config)
    else:
        supervise(config)


def migrate_database(file: Path | None) -> None:
    """Migrate and say what was done. Raises `NewerSchema`."""
    config = read_settings(file)
    database = Database(config.database_url)
    try:
        with Console(stderr=True).status("Migrating"):
            before, now = patiently(lambda: migrate(database))
    finally:
        database.close_now()
    done = f"is at revision {now} already" if before == now else f"went from {before or 'nothing'} to revision {now}"
    say(f"The database {database.name} {done}.")
