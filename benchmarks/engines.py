"""SQLite and PostgreSQL side by side: where installations on each of them live, and how fast each one stores events.

The PostgreSQL server is a cluster of the run's own, with the settings that PostgreSQL comes with. All of its processes
run on the server's core, together with the collector, so that the same one core does all the work on both engines.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from benchmarks.bench import Bench
from benchmarks.ingest import median, run_checked
from benchmarks.load import Load, greet_visitors, run_wrk
from benchmarks.server import Installation, install, sqlite_url
from benchmarks.targets import Result
from tests.postgresql import Cluster

SETTINGS = {"shared_buffers": "128MB"}  # what initdb would choose; the tests do with less
STORAGE = Path("/var/tmp")  # where the account that PostgreSQL runs as may go, and never in memory


class Engine(Protocol):
    """Makes installations."""

    @property
    def name(self) -> str:
        """What people call it."""

    def make(self, name: str) -> Installation:
        """A new one. `name` is one of letters, digits and underscores."""

    def copy(self, site: Installation, name: str) -> Installation:
        """One with the same content; nobody may be connected to `site`."""

    def cpu_s(self) -> float:
        """Processor time that the engine has used so far outside of collectors."""


@dataclass(frozen=True, slots=True)
class Sqlite:
    """Files below `folder`."""

    folder: Path
    name: str = "SQLite"

    def make(self, name: str) -> Installation:
        """See `Engine`."""
        return install(_make_folder(self.folder / name))

    def copy(self, site: Installation, name: str) -> Installation:
        """See `Engine`."""
        folder = self.folder / name
        shutil.copytree(site.folder, folder)
        os.sync()  # or the copy is still on its way to the disk while it is measured
        return replace(site, url=sqlite_url(folder), folder=folder)

    def cpu_s(self) -> float:
        """See `Engine`: it has no process of its own."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Postgresql:
    """Databases of one cluster."""

    folder: Path
    cluster: Cluster
    name: str = "PostgreSQL"

    def make(self, name: str) -> Installation:
        """See `Engine`."""
        self.cluster.command(f"CREATE DATABASE {name}")
        return install(_make_folder(self.folder / name), url=self.cluster.url(name))

    def copy(self, site: Installation, name: str) -> Installation:
        """See `Engine`."""
        original = site.url.rpartition("/")[2]
        [(version,)] = self.cluster.command("SELECT current_setting('server_version_num')::int")
        by_file = " STRATEGY file_copy" if version >= 150_000 else ""  # the only one before, and the faster one since
        self.cluster.command(f"CREATE DATABASE {name} TEMPLATE {original}{by_file}")
        return replace(site, url=self.cluster.url(name), folder=_make_folder(self.folder / name))

    def cpu_s(self) -> float:
        """See `Engine`: of all processes of the cluster, those that have ended included."""
        assert self.cluster.process is not None
        parent = self.cluster.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return _used_s(parent) + sum(_used_s(int(child)) for child in children)


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _used_s(pid: int) -> float:
    """Processor time of a process and of those of its children that have ended; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_on(core: int) -> Iterator[None]:
    """What is started in this block, and the block itself, runs on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running_postgresql(bench: Bench, folder: Path) -> Iterator[Postgresql]:
    """A server that is removed in the end, with all that is in it."""
    home = Path(tempfile.mkdtemp(prefix="regulars-bench-", dir=STORAGE))
    cluster = Cluster(home, settings=SETTINGS)
    try:
        cluster.make()
        with running_on(bench.cores.server):
            cluster.start()
        [(version,)] = cluster.command("SHOW server_version")
        [(buffers,)] = cluster.command("SHOW shared_buffers")
        disk = "the same disk" if home.stat().st_dev == folder.stat().st_dev else "another disk"
        bench.facts["PostgreSQL"] = f"{version}; fsync, synchronous_commit, shared_buffers {buffers}; {disk} as SQLite"
        yield Postgresql(folder, cluster)
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def measure_engines(bench: Bench) -> list[Result]:
    """Single events on PostgreSQL against single events on SQLite."""
    folder = bench.make_folder("engines")
    core, load_core, seconds = bench.cores.server, bench.cores.load, bench.scale.seconds
    bench.tell("starting PostgreSQL")
    with running_postgresql(bench, folder) as postgresql:
        one, other = Sqlite(folder).make("on_sqlite"), postgresql.make("on_postgresql")
        with one.running(core) as on_one, other.running(core) as on_other:
            bench.tell("visitors come for the first time")
            visitors = greet_visitors(on_one, one, one.folder / "visitors")
            other_visitors = greet_visitors(on_other, other, other.folder / "visitors")
            run_wrk(on_one, one, visitors, load_core, 1)
            run_wrk(on_other, other, other_visitors, load_core, 1)
            pairs: list[tuple[Load, Load]] = []
            for number in range(1, bench.scale.pairs + 1):
                bench.tell(f"single events, pair {number} of {bench.scale.pairs}")
                of_one = run_checked(on_one, one, visitors, load_core, seconds)
                pairs.append((of_one, run_checked(on_other, other, other_visitors, load_core, seconds)))
    rates = [median(load.requests_per_s for load in loads) for loads in zip(*pairs, strict=True)]
    return [
        Result(
            "postgresql",
            [of_other.requests_per_s / of_one.requests_per_s for of_one, of_other in pairs],
            f"{rates[1]:,.0f} of {rates[0]:,.0f} requests/s, PostgreSQL on the collector's core",
        )
    ]
