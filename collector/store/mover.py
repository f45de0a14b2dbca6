"""Moving SQLite's log into its file, beside the writer.

A checkpoint waits for the disk most of its time, some 30 ms for a log of 20 MB. So another connection makes it, in a
thread of its own, while the writer goes on. What was written meanwhile is little; the writer moves that by itself,
between two transactions, and SQLite begins its log anew.

SQLite before 3.51.3 can damage the file when one connection begins the log anew while another one starts to move it.
Nobody can begin it anew while somebody reads from it: for as long as it is moved here, a connection of ours does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from collector.store.driver import connect, execute


class Mover:
    """Moves the log of the file at `path`, by connections with these `pragmas`.

    What it is doing may be asked in any thread; the rest is for one thread at a time.
    """

    def __init__(self, path: Path, pragmas: Sequence[str]) -> None:
        self._path = path
        self._pragmas = pragmas
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mover")
        self._connections: tuple[sqlite3.Connection, sqlite3.Connection] | None = None
        self._running: Future[None] | None = None

    @property
    def is_moving(self) -> bool:
        """Whether it is at it."""
        running = self._running
        return running is not None and not running.done()

    @property
    def has_moved(self) -> bool:
        """Whether it has come to an end, good or bad, and nobody has joined it yet."""
        running = self._running
        return running is not None and running.done()

    def start(self) -> None:
        """Begin to move what the log holds. Raises `OperationalError`.

        Only for who has just committed something, and kept everybody else from writing and moving since then: the log
        then holds what is not in the file yet, without which SQLite would let the reader read from the file alone.
        """
        mover, reader = self._connections = self._connections or self._connect()
        execute(reader, "BEGIN")
        execute(reader, "SELECT 1 FROM sqlite_schema LIMIT 1")
        self._running = self._thread.submit(_move, mover, reader)

    def _connect(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        mover = connect(self._path, self._pragmas)
        try:
            return mover, connect(self._path, self._pragmas)
        except BaseException:
            mover.close()
            raise

    def join(self) -> None:
        """Wait until it has come to an end; raises what kept it from a good one, once."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Wait for the end of it, and close the connections."""
        self._thread.shutdown()
        for connection in self._connections or ():
            connection.close()


def _move(mover: sqlite3.Connection, reader: sqlite3.Connection) -> None:
    try:
        execute(mover, "PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        execute(reader, "ROLLBACK")
