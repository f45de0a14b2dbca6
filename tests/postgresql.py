"""A PostgreSQL server for the tests: a cluster in a temporary folder, on a free port, with fsync, removed afterwards.

PostgreSQL refuses to run as root; then it runs as `postgres`, or as `nobody` where there is no such user.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from collector.store import schema
from collector.store.database import Database
from collector.store.migrate import migrate

START_S = 30.0
TEMPLATE = "migrated"


def binaries() -> Path:
    """The folder of initdb and postgres, which Debian keeps out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parents[1].name))
    on_path = shutil.which("initdb")
    assert found or on_path, "PostgreSQL is not installed; `make system` does it"
    return found[-1].parent if found else Path(str(on_path)).parent


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as, None for ourselves."""
    if os.getuid() != 0:
        return None
    names = {account.pw_name: account for account in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Cluster:
    """A server; `settings` go before those that tests do with. Only the process that `start` began is ever ended."""

    folder: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def make(self) -> None:
        """Create the cluster."""
        account = _account()
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        options = ["--auth=trust", "--username=regulars", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run([str(binaries() / "initdb"), *options, "-D", str(self.data)])

    @property
    def data(self) -> Path:
        """Where the server keeps everything."""
        return self.folder / "data"

    def _run(self, words: Sequence[str]) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False, **self._identity())
        assert done.returncode == 0, f"{words[0]}: {done.stderr or done.stdout}"

    def _identity(self) -> dict[str, Any]:
        account = _account()
        who = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **who}

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on",
            "max_connections": 60,
            "shared_buffers": "64MB",
            "logging_collector": "off",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._identity(),
            )
        until = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, "PostgreSQL does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.command("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self) -> None:
        """End the server at once; what was committed is there at the next start."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: immediate shutdown
            self.process.wait(START_S)
            self.process = None

    def url(self, database: str = "postgres") -> str:
        """The URL of a database, as the collector wants it."""
        return f"postgresql+asyncpg://regulars@127.0.0.1:{self.port}/{database}"

    def command(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements, each in a transaction of its own; the rows of the last one."""

        async def run() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(f"postgresql://regulars@127.0.0.1:{self.port}/{database}", timeout=5)
            try:
                rows: list[Any] = []
                for statement in statements:
                    rows = await connection.fetch(statement)
                return [tuple(row) for row in rows]
            finally:
                await connection.close()

        return _in_thread(run)

    def new_database(self, template: str = TEMPLATE) -> str:
        """A database of its own with all tables in it; its name."""
        name = f"test_{next(self.numbers)}"
        self.command(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def empty(self, name: str) -> None:
        """Leave nothing in a database but its tables. Faster than TRUNCATE where there is little in them."""
        tables = [table.name for table in schema.metadata.sorted_tables]
        numbered = "SELECT setval(s.oid, 1, false) FROM pg_class s WHERE s.relkind = 'S'"
        self.command(*(f"DELETE FROM {table}" for table in tables), numbered, database=name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.command(f"DROP DATABASE {name} WITH (FORCE)")


def _in_thread(run: Callable[[], Any]) -> Any:
    """Run a coroutine function where no loop runs yet, whether or not one runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result()


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A server with one migrated database to copy from; nothing of it remains."""
    folder = Path(tempfile.mkdtemp(prefix="regulars-postgresql-"))
    cluster = Cluster(folder)
    try:
        cluster.make()
        cluster.start()
        cluster.command(f"CREATE DATABASE {TEMPLATE}")
        database = Database(cluster.url(TEMPLATE))
        try:
            migrate(database)
        finally:
            database.close_now()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
