"""How fast events are stored: ours against a bare server, against the limit, and against not waiting for the disk."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.load import CONNECTIONS, Load, greet_visitors, run_limit, run_open_loop, run_wrk
from benchmarks.server import Installation, Server, install, running_base, sqlite_file
from benchmarks.stored import check_rows, last_row, settled_row
from benchmarks.targets import Result

BATCH = 50
MIB = 1024 * 1024


def measure_single(bench: Bench) -> list[Result]:
    """Single events: throughput and p99 against the bare server."""
    folder = bench.make_folder("single")
    site = install(folder)
    with site.running(bench.cores.server) as ours, running_base(folder, bench.cores.server) as base:
        bench.tell("visitors come for the first time")
        visitors = greet_visitors(ours, site, folder / "visitors")
        run_wrk(base, site, visitors, bench.cores.load, 1)
        run_wrk(ours, site, visitors, bench.cores.load, 1)
        pairs: list[tuple[Load, Load]] = []
        for number in range(1, bench.scale.pairs + 1):
            bench.tell(f"single events, pair {number} of {bench.scale.pairs}")
            bare = run_wrk(base, site, visitors, bench.cores.load, bench.scale.seconds)
            durable = run_checked(ours, site, visitors, bench.cores.load, bench.scale.seconds)
            pairs.append((bare, durable))
    bench.facts["event size"] = f"{pairs[0][1].event_bytes:.0f} bytes of JSON on average, without the request around it"
    return [
        Result(
            "single",
            [durable.requests_per_s / bare.requests_per_s for bare, durable in pairs],
            f"{median(d.requests_per_s for _, d in pairs):,.0f} of {median(b.requests_per_s for b, _ in pairs):,.0f} "
            "requests/s",
        ),
        Result(
            "p99",
            [durable.p99_ms / bare.p99_ms for bare, durable in pairs],
            f"{median(d.p99_ms for _, d in pairs):.1f} against {median(b.p99_ms for b, _ in pairs):.1f} ms",
        ),
    ]


def measure_open_loop(bench: Bench) -> list[Result]:
    """p99 at half of what the collector does in a closed loop, which is measured anew before each open loop."""
    folder = bench.make_folder("open_loop")
    site = install(folder)
    rates, runs = [], []
    with site.running(bench.cores.server) as ours:
        visitors = greet_visitors(ours, site, folder / "visitors")
        for number in range(1, bench.scale.repetitions + 1):
            bench.tell(f"half load, {number} of {bench.scale.repetitions}")
            load = run_checked(ours, site, visitors, bench.cores.load, bench.scale.seconds)
            rates.append(load.requests_per_s / 2)
            before = settled_row(site.url)
            runs.append(run_open_loop(ours, site, visitors, bench.cores.load, rates[-1], bench.scale.seconds))
            check_rows(site.url, before, int(runs[-1]["requests"]), 0)
    worst = max(run["max_ms"] for run in runs)
    note = f"{median(rates):,.0f} requests/s, from the moment at which each was due; worst {worst:.0f} ms"
    return [Result("p99_open", [run["p99_ms"] for run in runs], note)]


def measure_batch(bench: Bench) -> list[Result]:
    """Batches of 50 against the limit of one core; what an event takes on disk afterwards."""
    folder = bench.make_folder("batch")
    site = install(folder)
    with site.running(bench.cores.server) as ours:
        visitors = greet_visitors(ours, site, folder / "visitors")
        run_wrk(ours, site, visitors, bench.cores.load, 1, BATCH)
        pairs: list[tuple[float, Load]] = []
        for number in range(1, bench.scale.pairs + 1):
            bench.tell(f"batches of {BATCH}, pair {number} of {bench.scale.pairs}")
            limit = run_limit(folder / "limit.db", bench.cores.server, bench.scale.seconds)
            pairs.append((limit, run_checked(ours, site, visitors, bench.cores.load, bench.scale.seconds, BATCH)))
    # The collector has ended, so that all of the log has moved into the file.
    stored = last_row(site.url)
    size = sqlite_file(site.folder).stat().st_size
    return [
        Result(
            "batch",
            [durable.events_per_s / limit for limit, durable in pairs],
            f"{median(d.events_per_s for _, d in pairs):,.0f} of {median(limit for limit, _ in pairs):,.0f} events/s",
        ),
        Result(
            "bytes",
            [size / stored],
            f"the whole file, visitors and profiles too: {size / MIB:,.0f} MiB for {stored:,} events",
        ),
    ]


def measure_full(bench: Bench) -> list[Result]:
    """What waiting for the disk costs: the collector against one that answers before it commits."""
    folder, hasty_folder = bench.make_folder("full"), bench.make_folder("early")
    site, hasty_site = install(folder), install(hasty_folder)
    core, load_core, seconds = bench.cores.server, bench.cores.load, bench.scale.seconds
    with site.running(core) as ours, hasty_site.running(core, module="benchmarks.early") as hasty:
        visitors = greet_visitors(ours, site, folder / "visitors")
        hasty_visitors = greet_visitors(hasty, hasty_site, hasty_folder / "visitors")
        run_wrk(hasty, hasty_site, hasty_visitors, load_core, 1)
        run_wrk(ours, site, visitors, load_core, 1)
        pairs = []
        for number in range(1, bench.scale.pairs + 1):
            bench.tell(f"with and without waiting for the disk, pair {number} of {bench.scale.pairs}")
            early = run_checked(hasty, hasty_site, hasty_visitors, load_core, seconds)
            pairs.append((early, run_checked(ours, site, visitors, load_core, seconds)))
    return [
        Result(
            "full",
            [durable.requests_per_s / early.requests_per_s for early, durable in pairs],
            f"{median(d.requests_per_s for _, d in pairs):,.0f} of {median(e.requests_per_s for e, _ in pairs):,.0f} "
            "requests/s",
        )
    ]


def run_checked(
    server: Server, site: Installation, visitors: Path, core: int, seconds: float, events_per_request: int = 1
) -> Load:
    """Load on a collector, and proof that what it acknowledged is stored, once."""
    before = settled_row(site.url)
    load = run_wrk(server, site, visitors, core, seconds, events_per_request)
    settled_row(site.url, before + load.events)
    check_rows(site.url, before, load.events, CONNECTIONS * events_per_request)
    return load


def median(values: Iterable[float]) -> float:
    """The one in the middle."""
    return statistics.median(values)
