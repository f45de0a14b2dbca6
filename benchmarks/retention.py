"""How long a visitor's request waits at most while a large purge runs beside it, and without one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.data import fetch_site_id, fill
from benchmarks.engines import Engine, Sqlite, running_postgresql
from benchmarks.load import greet_visitors, run_open_loop
from benchmarks.population import Population
from benchmarks.server import COLLECTOR, ROOT, Installation, settings_of
from benchmarks.stored import fetch
from benchmarks.targets import Result

EVENTS = 200_000  # all of them old
RATE = 300  # requests per second beside it
DAYS = 30


def measure_retention(bench: Bench) -> list[Result]:
    """The longest wait on both engines, beside a server's own purge and beside the command's."""
    folder = bench.make_folder("retention")
    results = _measure_engine(bench, Sqlite(folder / "sqlite"))
    with running_postgresql(bench, folder) as postgresql:
        results += _measure_engine(bench, postgresql)
    return results


def _measure_engine(bench: Bench, engine: Engine) -> list[Result]:
    site = engine.make("keeping")
    fill(site, Population(fetch_site_id(site)), EVENTS, lambda text: bench.tell(f"{engine.name}: {text}"))
    copies = {who: engine.copy(site, f"keeping_{who}") for who in ("nobody", "server", "command")}
    for who in ("server", "command"):
        _command(copies[who], "site", "set", "bench", f"retention_days={DAYS}")
    waits = {who: _measure(bench, engine, copy, who) for who, copy in copies.items()}
    calm_p99, calm_max, _ = waits.pop("nobody")
    return [
        Result(
            "purge_wait",
            [longest],
            f"without a purge {calm_max:.0f} ms; p99 {p99:.1f} against {calm_p99:.1f} ms; "
            f"the purge took {took_s:.0f} s beside {RATE} requests/s",
            values=(("events", f"{EVENTS:,}"), ("who", who), ("engine", engine.name)),
        )
        for who, (p99, longest, took_s) in waits.items()
    ]


def _measure(bench: Bench, engine: Engine, site: Installation, who: str) -> tuple[float, float, float]:
    """p99 and the longest wait (ms), of slightly more than the purge lasts, and how long that was (s)."""
    bench.tell(f"{engine.name}: purge by {who}")
    module = "benchmarks.purging" if who == "server" else COLLECTOR
    with site.running(bench.cores.server, module=module) as ours:
        visitors = greet_visitors(ours, site, site.folder / "visitors", count=200)
        begun = time.perf_counter()
        purge = _start_command(site) if who == "command" else None
        p99_ms, longest_ms, took_s = 0.0, 0.0, 0.0
        while not took_s:
            load = run_open_loop(ours, site, visitors, bench.cores.load, RATE, bench.scale.seconds)
            p99_ms, longest_ms = max(p99_ms, load["p99_ms"]), max(longest_ms, load["max_ms"])
            if who == "nobody" or _is_done(site):
                took_s = time.perf_counter() - begun
        if purge is not None and purge.wait():
            raise RuntimeError("the purge failed")
    return p99_ms, longest_ms, took_s


def _is_done(site: Installation) -> bool:
    """Whether the oldest visit went, as visits go last; and with it everything of the population."""
    [[(old,)]] = fetch(site.url, "SELECT count(*) FROM visits WHERE arrived_at < 1780000000000")
    return not old


def _command(site: Installation, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", COLLECTOR, *arguments],
        cwd=ROOT,
        env=settings_of(site.url),
        check=True,
        capture_output=True,
    )


def _start_command(site: Installation) -> subprocess.Popen[bytes]:
    with Path(site.folder / "purge.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", COLLECTOR, "purge"], cwd=ROOT, env=settings_of(site.url), stdout=log, stderr=log
        )
