"""A collector that answers as the wire says, remembers everything, and can be told to fail.

It stands in for the real one where a test needs answers that a healthy collector cannot give. It serves the built SDK
the way the collector does, and whatever pages a test writes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

DIST = Path(__file__).parents[2] / "sdk_js" / "dist"
SITE = "site-key"
EXIT = "page/exit"
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with one request instead of storing it. `status` 0 cuts the connection."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"error":{"code":"told_to_fail","message":"told to fail","request_id":"r","retryable":true}}'
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came: the decoded body and what was answered."""

    path: str
    query: str
    headers: dict[str, str]
    text: str
    body: dict[str, Any]
    status: int
    raw_header_bytes: int


Plan = Callable[[dict[str, Any]], Answer | None]


@dataclass(slots=True)
class Endpoint:
    """What was recorded, and how to answer. `plan` sees a batch and may return an Answer; None stores the batch."""

    port: int = 0
    plan: Plan = lambda _batch: None
    settings: dict[str, object] = field(default_factory=dict)
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    stored: list[Event] = field(default_factory=list)
    arrivals: Counter[str] = field(default_factory=Counter)
    consents: list[dict[str, Any]] = field(default_factory=list)
    slow_s: float = 0.0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Address of this server, ending in a slash."""
        return self.at("127.0.0.1")

    def at(self, host: str) -> str:
        """Address of this server under another name, ending in a slash."""
        return f"http://{host}:{self.port}/"

    @property
    def events(self) -> list[Event]:
        """What was stored, but for the exits of pages, which come whenever a page happens to be hidden or left."""
        return [event for event in self.stored if name_of(event) != EXIT]

    def named(self, name: str) -> list[Event]:
        """Stored events called `category/action`, exits too."""
        return [event for event in self.stored if name_of(event) == name]

    def reset(self) -> None:
        """Forgets everything between tests."""
        self.plan = lambda _batch: None
        self.settings = {}
        self.slow_s = 0.0
        for store in (self.pages, self.requests, self.stored, self.arrivals, self.consents):
            store.clear()

    def fail(self, *answers: Answer) -> None:
        """Gives these answers to the next requests, one each; after them requests are stored."""
        left = list(answers)
        self.plan = lambda _batch: left.pop(0) if left else None

    def always(self, answer: Answer) -> None:
        """Gives this answer until `recover`."""
        self.plan = lambda _batch: answer

    def refuse(self) -> None:
        """Cuts every connection until `recover`, as a collector that is down would."""
        self.always(Answer(0))

    def recover(self) -> None:
        """Stores again."""
        self.plan = lambda _batch: None

    async def until(self, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Waits for something to have arrived; on time-out says what has."""
        try:
            async with asyncio.timeout(timeout_s), self.changed:
                await self.changed.wait_for(lambda: bool(condition()))
        except TimeoutError:
            seen = [f"{name_of(e)} {e.get('dims', '')}" for e in self.stored[-12:]]
            answers = [(request.path, request.status) for request in self.requests[-12:]]
            count = dict(Counter(map(name_of, self.stored)))
            raise AssertionError(f"gave up waiting; {count}, last {seen}, {answers}") from None

    async def announce(self) -> None:
        """Wakes whoever waits in `until`."""
        async with self.changed:
            self.changed.notify_all()


def name_of(event: Event) -> str:
    """`category/action` of an event."""
    return f"{event['category']}/{event['action']}"


def served_sdk(settings: dict[str, object]) -> str:
    """The SDK as the collector serves it: the built file in a function that holds the site's settings."""
    sdk = (DIST / "sdk.js").read_text()
    everything = {"site": SITE, "consent": "not_required", "gpc": False, "own_domains": [], **settings}
    return f"(function(__REGULARS_SETTINGS__){{{sdk}}})({json.dumps(everything)});"


def verdict(endpoint: Endpoint, batch: dict[str, Any]) -> dict[str, object]:
    """Stores what is new, and answers as the wire says."""
    results: list[dict[str, object]] = []
    known = {event["event_id"] for event in endpoint.stored}
    shared = {name: batch[name] for name in ("uid", "uid_origin", "visit", "page") if name in batch}
    for index, event in enumerate(shared | event for event in batch["events"]):
        event_id = event["event_id"]
        if event_id in known:
            results.append({"index": index, "event_id": event_id, "status": "duplicate"})
        else:
            endpoint.stored.append({**event, "device": batch["device"], "sent_at": batch["sent_at"], "tz": batch["tz"]})
        known.add(event_id)
        if name_of(event) != EXIT:  # (The next page sends it again: nobody was left to hear the answer.)
            endpoint.arrivals[event_id] += 1
    repeated = len(results)
    return {
        "accepted": len(batch["events"]) - repeated,
        "duplicate": repeated,
        "quarantined": 0,
        "suppressed": 0,
        "results": results,
    }


def cors(request: web.Request) -> dict[str, str]:
    """Headers that let a page of any origin read the answer, with cookies."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


def create_app(endpoint: Endpoint) -> web.Application:
    """The server behind an Endpoint."""

    async def post_batch(request: web.Request) -> web.Response:
        text = await request.text()
        batch: dict[str, Any] = json.loads(text)
        answer = endpoint.plan(batch)
        await asyncio.sleep(answer.delay_s if answer else endpoint.slow_s)
        status = answer.status if answer else 200
        header_bytes = len(request.raw_path) + sum(len(k) + len(v) + 4 for k, v in request.raw_headers) + 17
        endpoint.requests.append(
            Request(request.path, request.query_string, dict(request.headers), text, batch, status, header_bytes)
        )
        reply = json.dumps(verdict(endpoint, batch)) if answer is None else answer.body
        await endpoint.announce()
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
        headers = {**cors(request), **(answer.headers if answer else {"Set-Cookie": "GlobalVisit=signed; HttpOnly"})}
        return web.Response(status=status or 200, text=reply, headers=headers, content_type="application/json")

    async def post_consent(request: web.Request) -> web.Response:
        decision = json.loads(await request.text())
        endpoint.consents.append(decision)
        await endpoint.announce()
        return web.json_response({"state": decision["state"]}, headers=cors(request))

    async def get_sdk(_request: web.Request) -> web.Response:
        return web.Response(text=served_sdk(endpoint.settings), content_type="text/javascript")

    async def get_plain_sdk(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(DIST / "sdk.js", headers={"Access-Control-Allow-Origin": "*"})

    async def get_page(request: web.Request) -> web.Response:
        html, headers = endpoint.pages.get(request.path, ("<!doctype html><title>empty</title>", {}))
        return web.Response(text=html, content_type="text/html", headers=headers)

    app = web.Application(client_max_size=2**20)
    app.router.add_post("/v1/collect", post_batch)
    app.router.add_post("/v1/consent", post_consent)
    app.router.add_get("/sdk.js", get_sdk)
    app.router.add_get("/sdk/{version}/sdk.js", get_plain_sdk)
    app.router.add_get("/{page:.*}", get_page)
    return app


@asynccontextmanager
async def running_endpoint() -> AsyncIterator[Endpoint]:
    """A listening Endpoint on a free port of all loopback names."""
    endpoint = Endpoint()
    runner = web.AppRunner(create_app(endpoint), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.port = runner.addresses[0][1]
    try:
        yield endpoint
    finally:
        await runner.cleanup()
