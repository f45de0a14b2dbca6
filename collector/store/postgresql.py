"""An open PostgreSQL database: transactions of several collectors beside each other.

Everything goes through asyncpg. Transactions are begun and ended by us, on connections that SQLAlchemy takes for
autocommitting; query functions are the same as on SQLite and run in a greenlet that awaits where SQLite would block.
What must not happen at the same time is kept apart by `locks`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only, greenlet_spawn

from collector.store.asyncpg_errors import is_transient, translated
from collector.store.locks import Changed

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]

SYNCHRONOUS_COMMIT = "on"  # an answer means that it is on disk
STATEMENT_TIMEOUT_MS = 2000  # of recording: what takes longer is refused, and its sender keeps it
LOSS_TIMEOUT_S = 4.0  # after this silence of the server the connection counts as lost
LONG_STATEMENT_TIMEOUT_MS = 30_000
ATTEMPTS = 10  # of a transaction that others got in the way of
PREPARED_STATEMENTS = 512  # look-ups exist in several sizes each
PLANNING_AGAIN = frozenset({10, 30, 100, 300, 1000, 10_000})  # transactions of a connection
BEGIN_WRITING = "BEGIN"
BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Recorder, refused bodies and decisions write; a handful of readers is plenty. Idle ones beyond these are closed.
KEPT_WRITERS, KEPT_READERS, MORE_CONNECTIONS = 2, 2, 4


def _make_engine(
    url: URL, kept: int, timeout_ms: int, loss_timeout_s: float | None, plan_cache_mode: str = "auto"
) -> Engine:
    """An engine for `greenlet_spawn`, as for aiosqlite. `timeout_ms` bounds each statement and each wait for a lock."""
    server_settings = {
        "application_name": "regulars",
        "statement_timeout": str(timeout_ms),
        "lock_timeout": str(timeout_ms),
        "idle_in_transaction_session_timeout": "10000",
        "synchronous_commit": SYNCHRONOUS_COMMIT,
        "jit": "off",
        "plan_cache_mode": plan_cache_mode,
        # Every statement of recording is served by an index. Plans are kept, and one that was made while the tables
        # were small must not read them whole later.
        "enable_seqscan": "off",
    }
    pool: dict[str, Any] = {"poolclass": NullPool}
    if kept:
        pool = {"pool_size": kept, "max_overflow": MORE_CONNECTIONS, "pool_timeout": LOSS_TIMEOUT_S}
    engine = create_engine(
        url,
        **pool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={
            "server_settings": server_settings,
            "timeout": LOSS_TIMEOUT_S / 2,
            "command_timeout": loss_timeout_s,
            "statement_cache_size": PREPARED_STATEMENTS,
        },
    )
    event.listen(engine, "connect", _watch_peer)
    event.listen(engine, "checkout", _refuse_closed)
    return engine


def _watch_peer(adapted: Any, _record: object) -> None:
    """Let the kernel notice a server that has gone without a word."""
    peer = adapted.driver_connection._transport.get_extra_info("socket")
    if peer is None or peer.family == socket.AF_UNIX:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", int(LOSS_TIMEOUT_S * 1000)),
    ):
        if hasattr(socket, option):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _refuse_closed(adapted: Any, _record: object, _proxy: object) -> None:
    """Connections that the server has closed meanwhile are replaced before they are used."""
    if adapted.driver_connection.is_closed():
        raise DisconnectionError


def _begin(connection: Connection, begin: str) -> Any:
    """Begin a transaction. Now and then plans are made anew: those of tables with a few rows are no good for many."""
    driver = connection.connection.driver_connection
    assert driver is not None
    begun = connection.info["begun"] = connection.info.get("begun", 0) + 1
    if begun in PLANNING_AGAIN:
        await_only(driver.execute("DISCARD PLANS"))
    await_only(driver.execute(begin))
    return driver


def _run(engine: Engine, begin: str, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """One transaction, once. Raises SQLAlchemy's errors, `Changed`, and whatever `query` raises."""
    try:
        with engine.connect() as connection:
            try:
                driver = _begin(connection, begin)
                result = query(connection, *args, **kwargs)
                await_only(driver.execute("COMMIT"))
            except BaseException as error:
                _leave(connection, error)
                raise
            return result
    except Exception as error:
        known = translated(error)
        if known is None:
            raise
        raise known from error


def _leave(connection: Connection, error: BaseException) -> None:
    """End a transaction that failed. A connection that cannot even do that, or was interrupted, is given up."""
    driver: Any = connection.connection.driver_connection
    if isinstance(error, Exception) and not isinstance(error, TimeoutError) and not driver.is_closed():
        try:
            await_only(driver.execute("ROLLBACK"))
        except Exception as failure:  # noqa: BLE001 - the first error is the one that counts
            connection.invalidate(failure)
    else:
        connection.invalidate(error)


def _persist(engine: Engine, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A writing transaction, begun again as long as others get in its way (deadlock, changed under its eyes)."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _run(engine, BEGIN_WRITING, query, *args, **kwargs)
        except Changed:
            continue
        except DBAPIError as error:
            if not is_transient(error):
                raise
    return _run(engine, BEGIN_WRITING, query, *args, **kwargs)


class _Bridge:
    """An event loop in a thread of its own, for callers that have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgresql", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Postgresql:
    """Connections to one PostgreSQL database. See `database.Database` for what the methods promise."""

    def __init__(self, url: URL) -> None:
        self.name = url.render_as_string(hide_password=True)
        self._url = url
        # Left to itself PostgreSQL plans look-ups by an array of ids anew each time, a third of what a merge takes.
        self._writers = _make_engine(url, KEPT_WRITERS, STATEMENT_TIMEOUT_MS, LOSS_TIMEOUT_S, "force_generic_plan")
        self._long_writers = _make_engine(url, 0, LONG_STATEMENT_TIMEOUT_MS, None)
        self._readers = _make_engine(url, KEPT_READERS, LONG_STATEMENT_TIMEOUT_MS, None)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._bridge: _Bridge | None = None
        self._alone: Engine | None = None

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A short transaction; each statement may take 2 s."""
        return await self._see_through(_persist, self._writers, query, *args, **kwargs)

    async def write_long(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A transaction whose statements may take 30 s."""
        return await self._see_through(_persist, self._long_writers, query, *args, **kwargs)

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` on a snapshot that nobody changes."""
        return await greenlet_spawn(lambda: _run(self._readers, BEGIN_READING, query, *args, **kwargs))

    async def _see_through(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run `work` to its end, also when the caller is cancelled."""
        task = asyncio.create_task(greenlet_spawn(work, *args, **kwargs))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def transact(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write_long` for a caller without an event loop."""
        done: T = self._wait_for(_persist, query, *args, **kwargs)
        return done

    def read_now(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for a caller without an event loop."""

        def read(engine: Engine) -> T:
            return _run(engine, BEGIN_READING, query, *args, **kwargs)

        found: T = self._wait_for(read)
        return found

    def _wait_for(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._bridge is None or self._alone is None:
            self._bridge = _Bridge()
            self._alone = _make_engine(self._url, 1, LONG_STATEMENT_TIMEOUT_MS, None)
        return self._bridge.run(greenlet_spawn(work, self._alone, *args, **kwargs))

    async def close(self) -> None:
        """Wait for transactions under way, then close all connections."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        for engine in (self._readers, self._writers, self._long_writers):
            await greenlet_spawn(engine.dispose)
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Close what callers without an event loop used."""
        if self._bridge is not None and self._alone is not None:
            self._bridge.run(greenlet_spawn(self._alone.dispose))
            self._bridge.close()
            self._bridge = self._alone = None
