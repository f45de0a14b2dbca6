"""What changes as a database grows, on both engines: CPU per event, time to start, merging and reading people.

One made-up past is written up to several sizes, with a copy at each. Collectors run on all of them at once, and each
is given load in turn.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import Bench, Size
from benchmarks.data import fetch_site_id, fill
from benchmarks.engines import Engine, Sqlite, running_postgresql
from benchmarks.ingest import median, run_checked
from benchmarks.load import VISITORS, greet_visitors, run_wrk
from benchmarks.people import measure_merge, measure_page
from benchmarks.population import START_MS, VISIT_EVENTS, Population, Visitor
from benchmarks.server import Installation, Server
from benchmarks.targets import Result
from collector.store.schema import id_text

SHARES = (20, 5, 2, 1)  # the sizes: the last one divided by these
COMPARED = 1  # the place of the size that the last one is compared with


def measure_growth(bench: Bench) -> list[Result]:
    """Everything that needs many events. Only in a full run."""
    if not bench.scale.events:
        return []
    folder = bench.make_folder("growth")
    results = _measure_engine(bench, Sqlite(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    with running_postgresql(bench, folder) as postgresql:
        results += _measure_engine(bench, postgresql)
    return results


def _measure_engine(bench: Bench, engine: Engine) -> list[Result]:
    sites, population = _fill(bench, engine)
    full = sites[-1]
    starts = _time_starts(bench, engine, full)
    with full.running(bench.cores.server) as ours:
        bench.tell(f"{engine.name}: reading and merging people")
        people = [
            *measure_merge(bench, engine.name, full, ours, population),
            *measure_page(bench, engine.name, full, ours, population),
        ]
    sizes = _measure_cpu(bench, engine, sites, _choose_visitors(population))
    bench.growth[engine.name] = sizes
    few, many = sizes[COMPARED], sizes[-1]
    values = (("engine", engine.name), ("some", f"{few.events:,}"), ("more", f"{many.events:,}"))
    note = f"{median(many.cpu_us):.0f} against {median(few.cpu_us):.0f} µs, single events"
    return [
        Result("cpu_growth", [more / some for some, more in zip(few.cpu_us, many.cpu_us, strict=True)], note, values),
        *people,
        Result("start_full", starts, values=(("rows", f"{many.events:,}"), ("engine", engine.name))),
    ]


def _fill(bench: Bench, engine: Engine) -> tuple[list[Installation], Population]:
    """An installation of each size, and everybody who is in the largest."""
    site = engine.make("growing")
    population = Population(fetch_site_id(site))
    sites = []
    for share in SHARES:
        events = bench.scale.events // share // VISIT_EVENTS * VISIT_EVENTS
        fill(site, population, events, lambda text: bench.tell(f"{engine.name}: {text}"))
        bench.tell(f"{engine.name}: copying {events:,} events")
        sites.append(site if share == SHARES[-1] else engine.copy(site, f"share_{share}"))
    return sites, population


def _choose_visitors(population: Population) -> list[Visitor]:
    """Anonymous visitors whom every size knows, as many as the load is made of or there are."""
    until = START_MS + (population.now - START_MS) // SHARES[0]
    known = [visitor for visitor in population.strangers() if visitor.born_at < until]
    step = max(len(known) // VISITORS, 1)
    return known[::step][:VISITORS]


def _time_starts(bench: Bench, engine: Engine, site: Installation) -> list[float]:
    starts = []
    for number in range(1, bench.scale.repetitions + 1):
        bench.tell(f"{engine.name}: start with many events, {number} of {bench.scale.repetitions}")
        with site.running(bench.cores.server) as ours:
            starts.append(ours.started_s)
    return starts


def _measure_cpu(bench: Bench, engine: Engine, sites: list[Installation], returning: list[Visitor]) -> list[Size]:
    """CPU per event at each size: in each round all sizes, one after the other."""
    ids = [(id_text(visitor.uid), id_text(visitor.device_id)) for visitor in returning]
    sizes = [Size(bench.scale.events // share, []) for share in SHARES]
    with ExitStack() as running:
        collectors = []
        for site in sites:
            bench.tell(f"{engine.name}: visitors return")
            ours = running.enter_context(site.running(bench.cores.server))
            visitors = greet_visitors(ours, site, site.folder / "visitors", returning=ids)
            run_wrk(ours, site, visitors, bench.cores.load, 1)
            collectors.append((ours, site, visitors))
        for number in range(1, bench.scale.pairs + 1):
            bench.tell(f"{engine.name}: CPU per event, round {number} of {bench.scale.pairs}")
            for size, place in zip(sizes, collectors, strict=True):
                size.cpu_us.append(_cpu_us(bench, engine, *place))
    return sizes


def _cpu_us(bench: Bench, engine: Engine, server: Server, site: Installation, visitors: Path) -> float:
    """Processor time per event, microseconds: the collector's and the database's."""
    before = server.cpu_s() + engine.cpu_s()
    load = run_checked(server, site, visitors, bench.cores.load, bench.scale.seconds)
    return (server.cpu_s() + engine.cpu_s() - before) / load.events * 1e6
