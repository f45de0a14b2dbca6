"""What is to be reached: one row for each figure, with its floor and its aim."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table. `unit` follows the figure; `at_least` is whether more is better."""

    what: str
    floor: float
    aim: float
    unit: str = ""
    at_least: bool = False
    digits: int = 2

    def reaches(self, value: float, wanted: float) -> bool:
        """Whether `value` is as good as `wanted`."""
        return value >= wanted if self.at_least else value <= wanted

    def verdict(self, value: float) -> str:
        """ "aim", "floor" or "missed"."""
        if self.reaches(value, self.aim):
            return "aim"
        return "floor" if self.reaches(value, self.floor) else "missed"

    def show(self, value: float) -> str:
        """A figure with its unit."""
        return f"{value:,.{self.digits}f}{self.unit}"

    def show_wanted(self, value: float) -> str:
        """A floor or an aim."""
        return f"{'≥' if self.at_least else '≤'} {value:,g}{self.unit}"


TARGETS = {
    "single": Target("durable single event / bare aiohttp", 0.50, 0.65, at_least=True),
    "batch": Target("batch of 50, events/s / (orjson + executemany + fsync)", 0.60, 0.90, at_least=True),
    "full": Target("synchronous=FULL / acknowledged before the commit", 0.85, 0.95, at_least=True),
    "p99": Target("p99 at 64 closed-loop connections / bare aiohttp's", 3, 2, "×"),
    "p99_open": Target("p99, open loop at half load, checkpoints running", 50, 15, " ms", digits=1),
    "postgresql": Target("PostgreSQL single / SQLite single", 0.65, 0.85, at_least=True),
    "cpu_growth": Target("CPU per event with {more} / with {some} events stored, {engine}", 1.5, 1.1, "×"),
    "merge": Target("merge of a profile with {events} events, {engine}", 10, 2, " ms", digits=1),
    "page": Target("profile page (50 newest, 100 leaves, {events} events stored), {engine}", 10, 3, " ms", digits=1),
    "purge_wait": Target(
        "longest wait beside a purge of {events} events by the {who}, {engine}", 100, 60, " ms", digits=0
    ),
    "history": Target("first page of a History list, {events} events / 10,000, {engine}", 2, 1.2, "×"),
    "bytes": Target("stored bytes per event of 560 bytes, indexes included", 800, 450, " B", digits=0),
    "memory_idle": Target("resident memory, idle", 80, 60, " MB", digits=0),
    "memory_load": Target("resident memory, under load with {connections} open connections", 250, 180, " MB", digits=0),
    "start_empty": Target("start to ready, empty database", 1.5, 0.7, " s"),
    "start_full": Target("start to ready, {rows} events stored, {engine}", 2, 1, " s"),
    "sdk_size": Target("SDK, gzip −9, everything in one file", 4608, 4096, " B", digits=0),
    "sdk_cpu": Target("SDK main-thread CPU over an empty page", 10, 6, " ms", digits=1),
    "sdk_upload": Target(
        "uploaded for 1 page view + 10 tracks + 1 identify, headers included", 5000, 4000, " B", digits=0
    ),
    "leave": Target("ten events, then leave (400 ms round trip), {browser}: stored", 10, 10, at_least=True, digits=0),
    "outage": Target("ten events in an outage of 10 s, {browser}: stored", 10, 10, at_least=True, digits=0),
    "restart": Target(
        "ten events, browser restarted in the outage, {browser}: stored", 10, 10, at_least=True, digits=0
    ),
    "twice": Target("events stored twice in these three, {browser}", 0, 0, digits=0),
    "spa": Target("page views right in the five SPA steps, {browser}", 5, 5, at_least=True, digits=0),
}


@dataclass(frozen=True, slots=True)
class Result:
    """A measured row: one sample for each pair or repetition. `values` fill the braces in the target's text."""

    name: str
    samples: Sequence[float]
    note: str = ""
    values: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> Target:
        """What it is measured against."""
        return TARGETS[self.name]

    @property
    def what(self) -> str:
        """The row's text."""
        return self.target.what.format(**dict(self.values))

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> str:
        """Lowest to highest sample, "–" where there is one."""
        if len(self.samples) == 1:
            return "–"
        return f"{self.target.show(min(self.samples))} to {self.target.show(max(self.samples))}"
