"""An open SQLite file: one connection that writes, many that read.

The writing one works in a thread of its own, always `BEGIN IMMEDIATE` with a real fsync at commit, and checkpoints
between transactions what `mover` has left. Readers go through aiosqlite, never write and never checkpoint.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool, StaticPool
from sqlalchemy.util import greenlet_spawn

from collector.store.driver import driver_of, execute, prepare
from collector.store.mover import Mover

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]

BUSY_TIMEOUT_MS = 2000
LONG_LOG_BYTES = 28 * 1024 * 1024  # a checkpoint is due, whatever the last one taught
WAL_LIMIT_BYTES = 40 * 1024 * 1024  # and one transaction more, of 3 MB as a rule
PAGES_BETWEEN_CHECKPOINTS = 2_000  # of the log, about: 8 MB
ROWS_BETWEEN_CHECKPOINTS = (500, 20_000)  # at least and at most; a row of a single event touches more pages
CHECKPOINTS_BEFORE_GIVING_UP = 3
MOVE_S = 0.1  # as long as the mover of another process may take, which SQLite does not wait for
CACHE_KIB = 4096  # of the writer; with 64 MiB hardly any of it is in the processor's own caches: a fifth more an event
CACHED_STATEMENTS = 512  # look-ups and inserts exist in several sizes each; the driver itself would keep 128
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON")
FORGET = "secure_delete=ON"  # what is deleted is overwritten where it stood; the default of Debian's SQLite only
WRITER_PRAGMAS = (
    *SQLITE_PRAGMAS,
    FORGET,
    "wal_autocheckpoint=0",
    f"journal_size_limit={LONG_LOG_BYTES}",
    f"cache_size=-{CACHE_KIB}",
)
READER_PRAGMAS = (*SQLITE_PRAGMAS[1:], "wal_autocheckpoint=0", "query_only=ON")


class UnsupportedDatabase(ValueError):
    """The database URL names an engine that this version does not speak."""


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///path` URL; relative paths are resolved against the working directory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise UnsupportedDatabase(
            "database_url must look like sqlite:///path/to/regulars.db or postgresql+asyncpg://user@host/database, "
            f"not {parsed.drivername}"
        )
    return Path(parsed.database).absolute()


def _on_connect(engine: Any, pragmas: tuple[str, ...]) -> None:
    """Prepare each connection of `engine`; transactions are begun by us, not by the driver."""

    @event.listens_for(engine, "connect")
    def on_connect(driver_connection: Any, _record: object) -> None:
        driver_connection.isolation_level = None
        prepare(driver_connection, pragmas)


def _read_snapshots(engine: Any) -> None:
    """Let each transaction of `engine` see one state of the database."""

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def _transaction(writer: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end, or roll back."""
    execute(writer, "BEGIN IMMEDIATE")
    try:
        yield
        execute(writer, "COMMIT")
    except BaseException:
        if writer.in_transaction:  # after some errors SQLite has rolled back already
            execute(writer, "ROLLBACK")
        raise


def fetch_change_mark(conn: Connection) -> object:
    """Differs from an earlier mark if anything was written since, by any connection; None if the engine cannot tell."""
    if conn.dialect.driver != "pysqlite":
        return None
    connection = driver_of(conn)
    return execute(connection, "PRAGMA data_version"), connection.total_changes


