"""`python -m benchmarks`: measure, show the table, rewrite `benchmarks/RESULTS.md`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.bench import FULL, QUICK, Bench
from benchmarks.capacity import measure_memory, measure_start
from benchmarks.engines import measure_engines
from benchmarks.growth import measure_growth
from benchmarks.history import measure_history
from benchmarks.ingest import measure_batch, measure_full, measure_open_loop, measure_single
from benchmarks.losses import measure_losses, measure_spa
from benchmarks.plot import plot_growth
from benchmarks.report import Run, make_table, tables_of_lists, write_results
from benchmarks.retention import measure_retention
from benchmarks.sdk import measure_cpu, measure_size, measure_upload
from benchmarks.server import ROOT, choose_cores
from benchmarks.targets import Result

RESULTS, GROWTH = (Path(__file__).with_name(name) for name in ("RESULTS.md", "growth.svg"))
TOOLS = {"wrk": "wrk", "taskset": "util-linux"}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement and about how long it takes, so that the progress bar can tell."""

    measure: Callable[[Bench], list[Result]]
    full_s: float
    quick_s: float


BENCHMARKS = {
    "single": Benchmark(measure_single, 95, 28),
    "open-loop": Benchmark(measure_open_loop, 60, 12),
    "batch": Benchmark(measure_batch, 75, 24),
    "full": Benchmark(measure_full, 65, 21),
    "memory": Benchmark(measure_memory, 110, 14),
    "start": Benchmark(measure_start, 10, 6),
    "engines": Benchmark(measure_engines, 75, 22),
    "growth": Benchmark(measure_growth, 650, 0),
    "retention": Benchmark(measure_retention, 300, 250),
    "history": Benchmark(measure_history, 380, 75),
    "sdk-size": Benchmark(measure_size, 0.1, 0.1),
    "sdk-cpu": Benchmark(measure_cpu, 100, 22),
    "sdk-upload": Benchmark(measure_upload, 6, 6),
    "losses": Benchmark(measure_losses, 45, 40),
    "spa": Benchmark(measure_spa, 15, 15),
}
TAKE_THEIR_TIME = {"full", "growth", "retention", "history", "losses", "spa"}  # not in a quick run, unless asked for


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 1 if something could not be measured. A missed floor is a result, not a failure."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    missing = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        console.print(f"Please install: {', '.join(missing)}")
        return 1
    chosen = options.only or [name for name in BENCHMARKS if not options.quick or name not in TAKE_THEIR_TIME]
    started, begun = datetime.now(UTC), time.monotonic()
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "var", prefix="bench-", ignore_cleanup_errors=True) as folder:
        scale = QUICK if options.quick else FULL
        if options.events is not None:
            scale = replace(scale, events=options.events, listed=(options.events, options.events))
        bench = Bench(scale, Path(folder), choose_cores(), print)
        results, failures = _measure(bench, chosen, console, is_quick=options.quick)
    console.print(make_table(results))
    for failure in failures:
        console.print(f"[red]Failed:[/] {escape(failure)}")
    if not options.only:
        command = " ".join(["python -m benchmarks", *arguments])
        run = Run(f"{started:%Y-%m-%d %H:%M} UTC", command, options.quick, (time.monotonic() - begun) / 60)
        GROWTH.unlink(missing_ok=True)  # like the table it shows nothing that this run has not measured
        if bench.growth:
            plot_growth(GROWTH, bench.growth)
        write_results(RESULTS, run, bench, results, failures, GROWTH)
        console.print(f"Written to {RESULTS.relative_to(ROOT)}")
    else:
        console.print("\n".join(tables_of_lists(bench)), markup=False, highlight=False)
    return 1 if failures else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer and shorter measurements")
    parser.add_argument(
        "--only",
        action="append",
        choices=list(BENCHMARKS),
        metavar="NAME",
        help=f"measure this alone and leave the file as it is; may be repeated: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument(
        "--events",
        type=int,
        metavar="NUMBER",
        help="up to how many stored events growth is measured (5,000,000), and with how many the lists of History",
    )
    return parser.parse_args(arguments)


def _measure(
    bench: Bench, chosen: Sequence[str], console: Console, *, is_quick: bool
) -> tuple[list[Result], list[str]]:
    """All results, and what could not be measured and why."""
    results: list[Result] = []
    failures: list[str] = []
    weights = {name: BENCHMARKS[name].quick_s if is_quick else BENCHMARKS[name].full_s for name in chosen}
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=sum(weights.values()))
        for name in chosen:
            bench.tell = lambda text, name=name: progress.update(task, description=f"{name}: {text}")  # type: ignore[misc]
            bench.tell("starting")
            try:
                results += BENCHMARKS[name].measure(bench)
            except Exception as error:  # noqa: BLE001 - the others are measured all the same
                failures.append(f"{name}: {type(error).__name__}: {str(error).strip()[-600:]}")
            progress.advance(task, weights[name])
    return results, failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
