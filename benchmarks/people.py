"""How long it takes, over HTTP and with nothing else going on, to merge two people and to read what somebody did."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.bench import Bench
from benchmarks.engines import running_on
from benchmarks.events import make_body, make_event, make_headers, now_ms, uuid7
from benchmarks.ingest import median
from benchmarks.population import Population, Visitor, cid_of
from benchmarks.server import Installation, Server
from benchmarks.targets import Result
from collector.store.schema import id_text

MERGES_PER_REPETITION = 10
PAGES_PER_REPETITION = 40
PAGE = 50


class WrongAnswer(Exception):
    """The collector did not do or say what was asked for."""


@dataclass(frozen=True, slots=True)
class Client:
    """One connection that stays open; every call returns (milliseconds, the JSON that was answered)."""

    site: Installation
    connection: http.client.HTTPConnection

    def ask(self, method: str, path: str) -> tuple[float, Any]:
        """A request of the administration."""
        return self._call(method, path, None, {"Authorization": f"Bearer {self.site.secret_key}"})

    def say_who(self, visitor: Visitor, cid: str) -> float:
        """Let a visitor say that they are the customer `cid`."""
        ms = now_ms()
        event = make_event(self.site.origin, id_text(visitor.uid), uuid7(ms), uuid7(ms), visitor.seq + 1, ms)
        event |= {"category": "user", "action": "identify", "items": [], "dims": {"customers": {"customer_id": cid}}}
        event["extra"] = {"identify_id": cid, "identify_type": "exact"}
        body = make_body([event], id_text(visitor.device_id), ms)
        took_ms, answer = self._call("POST", self.site.path, body, make_headers(self.site.origin, ""))
        if answer.get("accepted") != 1:
            raise WrongAnswer(f"an identify was answered with {answer}")
        return took_ms

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[float, Any]:
        begun = time.perf_counter()
        self.connection.request(method, path, body, headers | {"Accept-Encoding": "identity"})
        answer = self.connection.getresponse()
        content = answer.read()
        took_ms = (time.perf_counter() - begun) * 1000
        if answer.status not in (200, 204):
            raise WrongAnswer(f"{method} {path.partition('?')[0]}: {answer.status} {content[:200]!r}")
        return took_ms, orjson.loads(content) if content else {}


def connect(server: Server) -> closing[Any]:
    """A connection to a collector."""
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60))


def measure_merge(
    bench: Bench, engine: str, site: Installation, server: Server, population: Population
) -> list[Result]:
    """A visitor with many events says that they are a known customer. Each merge is undone, so that it can be repeated.

    By turns a visitor with few events does the same, who is merged into another customer.
    """
    frequent, stranger = population.frequent, population.strangers()[0]
    into, other = population.customers()[1:3]
    samples: dict[int, list[float]] = {frequent.number: [], stranger.number: []}
    undone: list[float] = []
    with connect(server) as connection, running_on(bench.cores.load):
        client = Client(site, connection)
        for _ in range(bench.scale.repetitions * MERGES_PER_REPETITION + 1):
            for visitor, customer in ((frequent, into), (stranger, other)):
                samples[visitor.number].append(client.say_who(visitor, cid_of(customer.number)))
                undone.append(_undo(client, visitor, customer))
        client.say_who(frequent, cid_of(into.number))  # and so it stays, for the page that they have together
    few = median(samples[stranger.number][1:])
    note = (
        f"one identify over HTTP, commit included; of a profile with {stranger.events:,} events {few:.1f} ms; "
        f"undoing it {median(undone[2:]):.1f} ms"
    )
    values = (("engine", engine), ("events", f"{frequent.events:,}"))
    return [Result("merge", samples[frequent.number][1:], note, values)]


def _undo(client: Client, visitor: Visitor, customer: Visitor) -> float:
    """Make sure that the two have been merged, and part them again; milliseconds for the latter."""
    _, journal = client.ask("GET", "/api/v1/merges?limit=1")
    merge = journal["items"][0]
    merged = {merge["winner"], merge["loser"]}
    if merged != {id_text(visitor.profile_id), id_text(customer.profile_id)} or merge["reversed_at"] is not None:
        raise WrongAnswer(f"the two were not merged; the newest merge is {merge}")
    took_ms, _ = client.ask("POST", f"/api/v1/merges/{merge['merge_id']}/reverse")
    client.ask("DELETE", f"/api/v1/apart/{merge['merge_id']}")
    return took_ms


def measure_page(bench: Bench, engine: str, site: Installation, server: Server, population: Population) -> list[Result]:
    """The newest events of the person with 100 leaves; beside it their profile, and the page of the frequent one."""
    leaves = population.leaves()
    events = sum(leaf.events for leaf in leaves)
    count = bench.scale.repetitions * PAGES_PER_REPETITION + 1
    with connect(server) as connection, running_on(bench.cores.load):
        client = Client(site, connection)
        person = f"/api/v1/profiles/{id_text(leaves[-1].profile_id)}"
        pages = [client.ask("GET", f"{person}/events?limit={PAGE}") for _ in range(count)]
        profiles = [client.ask("GET", person) for _ in range(count)]
        busy = f"/api/v1/profiles/{id_text(population.frequent.profile_id)}/events?limit={PAGE}"
        others = [client.ask("GET", busy) for _ in range(bench.scale.repetitions + 1)]
    _check_page(pages[-1][1], population)
    merged = profiles[-1][1]["merged_profile_ids"]
    if len(merged) != len(leaves) - 1:
        raise WrongAnswer(f"{len(merged)} profiles merged into one, {len(leaves) - 1} expected")
    note = (
        f"{events:,} events of this person; over HTTP, its key looked up; who they are: "
        f"{median(ms for ms, _ in profiles[1:]):.1f} ms; page of two leaves with {population.frequent.events:,} "
        f"events: {median(ms for ms, _ in others[1:]):.1f} ms"
    )
    values = (("engine", engine), ("events", f"{population.written['events']:,}"))
    return [Result("page", [ms for ms, _ in pages[1:]], note, values)]


def _check_page(page: Any, population: Population) -> None:
    """The newest events, all of the person. Raises `WrongAnswer`."""
    items = page["items"]
    leaves = {id_text(leaf.profile_id) for leaf in population.leaves()}
    times = [item["occurred_at"] for item in items]
    if len(items) != PAGE or times != sorted(times, reverse=True) or not page["next"]:
        raise WrongAnswer(f"{len(items)} events, {PAGE} expected, newest first")
    if not all(item["profile_id"] in leaves for item in items):
        raise WrongAnswer("events of somebody else")
