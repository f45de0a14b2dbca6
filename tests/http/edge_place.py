"""The HTTP edge on a real socket, before a recorder that remembers what it is given and fails when told to."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy
from prometheus_client.parser import text_string_to_metric_families

from collector import metrics
from collector.domain.event import Arrival, Outcome, Receipt
from collector.domain.site import Site, SiteSettings
from collector.recorder import Answer
from collector.store.consents import Consent
from collector.store.quarantine import Refused
from collector.web.body import Patience
from collector.web.connections import Listener
from collector.web.cookies import CookieJar
from collector.web.edge import EDGE, Edge
from collector.web.lane import Lane
from collector.web.limits import Limits
from collector.web.proxies import Proxies
from collector.web.routes import connection_settings, make_web_app
from collector.web.sdk_file import Sdk
from collector.web.sites import SiteDirectory
from collector.web.tokens import Tokens
from tests.unit.wire_samples import uuid7

ORIGIN = "https://shop.example"
SITE = Site(3, "shop", "key-of_the-shop", (ORIGIN, "https://www.shop.example"), SiteSettings())
OTHER = Site(4, "other", "key-of_another", ("https://other.example",), SiteSettings())
SOURCE = b"/* the SDK */" + b"track();" * 500
SECRET = "a secret of at least 32 characters"
PLAIN = {"Content-Type": "text/plain;charset=UTF-8"}

_numbers = itertools.count(1)


def fresh_id() -> str:
    return uuid7(next(_numbers), 1_700_000_000_000)


@dataclass
class RememberingRecorder:
    """Accepts everything that is an event. `fails` is raised instead, `contact_id` and `outcomes` are answered.

    Nothing is stored before `may_store`. `enqueued` counts what came the short way.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    raw: list[tuple[int, str, bytes]] = field(default_factory=list)
    consents: list[tuple[int, Consent]] = field(default_factory=list)
    fails: Exception | None = None
    contact_id: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    ready: bool = True
    probes: int = 0
    enqueued: int = 0
    telling: list[asyncio.Future[None]] = field(default_factory=list)
    may_store: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_store.set()

    async def record(self, arrival: Arrival) -> Receipt:
        await self._may_fail()
        self.arrivals.append(arrival)
        quarantined = tuple(
            Outcome(bad.index, bad.event_id, "quarantined", bad.code, bad.field) for bad in arrival.rejections
        )
        receipt = Receipt(
            accepted=len(arrival.events),
            duplicate=0,
            quarantined=len(quarantined),
            suppressed=0,
            contact_id=None if arrival.device_id is None else self.contact_id,
            device_id=arrival.device_id,
            outcomes=quarantined + self.outcomes,
        )
        metrics.count_receipts([receipt])
        return receipt

    def enqueue(self, read: Callable[[], Arrival], answer: Answer) -> None:
        async def record() -> None:
            outcome: Receipt | Exception
            try:
                outcome = await self.record(read())
            except Exception as error:  # noqa: BLE001 - it is told
                outcome = error
            answer(outcome)()

        self.enqueued += 1
        self.telling.append(asyncio.ensure_future(record()))

    async def quarantine_raw(self, site_id: int, received_at: int, refused: Refused) -> None:
        await self._may_fail()
        self.raw.append((site_id, refused.code, refused.raw))

    async def record_consent(self, site_id: int, consent: Consent) -> None:
        await self._may_fail()
        self.consents.append((site_id, consent))

    async def probe(self) -> bool:
        self.probes += 1
        self.ready = self.fails is None
        return self.ready

    async def _may_fail(self) -> None:
        await asyncio.sleep(0)
        await self.may_store.wait()
        if self.fails is not None:
            raise self.fails

    @property
    def event_ids(self) -> list[str]:
        return [event.event_id for arrival in self.arrivals for event in arrival.events]


