"""The way to PostgreSQL breaks, seen through a small proxy: nothing is called stored that may not be, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from collector.domain.event import Arrival
from collector.recorder import Recorder, StorageUnavailable
from collector.store import postgresql as postgresql_module
from collector.store.database import Database
from tests.postgresql import Cluster
from tests.stage import Stage
from tests.store.engines import only_on_postgresql
from tests.store_transport import StoreTransport

pytestmark = only_on_postgresql


@dataclass(slots=True)
class Proxy:
    """Forwards bytes while it `speaks`; if it `cuts_commit`, no answer comes back once a COMMIT was forwarded."""

    target: int
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    cuts_commit: bool = False
    has_cut: bool = False
    server: asyncio.Server | None = None
    ways: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> int:
        """Listen; the port."""
        self.speaks.set()
        self.server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Leave nothing open."""
        assert self.server is not None
        self.server.close()
        for way in self.ways:
            way.cancel()
        await asyncio.gather(*self.ways, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [
            asyncio.create_task(self._forward(reader, back)),
            asyncio.create_task(self._answer(there, writer)),
        ]
        self.ways.update(ways)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self.speaks.wait()
                    self.has_cut = self.has_cut or (self.cuts_commit and b"COMMIT" in data)
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self.speaks.wait()
                    if self.has_cut:
                        writer.transport.abort()  # the server has done what was asked, and nobody hears of it
                        return
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def proxy(postgresql: Cluster) -> AsyncIterator[Proxy]:
    proxy = Proxy(postgresql.port)
    yield proxy
    await proxy.close()


@pytest.fixture
async def recorder(
    proxy: Proxy, database_url: str, transport: StoreTransport, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Recorder]:
    """A recorder behind the proxy, which takes a server for lost after half a second."""
    monkeypatch.setattr(postgresql_module, "LOSS_TIMEOUT_S", 0.5)
    port = await proxy.open()
    database = Database(database_url.replace(f":{proxy.target}/", f":{port}/"))
    recorder = Recorder(database, transport.erasures, lambda: 1, transport.fresh_id)
    await recorder.start()
    yield recorder
    await recorder.stop()
    await database.close()


async def view(stage: Stage, transport: StoreTransport) -> Arrival:
    browser = stage.browser()
    browser.offline = True
    await browser.tracks()
    return transport.arrival(browser.letter(browser.outbox))


async def events(stage: Stage, arrival: Arrival) -> int:
    assert arrival.events[0].uid is not None
    person = await stage.look(uid=arrival.events[0].uid)
    return len(person.events) if person else 0


async def accepted_in_the_end(recorder: Recorder, arrival: Arrival) -> int:
    """Send again as the SDK would; how many events were new."""
    for _ in range(40):
        with suppress(StorageUnavailable):
            return (await recorder.record(arrival)).accepted
        await asyncio.sleep(0.1)
    pytest.fail("no recovery")


async def test_a_server_that_falls_silent_is_given_up_and_found_again(
    stage: Stage, transport: StoreTransport, recorder: Recorder, proxy: Proxy
) -> None:
    first, second = await view(stage, transport), await view(stage, transport)
    assert (await recorder.record(first)).accepted == 1
    proxy.speaks.clear()
    async with asyncio.timeout(20):
        with pytest.raises(StorageUnavailable):
            await recorder.record(second)
        assert not recorder.ready
    proxy.speaks.set()
    assert (await accepted_in_the_end(recorder, second)) == 1
    assert [await events(stage, arrival) for arrival in (first, second)] == [1, 1]


async def test_a_commit_whose_answer_is_lost_is_refused_and_stored_once(
    stage: Stage, transport: StoreTransport, recorder: Recorder, proxy: Proxy
) -> None:
    arrival = await view(stage, transport)
    proxy.cuts_commit = True
    async with asyncio.timeout(20):
        with pytest.raises(StorageUnavailable):
            await recorder.record(arrival)
    proxy.cuts_commit = proxy.has_cut = False
    assert await events(stage, arrival) == 1, "it was stored all the same"
    again = await recorder.record(arrival)
    assert (again.accepted, again.duplicate) == (0, 1)
    assert await events(stage, arrival) == 1
