"""What every benchmark is given: where to work, how long to measure, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import Cores


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `some` and `more` are the numbers of stored events to compare, 0 for none."""

    pairs: int
    seconds: float
    repetitions: int
    page_loads: int
    connections: int
    some_events: int
    more_events: int
    browsers: tuple[str, ...] = ("chromium", "firefox")


FULL = Scale(
    pairs=5, seconds=5, repetitions=5, page_loads=15, connections=10_000, some_events=1_000_000, more_events=5_000_000
)
QUICK = Scale(
    pairs=3,
    seconds=2,
    repetitions=2,
    page_loads=4,
    connections=2_000,
    some_events=0,
    more_events=0,
    browsers=("chromium",),
)


@dataclass(slots=True)
class Bench:
    """One run. `tell` shows what is being done; `folder` is on a real disk, because fsync is part of what is measured.

    `facts` are remarks on the method that only the run itself knows.
    """

    scale: Scale
    folder: Path
    cores: Cores
    tell: Callable[[str], None]
    facts: dict[str, str] = field(default_factory=dict)

    def make_folder(self, name: str) -> Path:
        """A folder of this run."""
        folder = self.folder / name
        folder.mkdir()
        return folder
