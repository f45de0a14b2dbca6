"""A collector as a process of its own, to be started, stopped, killed and looked at from outside.

Only the process that `start` began is ever ended. What the collector logs is kept in its folder.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uuid_utils

from tests.postgresql import Cluster

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://shop.example"
LAUNCHER = ("-m", "collector", "serve")
START_S = 30.0
STOP_S = 20.0
# Load comes from one address and one browser here; rates are tested elsewhere.
NO_RATES = {
    f"REGULARS_{name}": "0"
    for name in (
        "RATE_PER_KEY",
        "RATE_PER_ADDRESS",
        "RATE_PER_DEVICE",
        "IDENTIFY_RATE_PER_ADDRESS",
        "IDENTIFY_RATE_PER_DEVICE",
    )
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a site, as `regulars site add --json` prints them."""

    site_id: int
    write_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP; status 0: none came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


@dataclass(slots=True)
class Collector:
    """A collector in `folder`, on SQLite there or on a database of `cluster`.

    `launcher` is what follows `python` on its command line, `tracer` goes before.
    A tracer must leave the collector our own child (`strace -D`), so that signals reach the collector.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    launcher: Sequence[str] = field(default_factory=lambda: LAUNCHER)
    tracer: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    cluster: Cluster | None = None
    database_name: str = ""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "regulars.db"

    @property
    def database_url(self) -> str:
        """Where it stores."""
        return f"sqlite:///{self.database}" if self.cluster is None else self.cluster.url(self.database_name)

    @property
    def log(self) -> Path:
        """What it printed, all starts together."""
        return self.folder / "collector.log"

    def environment(self) -> dict[str, str]:
        """Settings of this collector alone, whatever the environment of the tests says.

        Compiled modules are kept: without them each start compiles all libraries again, for seconds.
        """
        own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        own.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / f"regulars-tests-{os.getuid()}"))
        address = {
            "REGULARS_HOST": "127.0.0.1",
            "REGULARS_PORT": str(self.port),
            "REGULARS_DATABASE_URL": self.database_url,
        }
        return own | NO_RATES | address | dict(self.settings)

    def command(self, *arguments: str) -> str:
        """Runs `regulars …` beside the server and returns what it printed."""
        words = [sys.executable, "-m", "collector", *arguments]
        done = subprocess.run(
            words, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"regulars {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def add_site(self, name: str = "shop", *options: str, origins: Sequence[str] = (ORIGIN,)) -> Keys:
        """Adds a test site."""
        listed = [word for origin in origins for word in ("--origin", origin)]
        added = json.loads(self.command("site", "add", name, *listed, "--test", "--json", *options))
        return Keys(added["site_id"], added["write_key"], added["secret_key"])

    def start(self) -> float:
        """Starts the process and returns the seconds until `/readyz` said 200."""
        begun = time.monotonic()
        self.spawn()
        eventually(self._is_ready, START_S, lambda: f"not ready: {self.last_words()}")
        return time.monotonic() - begun

    def spawn(self) -> None:
        """Starts the process and waits for nothing."""
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.tracer, sys.executable, *self.launcher],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ended with status {self.process.returncode}: {self.last_words()}"
        return get(f"{self.url}/readyz").status == 200

    def kill(self) -> None:
        """Ends the process as a power cut of the process would: SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> int:
        """Asks the process to end and returns its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(STOP_S)
        self.process = None
        return status

    def close(self) -> None:
        """Leaves no process behind."""
        if self.process is not None:
            self.kill()

    def last_words(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-2000:]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, beside the running server or without one, by a connection that does not change it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=rw", uri=True, timeout=10)) as connection:
            connection.execute("PRAGMA query_only=ON")
            yield connection

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query; on PostgreSQL one without values."""
        if self.cluster is not None:
            return self.cluster.command(query, database=self.database_name)
        with self.reading() as connection:
            return connection.execute(query, values).fetchall()

    def stored_ids(self) -> list[str]:
        """The ids of all events, as hex."""
        digits = "lower(hex(event_id))" if self.cluster is None else "encode(event_id, 'hex')"
        return [name for (name,) in self.rows(f"SELECT {digits} FROM events")]


def eventually(
    condition: Callable[[], object], seconds: float = 10.0, describe: Callable[[], str] = lambda: "gave up waiting"
) -> None:
    """Returns as soon as the condition holds; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, describe()
        time.sleep(0.01)


def get(url: str, headers: Mapping[str, str] | None = None) -> Reply:
    """GET."""
    return _ask(urllib.request.Request(url, headers=dict(headers or {})))


def post_batch(url: str, write_key: str, events: Sequence[Mapping[str, object]], timeout_s: float = 30.0) -> Reply:
    """Sends a batch as the SDK would, from a browser without cookies."""
    now = now_ms()
    batch = {"sent_at": now, "tz": 0, "sdk": "0.1.0", "device": str(uuid_utils.uuid7()), "events": list(events)}
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}
    request = urllib.request.Request(
        f"{url}/v1/collect?site={write_key}", json.dumps(batch).encode(), headers=headers, method="POST"
    )
    return _ask(request, timeout_s)


def _ask(request: urllib.request.Request, timeout_s: float = 10.0) -> Reply:
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return Reply(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers), error.read())
    except OSError:
        return Reply(0, {}, b"")


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def event(number: int, *, uid: str | None = None, action: str = "view", **fields: object) -> dict[str, object]:
    """A valid event as the SDK makes it; `number` is its counter."""
    now = now_ms()
    return {
        "event_id": str(uuid_utils.uuid7()),
        "category": "product",
        "action": action,
        "uid": uid or str(uuid_utils.uuid7()),
        "uid_origin": "first",
        "visit": str(uuid_utils.uuid7()),
        "page": str(uuid_utils.uuid7()),
        "seq": number,
        "at": now,
        "url": "http://shop.example/products/milk-pan",
        **fields,
    }
