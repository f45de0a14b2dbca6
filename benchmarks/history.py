"""What the first page of each list of the History API costs with many events stored, against few.

One made-up past is written to two databases, to two sizes. A collector runs on each, and the two are asked by turns.
Who and what is asked for is of the same size in both.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benchmarks.bench import Bench, ListCost
from benchmarks.data import fetch_site_id, fill
from benchmarks.engines import Engine, Sqlite, running_on, running_postgresql
from benchmarks.events import now_ms
from benchmarks.people import Client, WrongAnswer, connect
from benchmarks.population import LEAVES, VISIT_EVENTS, Population, Visitor, cid_of
from benchmarks.server import Installation
from benchmarks.stored import fetch
from benchmarks.targets import Result
from collector.store.schema import id_text

FEW = 10_000
PREFIX = "/backend/data"
WINDOW_MS = 350_000  # of a list by age: most of it where few are stored, and more than a page of everything
ENTITIES = 8
WARM_UP = 6  # requests; PostgreSQL thinks about a statement five times before it keeps a plan
REQUESTS = 40  # that count, of each list and each side; the worst of many lists is easily one that was disturbed
LISTS = (
    "/visits",
    "/visits?state=Authenticated",
    "/visits?state=Recognized",
    "/visits?globalVisitID={device}",
    "/visits?age={age}",
    "/visits?state=WM-Recognized&age={age}",
    "/visits/{visit}/pages",
    "/visits/{visit}/events",
    "/visits/{visit}/sessions",
    "/visits/{visit}/identities",
    "/identities",
    "/identities?globalVisitID={device}",
    "/identities?age={age}",
    "/identities/{identity}/visits",
    "/identities/{identity}/events",
    "/identities/{identity}/sessions",
    "/sessions/{session}/events",
    "/sessions/{session}/pages",
    "/contacts",
    "/contacts?identityId={identity}",
    "/contacts?sessionId={session}",
    "/contacts?visitId={visit}",
    "/contacts?globalVisitID={device}",
    "/contacts?age={age}",
    "/useridentifications",
    "/useridentifications?identified=true",
    "/useridentifications?identityId={identity}",
    "/useridentifications?sessionId={session}",
    "/useridentifications?visitId={visit}",
    "/useridentifications?globalVisitID={device}",
    "/useridentifications?age={age}",
    "/useridentifications?identified=true&age={age}",
)


class Entity(NamedTuple):
    """A customer, and the device, visit and session in which they said who they are."""

    identity: str
    device: str
    visit: str
    session: str


class Shape(NamedTuple):
    """How many events a customer has on the device on which they said it first, and on their other one."""

    first: int
    other: int


@dataclass(frozen=True, slots=True)
class Side:
    """A collector on a past of some size, a connection to it, and who is asked for."""

    client: Client
    population: Population
    entities: Sequence[Entity]

    def ask(self, text: str, number: int) -> tuple[float, int]:
        """Milliseconds that the first page of a list took, and how many items there are on it."""
        age = (now_ms() - self.population.now + WINDOW_MS) // 1000
        entity = self.entities[number % len(self.entities)]
        took_ms, items = self.client.ask("GET", PREFIX + text.format(age=age, **entity._asdict()))
        return took_ms, len(items)


def measure_history(bench: Bench) -> list[Result]:
    """All lists on both engines; a row for the worst one of each."""
    folder = bench.make_folder("history")
    results = [_measure_engine(bench, Sqlite(folder), bench.scale.listed[0])]
    shutil.rmtree(folder)
    folder.mkdir()
    with running_postgresql(bench, folder) as postgresql:
        results.append(_measure_engine(bench, postgresql, bench.scale.listed[1]))
    return results


def _measure_engine(bench: Bench, engine: Engine, many: int) -> Result:
    pasts = [_fill(bench, engine, name, events) for name, events in (("few", FEW), ("many", many))]
    shape, count = _choose_shape([population for _, population in pasts])
    with ExitStack() as running:
        sides = []
        for site, population in pasts:
            client = running.enter_context(connect(running.enter_context(site.running(bench.cores.server))))
            sides.append(Side(Client(site, client), population, _choose(site, population, shape, count)))
        with running_on(bench.cores.load):
            costs = [_measure_list(bench, engine, text, sides) for text in LISTS]
    bench.lists[f"{engine.name}, {FEW:,} and {many:,} events"] = costs
    worst = max(costs, key=lambda cost: median(cost.ratios))
    note = (
        f"GET {worst.name}: {worst.many_ms:.1f} ms against {worst.few_ms:.1f} ms; the worst of {len(costs)} lists, "
        f"which are below; over HTTP, the key looked up; visits of {VISIT_EVENTS} events, an identity with "
        f"{sum(shape) // VISIT_EVENTS} visits and 2 sessions"
    )
    return Result("history", worst.ratios, note, (("engine", engine.name), ("events", f"{many:,}")))


def _fill(bench: Bench, engine: Engine, name: str, events: int) -> tuple[Installation, Population]:
    site = engine.make(f"history_{name}")
    population = Population(fetch_site_id(site))
    fill(site, population, events, lambda text: bench.tell(f"{engine.name}: {text}"), in_bulk=True)
    return site, population


def _measure_list(bench: Bench, engine: Engine, text: str, sides: Sequence[Side]) -> ListCost:
    """Both sides by turns, the one that goes first too."""
    bench.tell(f"{engine.name}: {text}")
    few, many = sides
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + REQUESTS):
        found = [(side, *side.ask(text, number)) for side in (sides if number % 2 else reversed(sides))]
        took = {id(side): took_ms for side, took_ms, _ in found}
        items = {count for _, _, count in found}
        if len(items) > 1 or (items == {0} and "Recognized" not in text):
            raise WrongAnswer(f"{text}: {sorted(items)} items")
        if number >= WARM_UP:
            samples[0].append(took[id(few)])
            samples[1].append(took[id(many)])
    ratios = [more / less for less, more in zip(*samples, strict=True)]
    return ListCost(text, median(samples[0]), median(samples[1]), ratios)


def _choose_shape(populations: Sequence[Population]) -> tuple[Shape, int]:
    """The most common shape of a customer with two devices where few are stored, and how many have it everywhere."""
    counted = [Counter(_shape(*pair) for pair in _pairs(population)) for population in populations]
    shape = max(counted[0], key=lambda each: min(count[each] for count in counted))
    count = min(ENTITIES, *(count[shape] for count in counted))
    if not count:
        raise WrongAnswer("no customer in one past is like one in the other")
    return shape, count


def _pairs(population: Population) -> list[tuple[Visitor, Visitor]]:
    """The customers who have two devices: the one on which they were first, and the other."""
    visitors = population.visitors
    return [
        (visitors[visitor.customer], visitor)
        for visitor in visitors[LEAVES:]
        if visitor.customer is not None and visitor.customer != visitor.number
    ]


def _shape(first: Visitor, other: Visitor) -> Shape:
    return Shape(first.events, other.events)


def _choose(site: Installation, population: Population, shape: Shape, count: int) -> list[Entity]:
    """Some customers of this shape, from all over the past."""
    alike = [first for first, other in _pairs(population) if _shape(first, other) == shape]
    chosen = alike[:: max(len(alike) // count, 1)][:count]
    query = "SELECT visit_id, session_id FROM contacts WHERE site_id = :site AND profile_id = :leaf"
    entities = []
    for visitor in chosen:
        [[(visit_id, session_id)]] = fetch(site.url, query, site=population.site_id, leaf=visitor.profile_id)
        ids = (id_text(visitor.device_id), id_text(visit_id), id_text(session_id))
        entities.append(Entity(cid_of(visitor.number), *ids))
    return entities
