"""What every benchmark is given: where to work, how long to measure, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import Cores


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `events` is up to how many stored events growth is measured, 0 for not at all.

    `listed` is with how many events the lists of the History API are measured, on SQLite and on PostgreSQL.
    """

    pairs: int
    seconds: float
    repetitions: int
    page_loads: int
    connections: int
    events: int
    listed: tuple[int, int]
    browsers: tuple[str, ...] = ("chromium", "firefox")


FULL = Scale(
    pairs=5,
    seconds=5,
    repetitions=5,
    page_loads=15,
    connections=10_000,
    events=5_000_000,
    listed=(2_000_000, 10_000_000),
)
QUICK = Scale(
    pairs=3,
    seconds=2,
    repetitions=2,
    page_loads=4,
    connections=2_000,
    events=0,
    listed=(200_000, 200_000),
    browsers=("chromium",),
)


@dataclass(frozen=True, slots=True)
class Size:
    """Microseconds of processor time per event, one for each round, with so many events stored."""

    events: int
    cpu_us: list[float]


@dataclass(frozen=True, slots=True)
class ListCost:
    """Median milliseconds of the first page of a list with few events and with many, and the ratio of each pair."""

    name: str
    few_ms: float
    many_ms: float
    ratios: list[float]


@dataclass(slots=True)
class Bench:
    """One run. `tell` shows what is being done; `folder` is on a real disk, because fsync is part of what is measured.

    `facts` are remarks on the method that only the run itself knows, `growth` is what is plotted, by engine. `lists`
    are tables of their own, by their headings.
    """

    scale: Scale
    folder: Path
    cores: Cores
    tell: Callable[[str], None]
    facts: dict[str, str] = field(default_factory=dict)
    growth: dict[str, list[Size]] = field(default_factory=dict)
    lists: dict[str, list[ListCost]] = field(default_factory=dict)

    def make_folder(self, name: str) -> Path:
        """A folder of this run."""
        folder = self.folder / name
        folder.mkdir()
        return folder
