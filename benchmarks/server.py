"""Servers as processes of their own, pinned to the server's core, and what the kernel says about them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTOR = "collector"
ORIGIN = "https://shop.example"
START_S = 60
STOP_S = 20
# Every check is made and none refuses: all of the load comes from one address and few browsers.
UNREACHED = {
    f"REGULARS_{name}": "1000000000"
    for name in (
        "RATE_PER_KEY",
        "RATE_PER_ADDRESS",
        "RATE_PER_DEVICE",
        "IDENTIFY_RATE_PER_ADDRESS",
        "IDENTIFY_RATE_PER_DEVICE",
    )
}


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core serves and which one makes the load; the same one where there is only one."""

    server: int
    load: int


def choose_cores() -> Cores:
    """The first and the last core that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `started_s` is how long it took from its start until it said that it was ready."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started_s: float

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Processor time that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Resident memory, MB (10^6 bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start_server(command: list[str], port: int, env: Mapping[str, str], log: Path, core: int | None) -> Server:
    """Start `python -m COMMAND` and wait until `/readyz` answers 200. Raises RuntimeError with what it printed."""
    pin = ["taskset", "--cpu-list", str(core)] if core is not None else []
    begun = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*pin, sys.executable, "-m", *command],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    while time.perf_counter() - begun < START_S:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return Server(process, port, log, time.perf_counter() - begun)
        except OSError:
            time.sleep(0.005)
    process.kill()
    process.wait()
    raise RuntimeError(f"{' '.join(command)} did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running_base(folder: Path, core: int) -> Iterator[Server]:
    """The bare server."""
    port = free_port()
    server = start_server(["benchmarks.base", str(port)], port, os.environ, folder / "base.log", core)
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Installation:
    """A database with one site, and how to start collectors on it. `folder` holds their log, and SQLite's file."""

    url: str
    folder: Path
    origin: str
    write_key: str = ""
    secret_key: str = ""

    @property
    def path(self) -> str:
        """Where events are posted."""
        return f"/v1/collect?site={self.write_key}"

    def start(self, core: int | None, port: int = 0, module: str = COLLECTOR) -> Server:
        """Start a collector; another `module` is a launcher that changes it first."""
        port = port or free_port()
        env = settings_of(self.url) | {"REGULARS_PORT": str(port)}
        return start_server([module, "serve"], port, env, self.folder / "regulars.log", core)

    @contextmanager
    def running(self, core: int | None, module: str = COLLECTOR) -> Iterator[Server]:
        """A collector that is stopped in the end."""
        server = self.start(core, module=module)
        try:
            yield server
        finally:
            server.stop()


def sqlite_file(folder: Path) -> Path:
    """Where an installation on SQLite keeps everything."""
    return folder / "regulars.db"


def sqlite_url(folder: Path) -> str:
    """The same as a collector wants it."""
    return f"sqlite:///{sqlite_file(folder)}"


def install(folder: Path, origin: str = ORIGIN, url: str = "") -> Installation:
    """A new database with one site that counts headless browsers as visitors: SQLite, unless `url` says otherwise."""
    url = url or sqlite_url(folder)
    command = [sys.executable, "-m", COLLECTOR, "site", "add", "bench", f"--origin={origin}", "--test", "--json"]
    added = subprocess.run(command, cwd=ROOT, env=settings_of(url), capture_output=True, text=True, check=False)
    if added.returncode:
        raise RuntimeError(f"the site could not be added:\n{added.stderr or added.stdout}")
    keys = json.loads(added.stdout)
    return Installation(url, folder, origin, keys["write_key"], keys["secret_key"])


def settings_of(url: str) -> dict[str, str]:
    """The environment of a process on a database."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    return own | UNREACHED | {"REGULARS_HOST": "127.0.0.1", "REGULARS_DATABASE_URL": url}
