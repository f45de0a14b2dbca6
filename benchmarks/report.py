"""The results as a table in the terminal and as `RESULTS.md`, which holds nothing but what this run has measured."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.bench import Bench
from benchmarks.targets import TARGETS, Result
from tests.browsers import CHROMIUM, FIREFOX

PACKAGES = ("aiohttp", "uvloop", "orjson", "sqlalchemy", "aiosqlite", "asyncpg", "msgspec", "playwright")
COLOURS = {"aim": "green", "floor": "yellow", "missed": "red"}

METHOD = """\
Machines are noisy, so a speed counts only as a **ratio inside one run**: base, ours, base, ours, … alternating,
{pairs} pairs of {seconds:g} s each, one ratio for each pair, then the median with the lowest and the highest of them.
The server runs on one core ({server}), the load generator on {load}; loopback only. wrk keeps 64 connections busy with
requests as a browser sends them: its headers, a valid Origin, for returning visitors both cookies. Of single events
one in ten comes from a new visitor, of batches of 50 one in two; one event in 200 says who the visitor is. Every
collector is `python -m collector serve` on SQLite with `synchronous=FULL`, every check switched on and rate limits out
of reach. After each run the rows in the database are counted: all that was acknowledged is there, once, with a profile.

PostgreSQL is a cluster of the run's own with its own defaults, fsync included. **All of its processes run on the
collector's core**: one core does all the work on either engine, and CPU per event on PostgreSQL is the collector's and
that of every process of the cluster, those that have ended and the autovacuum included. For growth one made-up past
(`python -m benchmarks.data`) is written to several sizes, a collector runs on each, and each gets its load in turn; the
ratio is of the runs of one round. Merges and pages are single requests to a collector that does nothing else, timed by
the client from the first byte sent to the last one read. So are the first pages of the lists of the History API, of
two collectors by turns: one made-up past is written to two sizes, and what is asked for (a customer, a device, a visit,
a session) is of the same size in both; each pair of requests is a ratio, each list has the median of its pairs.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What is said above the table."""

    date: str
    command: str
    is_quick: bool
    minutes: float


def make_table(results: Sequence[Result]) -> Table:
    """For the terminal."""
    table = Table("what", "floor", "aim", "median", "spread", "met", "note")
    for result in results:
        verdict = result.target.verdict(result.median)
        cells = _cells(result)
        cells[5] = f"[{COLOURS[verdict]}]{cells[5]}[/]"
        table.add_row(*cells, result.note)
    return table


def write_results(
    file: Path, run: Run, bench: Bench, results: Sequence[Result], failures: Sequence[str], plot: Path
) -> None:
    """Rewrite `RESULTS.md`; `plot` is shown if growth was measured."""
    lines = [
        "# What was measured",
        "",
        f"Written by `{run.command}` on {run.date}.",
        "`make bench` repeats all of it; `make bench-quick` takes two minutes.",
        *(["", "**This was a quick run**: fewer and shorter measurements, without those that take long."]
          if run.is_quick else []),
        "",
        "## Results",
        "",
        "| what | floor | aim | median | spread | met | note |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join([*_cells(result), result.note])} |" for result in results),
        "",
        *_not_measured(results, failures),
        *([f"![Processor time per event against stored events, for both engines]({plot.name})", ""] if bench.growth
          else []),
        *tables_of_lists(bench),
        "## Method",
        "",
        METHOD.format(
            pairs=bench.scale.pairs,
            seconds=bench.scale.seconds,
            server=f"number {bench.cores.server}",
            load="the same one: there is no other" if bench.cores.load == bench.cores.server else
            f"number {bench.cores.load}",
        ),
        "## Run",
        "",
        *(f"- {name}: {value}" for name, value in (_circumstances(run) | bench.facts).items()),
        "",
    ]  # fmt: skip
    file.write_text("\n".join(lines))


def tables_of_lists(bench: Bench) -> list[str]:
    """Lines about each list of the History API, for each engine."""
    lines = []
    for heading, costs in bench.lists.items():
        rows = [
            f"| `{cost.name}` | {cost.few_ms:.1f} ms | {cost.many_ms:.1f} ms | {median(cost.ratios):.2f}× "
            f"| {min(cost.ratios):.2f}× to {max(cost.ratios):.2f}× |"
            for cost in costs
        ]
        lines += [f"## Lists of the History API on {heading}", ""]
        lines += ["| first page of | few | many | ratio | spread |", "|---|---|---|---|---|", *rows, ""]
    return lines


def _cells(result: Result) -> list[str]:
    target = result.target
    met = {"aim": "aim", "floor": "floor", "missed": "**no**"}[target.verdict(result.median)]
    shown = target.show(result.median)
    return [
        result.what,
        target.show_wanted(target.floor),
        target.show_wanted(target.aim),
        shown,
        result.spread,
        met,
    ]


def _not_measured(results: Sequence[Result], failures: Sequence[str]) -> list[str]:
    """The rows that this run has no figure for, and why."""
    missing = [
        re.sub(r"[{}]", "", re.sub(r"\{(rows|events)\}", "many", TARGETS[name].what).replace(", {engine}", ""))
        for name in TARGETS
        if name not in {r.name for r in results}
    ]
    lines = [f"Not measured in this run: {'; '.join(missing)}.", ""] if missing else []
    return lines + [line for failure in failures for line in (f"Failed: {failure}", "")]


def _circumstances(run: Run) -> dict[str, str]:
    browsers = [_first_line([path, "--version"]) for path in (CHROMIUM, FIREFOX)]
    return {
        "cores": f"{os.cpu_count()}, {platform.machine()}",
        "system": f"Linux {platform.release().partition('-')[0]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load generator": _first_line(["wrk", "-v"]).partition(" Copyright")[0],
        "browsers": ", ".join(line for line in browsers if line) or "none",
        "commit": _first_line(["git", "describe", "--always", "--dirty"]) or "unknown",
        "duration": f"{run.minutes:.1f} minutes",
    }


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0].strip()