def _read(engine: Engine, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `query` on a read-only connection, in a snapshot of its own."""
    with engine.connect() as connection:
        return query(connection, *args, **kwargs)


class Sqlite:
    """An open SQLite file. See `Database` for what the methods promise."""

    def __init__(self, url: str) -> None:
        self.path = sqlite_path(url)
        self.name = str(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(f"{self.path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._writer = create_engine(
            f"sqlite:///{self.path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "cached_statements": CACHED_STATEMENTS},
            hide_parameters=True,  # errors are logged, e-mails are not
            isolation_level="AUTOCOMMIT",  # `transact` begins and commits: SQLAlchemy takes ten times as long for it
        )
        _on_connect(self._writer, WRITER_PRAGMAS)
        # An engine that awaits aiosqlite, to be used through `greenlet_spawn`. That is all that SQLAlchemy's asyncio
        # extension would do here, and it would bring the object mapper along: 6 MB, a tenth of a second.
        self._readers = create_engine(f"sqlite+aiosqlite:///{self.path}", hide_parameters=True)
        _on_connect(self._readers, READER_PRAGMAS)
        _read_snapshots(self._readers)
        self._log = Path(f"{self.path}-wal")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._mover = Mover(self.path, READER_PRAGMAS)
        self._connection: Connection | None = None
        self._log_bytes = 0
        self._rows_at_checkpoint = 0
        self._rows_between = ROWS_BETWEEN_CHECKPOINTS[1]

    def transact(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` in the writing transaction of this process and commit; in the calling thread.

        Raises `OperationalError` when the database is busy for 2 s, full or away, or a reader that stays lets the log
        grow too long: nothing is stored then.
        """
        connection, writer = self._open_writer()
        with self._alone():
            self._bound_log(writer)
            with _transaction(writer):
                return query(connection, *args, **kwargs)

    def _bound_log(self, writer: sqlite3.Connection) -> None:
        """SQLite begins its log anew only where nobody reads from it."""
        try:
            self._log_bytes = self._log.stat().st_size
        except FileNotFoundError:
            self._log_bytes = 0
        if self._log_bytes > WAL_LIMIT_BYTES and not self._empty_log(writer):
            raise OperationalError("wal_checkpoint", None, TimeoutError("a reader keeps the log from being emptied"))

    def _empty_log(self, writer: sqlite3.Connection) -> bool:
        """Move the whole log into the file and cut it to nothing; False when readers kept it from that for 2 s."""
        self._mover.join()
        ((busy, _, _),) = execute(writer, "PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy

    def _open_writer(self) -> tuple[Connection, sqlite3.Connection]:
        """The one connection that writes, as SQLAlchemy and as the driver know it."""
        if self._connection is None or self._connection.closed:
            self._connection = self._writer.connect()
        return self._connection, driver_of(self._connection)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`transact` in the writer's thread. Once begun it runs to its end, also when the caller is cancelled."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self.transact(query, *args, **kwargs))

    write_long = write  # nothing is cut short here

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` on a read-only connection, in a snapshot of its own."""
        return await greenlet_spawn(lambda: _read(self._readers, query, *args, **kwargs))

    def read_now(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for a caller without an event loop (the command line)."""
        engine = create_engine(f"sqlite:///{self.path}", poolclass=NullPool, hide_parameters=True)
        _on_connect(engine, READER_PRAGMAS)
        _read_snapshots(engine)
        return _read(engine, query, *args, **kwargs)

    async def checkpoint_if_due(self) -> None:
        """Move the log into the database file, now and then: most of it beside the writer, the rest between groups.

        The log's own length says little, since it is written anew from its beginning and cut only where it is long.
        """
        if self._mover.is_moving:
            return
        if self._mover.has_moved:
            await self.checkpoint()
            return
        rows = driver_of(self._connection).total_changes if self._connection else 0
        is_long = self._log_bytes > LONG_LOG_BYTES
        if rows - self._rows_at_checkpoint >= (ROWS_BETWEEN_CHECKPOINTS[0] if is_long else self._rows_between):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._start_to_move)

    def _start_to_move(self) -> None:
        _, writer = self._open_writer()
        with self._alone():
            with _transaction(writer):
                execute(writer, "PRAGMA user_version = 1")  # whatever it is already: a page goes to the log
            self._mover.start()

    async def checkpoint(self) -> None:
        """`checkpoint_now` in the writer's thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.checkpoint_now)

    def checkpoint_now(self) -> None:
        """Move the log into the database file as far as nobody reads from it; PASSIVE never waits."""
        if self._connection is None or self._connection.closed:
            return
        writer = driver_of(self._connection)
        self._mover.join()
        with self._alone():
            ((_, pages, _),) = execute(writer, "PRAGMA wal_checkpoint(PASSIVE)")
        rows, self._rows_at_checkpoint = writer.total_changes - self._rows_at_checkpoint, writer.total_changes
        least, most = ROWS_BETWEEN_CHECKPOINTS
        self._rows_between = min(max(least, rows * PAGES_BETWEEN_CHECKPOINTS // max(pages, 1)), most)

    async def scrub(self) -> bool:
        """`scrub_now` in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.scrub_now)

    def scrub_now(self, *, rewrites: bool = False) -> bool:
        """Remove the bytes of deleted rows from the files (R16); in the calling thread.

        In the file they were overwritten when they were deleted, so what is left of them is in the log, which is
        emptied. `rewrites` also writes the whole file anew, a second for each 100 MB, in which nobody else can write.
        Returns whether the log could be emptied; a reader that will not end prevents that. Raises like `transact`.
        """
        _, writer = self._open_writer()
        with self._alone():
            if rewrites:
                execute(writer, "VACUUM")
            for _ in range(CHECKPOINTS_BEFORE_GIVING_UP):
                if self._empty_log(writer):
                    return True
                time.sleep(MOVE_S)
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes (a command beside the server) from writing while this one writes or checkpoints.

        SQLite before 3.51.3 can corrupt its log when one connection writes while another checkpoints.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise OperationalError("flock", None, error) from error
                time.sleep(0.005)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    async def close(self) -> None:
        """Close readers, then the writer."""
        await greenlet_spawn(self._readers.dispose)
        await asyncio.get_running_loop().run_in_executor(self._thread, self.close_now)

    def close_now(self) -> None:
        """Close the writer, without an event loop."""
        self._mover.close()
        if self._connection is not None:
            self._connection.close()
        self._writer.dispose()
        self._thread.shutdown(wait=False)
        os.close(self._lock_file)
