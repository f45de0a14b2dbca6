"""`python -m tests.faults.unsynced serve`: a collector that does not wait for the disk, for test_fsync.py."""

from __future__ import annotations

from collector.cli import main
from collector.store import sqlite

unsynced = tuple(pragma.replace("=FULL", "=NORMAL") for pragma in sqlite.WRITER_PRAGMAS)
setattr(sqlite, "WRITER_PRAGMAS", unsynced)  # noqa: B010 - a constant for everybody else

if __name__ == "__main__":
    main()
