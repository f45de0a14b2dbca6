"""What a town of whole.py stands on: a site in a database, a collector, the shop, and how the two are reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, web
from multidict import CIMultiDict

from collector.app import create_app
from collector.config import load_config
from demo_site.app import create_shop
from demo_site.settings import Consent, ShopSettings, read_stub
from tests.faults.server import Collector, Keys, free_port


@dataclass(frozen=True, slots=True)
class Plan:
    """How a town is laid out; hosts are names of loopback. `path` stands in front of the collector's addresses."""

    consent: Consent = "not_required"
    shop_host: str = "127.0.0.1"
    collector_host: str = "127.0.0.1"
    path: str = ""
    is_one_origin: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    is_apart: bool = False  # the collector is a process of its own, which may be killed


@dataclass(frozen=True, slots=True)
class Ground:
    """A database with one site in it, made once and copied for each test; the ports belong to the site's origin."""

    database: Path
    keys: Keys
    shop_port: int
    collector_port: int


def prepare(folder: Path, plan: Plan) -> Ground:
    """Adds the site of a plan to a new database. Takes a second."""
    folder.mkdir()
    collector, shop_port = Collector(folder), free_port()
    keys = collector.add_site("shop", "--consent", plan.consent, origins=[f"http://{plan.shop_host}:{shop_port}"])
    return Ground(collector.database, keys, shop_port, collector.port)


@asynccontextmanager
async def serving(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    """Serves an application on loopback; yields its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


CLIENT = web.AppKey("client", ClientSession)


def reverse_proxy(behind: dict[str, str]) -> web.Application:
    """Passes requests on by path prefix, as the web server of a site does that serves everything first-party."""

    async def pass_on(request: web.Request) -> web.Response:
        target = next(address for prefix, address in behind.items() if request.path.startswith(prefix))
        url, body = target + request.raw_path, await request.read()
        async with request.app[CLIENT].request(
            request.method, url, headers=request.headers, data=body, allow_redirects=False
        ) as answer:
            passed = CIMultiDict(answer.headers)
            for name in ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"):
                passed.popall(name, None)
            return web.Response(status=answer.status, body=await answer.read(), headers=passed)

    async def client(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(auto_decompress=False) as session:
            app[CLIENT] = session
            yield

    app = web.Application(client_max_size=2**21)
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", pass_on)
    return app


@asynccontextmanager
async def open_collector(plan: Plan, ground: Ground, folder: Path) -> AsyncIterator[Collector | None]:
    """A collector in this process, or in one of its own."""
    settings = dict(plan.settings) | {"REGULARS_PREFIX": plan.path}
    if plan.is_apart:
        process = Collector(folder, settings, ground.collector_port)
        try:
            await asyncio.to_thread(process.start)
            yield process
        finally:
            process.close()
    else:
        url = {"REGULARS_DATABASE_URL": f"sqlite:///{folder / 'regulars.db'}"}
        async with serving(create_app(load_config(settings | url)), ground.collector_port):
            yield None


@asynccontextmanager
async def open_shop(plan: Plan, ground: Ground, collector: str) -> AsyncIterator[str]:
    """The shop; on one origin with the collector if the plan says so. Yields its address."""
    address = f"http://{plan.shop_host}:{ground.shop_port}"
    seen = address if plan.is_one_origin else collector
    app = create_shop(ShopSettings(seen + plan.path, ground.keys.write_key, read_stub(), plan.consent))
    async with AsyncExitStack() as stack:
        if plan.is_one_origin:
            app = reverse_proxy({plan.path: collector, "": await stack.enter_async_context(serving(app))})
        await stack.enter_async_context(serving(app, ground.shop_port))
        yield address
