"""The plot of `RESULTS.md`: processor time per event against stored events."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.bench import Size

STYLES = {"SQLite": ("#2a6f97", "o"), "PostgreSQL": ("#c1554d", "s")}
# Texts stay texts, and the same figures make the same file.
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "regulars", "font.family": "sans-serif", "font.size": 10}


def plot_growth(file: Path, growth: Mapping[str, Sequence[Size]]) -> None:
    """Write an SVG: for each engine the median, and the spread from the lowest to the highest as a band."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for engine, sizes in growth.items():
            colour, marker = STYLES[engine]
            events = [size.events / 1e6 for size in sizes]
            axes.plot(
                events, [statistics.median(size.cpu_us) for size in sizes], color=colour, marker=marker, label=engine
            )
            lowest, highest = ([of(size.cpu_us) for size in sizes] for of in (min, max))
            axes.fill_between(events, lowest, highest, color=colour, alpha=0.15, linewidth=0)
        axes.set(
            xlabel="events stored, millions", ylabel="processor time per event, µs", title="One event, one request"
        )
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.patch.set_facecolor("white")
        figure.savefig(file, format="svg", metadata={"Date": None})