@dataclass(frozen=True)
class Reply:
    """A response, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Failure:
    """A refused request as its sender sees it."""

    status: int
    code: str
    headers: CIMultiDictProxy[str]
    is_retryable: bool


@dataclass
class Place:
    """A running edge. `now` is its clock; `sites` is what the database would say."""

    recorder: RememberingRecorder
    edge: Edge
    sites: list[Site]
    session: aiohttp.ClientSession
    url: str
    clock: list[int]

    @property
    def now(self) -> int:
        return self.clock[0]

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, data: Any = None) -> Reply:
        """A request and its reply."""
        async with self.session.request(method, self.url + path, headers=headers, data=data) as response:
            return Reply(response.status, response.headers, await response.read())

    async def post(self, body: Any, site: str = SITE.write_key, **headers: str) -> Reply:
        """A batch from a page of the site, unless headers (`_` for `-`) say otherwise; "" leaves one out."""
        said = {"Origin": ORIGIN} | PLAIN | {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        return await self.ask("POST", f"/v1/collect?site={site}", {k: v for k, v in said.items() if v}, data)

    async def sends(self, *events: Any, device: str | None = None, cookies: str = "", **headers: str) -> Reply:
        """Events, as the SDK sends them."""
        body = {"sent_at": self.now, "events": list(events)} | ({"device": device} if device else {})
        return await self.post(body, Cookie=cookies, **headers)


def refused(reply: Reply) -> Failure:
    """The failure that `reply` is, in the one shape of failures."""
    document = reply.json
    assert set(document) == {"error"}
    error = document["error"]
    assert set(error) == {"code", "message", "request_id", "retryable"}
    assert reply.headers["X-Request-Id"] == error["request_id"] != ""
    assert reply.headers["Cache-Control"] == "no-store"
    return Failure(reply.status, error["code"], reply.headers, error["retryable"])


@asynccontextmanager
async def open_place(
    *,
    sites: tuple[Site, ...] = (SITE,),
    limits: Limits | None = None,
    patience: Patience | None = None,
    proxies: tuple[str, ...] = (),
    cookies: CookieJar | None = None,
    prefix: str = "",
    header_timeout_s: float = 10,
    keepalive_timeout_s: float = 75,
    is_short: bool = True,
    source: bytes | None = SOURCE,
) -> AsyncIterator[Place]:
    """Run an edge. `is_short` is the way that the collector itself goes for batches; tests take the other one too."""
    recorder = RememberingRecorder()
    known = list(sites)
    clock = [int(time.time() * 1000)]

    async def load() -> list[Site]:
        return list(known)

    directory = SiteDirectory(load, refresh_s=0.05)
    edge = Edge(
        recorder=recorder,
        sites=directory,
        cookies=cookies or CookieJar(SECRET, is_secure=False),
        sdk=Sdk(source, "1.2.3"),
        now=lambda: clock[0],
        fresh_id=fresh_id,
        tokens=Tokens(SECRET),
        limits=limits or Limits(),
        proxies=Proxies(proxies),
        patience=patience or Patience(),
    )
    app = make_web_app(prefix, keepalive_timeout_s)

    async def run_directory(app: web.Application) -> AsyncIterator[None]:
        await directory.start()
        app[EDGE] = edge
        yield
        await directory.stop()

    app.cleanup_ctx.append(run_directory)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    lane = Lane(edge, f"{prefix}/v1/collect", asyncio.get_running_loop()) if is_short else None
    settings = connection_settings(keepalive_timeout_s)
    listener = Listener(runner, "127.0.0.1", 0, header_timeout_s, settings, lane=lane)
    await listener.start()
    session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
    try:
        yield Place(recorder, edge, known, session, f"http://127.0.0.1:{listener.port}{prefix}", clock)
    finally:
        await session.close()
        await runner.cleanup()


def set_cookies_of(response: Reply) -> dict[str, str]:
    """Name to the whole Set-Cookie header."""
    return {header.partition("=")[0]: header for header in response.headers.getall("Set-Cookie", [])}


def pair(header: str) -> str:
    """`name=value` of a Set-Cookie header, as a browser sends it back."""
    return header.partition(";")[0]


def with_settings(site: Site, **settings: Any) -> Site:
    return replace(site, settings=replace(site.settings, **settings))


def counts() -> dict[str, float]:
    """What /metrics says of events: received, and each outcome."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.expose().decode()):
        for sample in family.samples:
            if sample.name == "regulars_events_received_total":
                found["received"] = sample.value
            elif sample.name == "regulars_events_total":
                found[sample.labels["outcome"]] = sample.value
            elif sample.name == "regulars_refused_events_total":
                found[f"refused {sample.labels['code']}"] = sample.value
            elif sample.name == "regulars_cookies_forged_total":
                found["forged"] = sample.value
            elif sample.name == "regulars_connections_cut_total":
                found["cut"] = sample.value
    return found


def growth(before: dict[str, float]) -> dict[str, float]:
    """What was counted since `before`; checks that everything received is accounted for."""
    after = counts()
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    outcomes = ("stored", "duplicate", "quarantined", "suppressed", "refused")
    assert grown.get("received", 0) == sum(grown.get(outcome, 0) for outcome in outcomes), grown
    return grown
