"""The database, of either engine: SQLite in `sqlite`, PostgreSQL in `postgresql`.

A query function is a plain function of a SQLAlchemy `Connection`; the engine decides where it runs and what the
transaction around it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from collector.store.sqlite import Sqlite, UnsupportedDatabase, sqlite_path

if TYPE_CHECKING:
    from collector.store.postgresql import Postgresql

__all__ = ["Database", "DatabaseError", "UnsupportedDatabase", "sqlite_path"]  # the error for callers without SQL

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]


def is_sqlite(url: str) -> bool:
    """Whether a database URL names a file of SQLite, which has one writer. Raises `UnsupportedDatabase`."""
    return _backend(url) == "sqlite"


def _backend(url: str) -> str:
    try:
        backend: str = make_url(url).get_backend_name()
    except ArgumentError as error:
        raise UnsupportedDatabase("database_url is no URL") from error
    return backend


def _open_engine(url: str) -> Sqlite | Postgresql:
    if _backend(url) != "postgresql":
        return Sqlite(url)
    from collector.store.postgresql import Postgresql  # noqa: PLC0415 - asyncpg: 5 MB that SQLite does without

    return Postgresql(make_url(url).set(drivername="postgresql+asyncpg"))


class Database:
    """An open database, of either engine; `close` it when done. Only `write`, `write_long` and `transact` change it.

    Everything raises `OperationalError` when the database is busy for 2 s, full or away. Query functions may be run
    again from their beginning where `has_rivals`: whether other processes write between their statements.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open_engine(url)
        self.name = self._engine.name  # for people: a path, or a URL without its password
        self.has_rivals = not isinstance(self._engine, Sqlite)

    @property
    def path(self) -> Path:
        """The file of a SQLite database. Raises `UnsupportedDatabase` for another engine."""
        if not isinstance(self._engine, Sqlite):
            raise UnsupportedDatabase(f"{self.name} is no file")
        return self._engine.path

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` in a transaction and commit. Once begun it runs to its end, also when the caller is cancelled."""
        return await self._engine.write(query, *args, **kwargs)

    async def write_long(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` for what may take longer than recording may: statements are not cut off after 2 s."""
        return await self._engine.write_long(query, *args, **kwargs)

    def transact(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write_long` in the calling thread."""
        return self._engine.transact(query, *args, **kwargs)

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` on a read-only connection, in a snapshot of its own."""
        return await self._engine.read(query, *args, **kwargs)

    def read_now(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for a caller without an event loop (the command line)."""
        return self._engine.read_now(query, *args, **kwargs)

    async def checkpoint_if_due(self) -> None:
        """SQLite: move the log into the database file, now and then, between transactions."""
        if isinstance(self._engine, Sqlite):
            await self._engine.checkpoint_if_due()

    async def checkpoint(self) -> None:
        """`checkpoint_if_due` for who deletes: a few deleted rows change many pages, and the log must stay short."""
        if isinstance(self._engine, Sqlite):
            await self._engine.checkpoint()

    def checkpoint_now(self) -> None:
        """`checkpoint` in the calling thread."""
        if isinstance(self._engine, Sqlite):
            self._engine.checkpoint_now()

    async def scrub(self) -> bool:
        """Remove the bytes of deleted rows (R16); False where that could not be done, or is the server's to do."""
        return isinstance(self._engine, Sqlite) and await self._engine.scrub()

    def scrub_now(self, *, rewrites: bool = False) -> bool:
        """`scrub` in the calling thread; `rewrites` the whole file too."""
        return isinstance(self._engine, Sqlite) and self._engine.scrub_now(rewrites=rewrites)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.close()

    def close_now(self) -> None:
        """Close what was used without an event loop."""
        self._engine.close_now()
