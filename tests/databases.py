"""A new database file for a test: a copy of one that was migrated once, which takes a tenth of the time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from collector.store.database import Database
from collector.store.migrate import migrate


@cache
def _tables() -> bytes:
    """A file with all tables and nothing in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "regulars.db"
        database = Database(f"sqlite:///{path}")
        migrate(database)
        database.close_now()
        return path.read_bytes()


def new_database(folder: Path) -> str:
    """Puts such a file into `folder`; its URL."""
    path = folder / "regulars.db"
    path.write_bytes(_tables())
    return f"sqlite:///{path}"
