"""The whole product for a test: collector on SQLite, demo shop, and people with browsers of their own.

What became of an event is read from the database and through the secret-key API, as an operator would.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.ground import Ground, Plan, open_collector, open_shop, prepare
from tests.faults.server import Collector, Keys

PATIENCE_S = 20.0
COLLECT = "**/v1/collect?*"
SDK = "**/sdk.js?*"
# The reply, with its cookies, comes after the event is stored; until then the SDK keeps its copy.
NOTHING_WAITS = """() => {
  try { return !Object.keys(localStorage).some((key) => /^_regulars:[^:]*:e/.test(key)); } catch { return true; }
}"""
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the events table. `root` is the profile that it counts for today."""

    event_id: str
    name: str
    uid: str
    profile: str
    root: str
    visit: str
    seq: int
    tracked_at: int
    occurred_at: int
    url: str
    body: Json


@dataclass(slots=True)
class Town:
    """A collector and a shop. Addresses end without a slash."""

    collector: str
    shop: str
    keys: Keys
    database: Path
    browser: Browser
    api: ClientSession
    contexts: list[BrowserContext] = field(default_factory=list)
    process: Collector | None = None

    async def restart(self) -> None:
        """Starts the collector again, after somebody killed its process."""
        assert self.process is not None
        await asyncio.to_thread(self.process.start)

    def kill(self) -> None:
        """Kills the collector's process: SIGKILL."""
        assert self.process is not None
        self.process.kill()

    async def visitor(self, **options: Any) -> Page:
        """Somebody with a browser that was never here."""
        context = await self.browser.new_context(**options)
        self.contexts.append(context)
        return await context.new_page()

    async def visit(self, page: Page, *paths: str) -> None:
        """Looks at pages of the shop, one after the other."""
        for path in paths:
            await page.goto(self.shop + path)

    async def until(self, condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        """Returns as soon as the condition holds; on time-out says what is stored."""
        for _ in range(int(seconds / 0.05)):
            if condition():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"gave up waiting; stored are {[event.name for event in self.events()]}")

    async def arrived(self, page: Page, name: str, count: int = 1) -> list[Stored]:
        """Has the page send what waits; returns the events of that name once there are `count` and it was told so."""
        await sdk_is_there(page)
        await page.evaluate("void web_event.flush()")
        await self.until(lambda: len(self.events(name)) >= count)
        await eventually(lambda: page.evaluate(NOTHING_WAITS), lambda: f"{page.url} still waits for an answer")
        found = self.events(name)
        assert len(found) == count, f"{len(found)} {name} instead of {count}"
        return found

    async def close(self) -> None:
        """Everybody leaves."""
        for context in self.contexts:
            await context.close()

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=rw", uri=True, timeout=10)) as connection:
            connection.execute("PRAGMA query_only=ON")
            return connection.execute(query, values).fetchall()

    def events(self, name: str = "", where: str = "1") -> list[Stored]:
        """What is stored, in the order of the browsers' clocks; of one `category/action` if given."""
        rows = self.rows(
            "SELECT event_id, category || '/' || action, uid, profile_id, coalesce(merged_into, profile_id), visit_id, "
            "seq, tracked_at, occurred_at, url, json(body) FROM events LEFT JOIN profiles USING (site_id, profile_id) "
            f"WHERE ? IN ('', category || '/' || action) AND {where} ORDER BY tracked_at, seq",
            name,
        )
        return [_stored(row) for row in rows]

    def count(self, table: str) -> int:
        """Rows of a table."""
        count: int = self.rows(f"SELECT count(*) FROM {table}")[0][0]
        return count

    async def ask(self, path: str, **query: str) -> Json:
        """An answer of the secret-key API."""
        headers = {"Authorization": f"Bearer {self.keys.secret_key}"}
        async with self.api.get(f"{self.collector}/api/v1{path}", params=query, headers=headers) as response:
            document: Json = await response.json()
            assert response.status == 200, f"{path} {query}: {response.status} {document}"
            return document

    async def person(self, **by: str) -> Json:
        """The person of `email=`, `cid=` or `uid=`."""
        return await self.ask("/profiles", **by)

    async def explain(self, profile_id: str) -> Json:
        """Why this profile is one person."""
        return await self.ask(f"/profiles/{profile_id}/explain")

    async def deeds(self, profile_id: str) -> list[str]:
        """Names of a person's events, oldest first."""
        page = await self.ask(f"/profiles/{profile_id}/events", limit="500")
        return [f"{event['category']}/{event['action']}" for event in reversed(page["items"])]


async def eventually(condition: Callable[[], Awaitable[object]], describe: Callable[[], object] = str) -> None:
    """Returns as soon as the condition holds; fails, with a description, when that takes too long."""
    for _ in range(int(PATIENCE_S / 0.05)):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"gave up waiting: {describe()}")


async def sdk_is_there(page: Page) -> None:
    """Returns once the page's SDK runs. (Playwright's own `wait_for_function` needs eval, which the shop forbids.)"""
    await eventually(lambda: page.evaluate("window.web_event && web_event.version"), lambda: f"no SDK on {page.url}")


async def sdk_waits(page: Page) -> None:
    """Returns once the SDK has said that an attempt failed and that it waits for the next one."""
    async with asyncio.timeout(PATIENCE_S):
        await page.evaluate("new Promise((done) => web_event.debug(({kind}) => kind == 'waiting' && done()))")


def _stored(row: tuple[Any, ...]) -> Stored:
    """The row with ids as text and the body as a value."""
    decoded: list[Any] = [str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else value for value in row[:-1]]
    decoded.append(json.loads(row[-1]))
    return Stored(*decoded)


OpenTown = Callable[[Plan], Awaitable[Town]]


@pytest.fixture(scope="session")
def grounds() -> dict[Plan, Ground]:
    """What was prepared already."""
    return {}


@pytest_asyncio.fixture(loop_scope="session")
async def open_town(
    browser: Browser, grounds: dict[Plan, Ground], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenTown]:
    """Opens a town by its plan, with nobody in it. It closes with the test."""
    async with AsyncExitStack() as stack:

        async def open_it(plan: Plan) -> Town:
            if plan not in grounds:
                folder = tmp_path_factory.mktemp("ground") / "town"
                grounds[plan] = await asyncio.to_thread(prepare, folder, plan)
            ground = grounds[plan]
            database = tmp_path / "regulars.db"
            shutil.copy(ground.database, database)
            process = await stack.enter_async_context(open_collector(plan, ground, tmp_path))
            collector = f"http://{plan.collector_host}:{ground.collector_port}"
            shop = await stack.enter_async_context(open_shop(plan, ground, collector))
            api = await stack.enter_async_context(ClientSession())
            own = f"http://127.0.0.1:{ground.collector_port}{plan.path}"
            town = Town(own, shop, ground.keys, database, browser, api, process=process)
            stack.push_async_callback(town.close)
            return town

        yield open_it


@pytest_asyncio.fixture(loop_scope="session")
async def town(open_town: OpenTown) -> Town:
    """A town where nobody is asked for consent."""
    return await open_town(Plan())
