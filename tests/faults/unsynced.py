"""`python -m tests.faults.unsynced serve`: a collector that does not wait for the disk, for test_fsync.py."""

from __future__ import annotations

from collector.cli import main
from collector.store import database

unsynced = tuple(pragma.replace("=FULL", "=NORMAL") for pragma in database.WRITER_PRAGMAS)
setattr(database, "WRITER_PRAGMAS", unsynced)  # noqa: B010 - a constant for everybody else

if __name__ == "__main__":
    main()
