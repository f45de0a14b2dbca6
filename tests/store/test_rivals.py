"""Two collectors on one PostgreSQL database whose transactions meet: one is held before its commit, the other comes.

Whatever the second one does, wait or begin again, in the end people are as if one had come after the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, func, select, text
from sqlalchemy.util import await_only

from collector.domain.event import Arrival, Receipt
from collector.recorder import Recorder, StorageUnavailable
from collector.recorder.group import record_group
from collector.store import postgresql as postgresql_module
from collector.store import schema
from collector.store.asyncpg_errors import is_transient
from collector.store.database import Database
from collector.store.locks import PURGE, _key, lock_alone, lock_names
from collector.store.migrate import HEAD, migrate
from collector.store.people import erase_profile
from collector.store.quarantine import Refused, count_quarantine, insert_quarantine, purge_quarantine
from tests.postgresql import Cluster
from tests.stage import Browser, Stage
from tests.store.engines import only_on_postgresql
from tests.store_transport import StoreTransport

pytestmark = only_on_postgresql
PATIENCE_S = 10


@dataclass(slots=True)
class Gate:
    """Where a transaction is held: it says that it has `written`, and goes on when it `may_end`."""

    written: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)


class Duel:
    """The first transaction is held after everything but its commit; `second` runs until it waits or is done."""

    def __init__(self, transport: StoreTransport, other: Database) -> None:
        self.transport = transport
        self.other = other
        self._threads = ThreadPoolExecutor(2)

    def record(self, conn: Connection, *arrivals: Arrival) -> list[Receipt]:
        now = max(arrival.received_at for arrival in arrivals)
        return record_group(conn, arrivals, now, self.transport.fresh_id, self.transport.erasures)

    def fight(self, first: Callable[[Connection], Any], second: Callable[[Connection], Any]) -> bool:
        """Run both; whether the second one had to wait."""
        written, may_end = threading.Event(), threading.Event()

        def held(conn: Connection) -> None:
            first(conn)
            written.set()
            assert await_only(asyncio.to_thread(may_end.wait, PATIENCE_S))

        one = self._threads.submit(self.transport.database.transact, held)
        assert written.wait(PATIENCE_S), one.exception(0)
        two = self._threads.submit(self.other.transact, second)
        waited = self._waits(two)
        may_end.set()
        one.result(PATIENCE_S)
        two.result(PATIENCE_S)
        return waited

    def record_held(self, conn: Connection, arrival: Arrival, gate: Gate | None) -> None:
        """Record, and wait at the gate before the commit."""
        self.record(conn, arrival)
        if gate is not None:
            gate.written.set()
            assert await_only(asyncio.to_thread(gate.may_end.wait, PATIENCE_S))

    async def until_waiting(self, transactions: int) -> None:
        """Returns once so many wait for a lock."""
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(self.other_look, waiting) != transactions:
                pass

    def _waits(self, running: Future[Any]) -> bool:
        """Returns once `running` is done (False) or waits for a lock (True)."""
        while not running.done():
            if self.other_look(waiting):
                return True
        return False

    def other_look(self, query: Callable[[Connection], Any]) -> Any:
        """Look, from a third connection."""
        database = Database(self.transport.database.name)
        try:
            return database.read_now(query)
        finally:
            database.close_now()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Another collector's connections to the same database."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def duel(transport: StoreTransport, other: Database) -> Duel:
    """Two collectors."""
    return Duel(transport, other)


async def kept(browser: Browser, act: Any) -> Arrival:
    """What the browser would send of `act`."""
    browser.offline = True
    await act
    sent, browser.outbox = browser.outbox, []
    browser.offline = False
    transport: Any = browser.stage.transport
    letter = browser.letter(sent)
    arrival: Arrival = transport.arrival(letter)
    return arrival


def count(database: Database, table: Any) -> int:
    return database.read_now(lambda conn: conn.scalar(select(func.count()).select_from(table))) or 0


async def test_one_person_on_two_browsers_never_becomes_two_customers(stage: Stage, duel: Duel) -> None:
    """No name is shared: only that both browsers belong to one person, whose row is locked."""
    laptop, phone = stage.browser(), stage.browser()
    await laptop.submits("ada@example.com")
    await phone.submits("ada@example.com")
    x, y = await kept(laptop, laptop.says("x")), await kept(phone, phone.says("y"))
    assert duel.fight(lambda conn: duel.record(conn, x), lambda conn: duel.record(conn, y))
    ada, other = await stage.person(cid="x"), await stage.person(cid="y")
    assert ada.profile_id != other.profile_id
    assert ada.email == "ada@example.com"


async def test_one_customer_id_said_on_two_browsers_is_one_person(stage: Stage, duel: Duel) -> None:
    laptop, phone = stage.browser(), stage.browser()
    await laptop.tracks()
    await phone.tracks()
    here, there = await kept(laptop, laptop.says("x")), await kept(phone, phone.says("x"))
    assert duel.fight(lambda conn: duel.record(conn, here), lambda conn: duel.record(conn, there))
    assert {laptop.uid, phone.uid} <= (await stage.person(cid="x")).uids


async def test_a_uid_that_comes_during_the_sign_in_is_back_filled(stage: Stage, duel: Duel) -> None:
    """R7 either finds the UID, or the UID finds the sign-in."""
    browser = stage.browser()
    await browser.tracks()
    script = browser.script
    browser.loses("script", "contact")
    late = await kept(browser, browser.tracks())
    browser.script = script
    signing_in = await kept(browser, browser.says("x"))
    assert duel.fight(lambda conn: duel.record(conn, late), lambda conn: duel.record(conn, signing_in))
    assert {late.events[0].uid, signing_in.events[0].uid} == (await stage.person(cid="x")).uids


async def test_a_uid_that_two_collectors_greet_at_once_is_greeted_once(stage: Stage, duel: Duel) -> None:
    browser = stage.browser()
    one, two = await kept(browser, browser.tracks()), await kept(browser, browser.tracks())
    assert duel.fight(lambda conn: duel.record(conn, one), lambda conn: duel.record(conn, two))
    assert len((await stage.person(uid=browser.uid)).events) == 2
    assert count(duel.other, schema.profiles) == 1


async def test_a_merge_under_way_is_seen_by_the_next_one(stage: Stage, duel: Duel) -> None:
    """The second transaction resolved its people before it got their locks: they are other people now."""
    laptop, phone, tablet = (stage.browser() for _ in range(3))
    await laptop.tracks()
    await phone.submits("ada@example.com")
    await tablet.submits("mail@example.com")
    merging = await kept(laptop, laptop.submits("ada@example.com"))
    laptop_again = await kept(laptop, laptop.says("x"))
    assert duel.fight(lambda conn: duel.record(conn, merging), lambda conn: duel.record(conn, laptop_again))
    person = await stage.person(cid="x")
    assert {laptop.uid, phone.uid} <= person.uids
    assert person.email == "ada@example.com"
    pointers = select(schema.profiles.c.merged_into).where(schema.profiles.c.merged_into.is_not(None))
    assert duel.other.read_now(lambda conn: set(conn.scalars(pointers))) == {person.profile_id}


async def test_who_people_are_is_looked_up_again_after_each_wait(
    stage: Stage, duel: Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two merges, one after the other, of people whom a third transaction waits for: in the end they are customer u.

    The third one begins again and lets go of whom it held, else the second one and it would wait for each other.
    """
    errors: list[Exception] = []
    monkeypatch.setattr(postgresql_module, "is_transient", lambda error: errors.append(error) or is_transient(error))
    phone, desktop, laptop, tablet = (stage.browser() for _ in range(4))
    await phone.submits("ada@example.com")
    await desktop.says("u")
    await laptop.tracks()
    tablet.contact_cookie, laptop.contact_cookie = laptop.contact_cookie, None
    await tablet.tracks()  # joins the laptop's person, and shares no name with the laptop
    first, second = await kept(laptop, laptop.submits("ada@example.com")), await kept(phone, phone.says("u"))
    third = await kept(tablet, tablet.says("x"))
    gates = [Gate(), Gate()]
    databases = [duel.transport.database, *(Database(duel.other.name) for _ in range(2))]

    def record(database: Database, arrival: Arrival, gate: Gate | None = None) -> asyncio.Task[Any]:
        return asyncio.create_task(asyncio.to_thread(database.transact, duel.record_held, arrival, gate))

    running = [record(databases[0], first, gates[0])]
    await asyncio.to_thread(gates[0].written.wait, PATIENCE_S)
    running += [record(databases[1], second, gates[1]), record(databases[2], third)]
    await duel.until_waiting(2)
    gates[0].may_end.set()
    await asyncio.to_thread(gates[1].written.wait, PATIENCE_S)
    await duel.until_waiting(1)
    gates[1].may_end.set()
    await asyncio.gather(*running)
    for database in databases[1:]:
        await database.close()
    ada, other = await stage.person(cid="u"), await stage.person(cid="x")
    assert {phone.uid, desktop.uid, laptop.uid} <= ada.uids
    assert ada.profile_id != other.profile_id, "one person is two customers"
    assert third.events[0].event_id in other.events
    assert errors == [], "they waited for each other crosswise"


async def test_what_was_looked_up_before_a_switch_is_looked_up_again(stage: Stage, duel: Duel) -> None:
    """The second batch is decided after the first one, which gave its UID to somebody else."""
    browser = stage.browser()
    await browser.says("x")
    switching = await kept(browser, browser.says("y"))
    view, said = await kept(browser, browser.tracks()), await kept(browser, browser.says("z"))
    both = replace(view, events=(*view.events, *said.events), indexes=(0, 1))
    assert duel.fight(lambda conn: duel.record(conn, switching), lambda conn: duel.record(conn, both))
    assert view.events[0].event_id in (await stage.person(cid="y")).events
    assert said.events[0].event_id in (await stage.person(cid="z")).events


async def test_views_of_known_browsers_wait_for_nobody(stage: Stage, duel: Duel) -> None:
    laptop, phone = stage.browser(), stage.browser()
    await laptop.tracks()
    await phone.tracks()
    said, view = await kept(phone, phone.says("x")), await kept(laptop, laptop.tracks())
    assert not duel.fight(lambda conn: duel.record(conn, said), lambda conn: duel.record(conn, view))


async def test_whoever_is_erased_does_not_come_back_by_an_event_under_way(stage: Stage, duel: Duel) -> None:
    browser = stage.browser()
    await browser.says("x")
    view = await kept(browser, browser.tracks())
    ada = (await stage.person(cid="x")).profile_id

    def erase(conn: Connection) -> None:
        erase_profile(conn, duel.transport.site.site_id, ada, duel.transport.erasures, stage.now)

    assert duel.fight(lambda conn: duel.record(conn, view), erase)
    assert await stage.look(cid="x") is None
    assert [count(duel.other, table) for table in (schema.events, schema.profiles, schema.uids)] == [0, 0, 0]
    again = await kept(browser, browser.tracks())
    assert duel.other.transact(duel.record, again)[0].suppressed == 1


async def test_an_erasure_under_way_is_waited_for(stage: Stage, duel: Duel) -> None:
    browser = stage.browser()
    await browser.says("x")
    view = await kept(browser, browser.tracks())
    ada = (await stage.person(cid="x")).profile_id

    def erase(conn: Connection) -> None:
        erase_profile(conn, duel.transport.site.site_id, ada, duel.transport.erasures, stage.now)

    assert duel.fight(erase, lambda conn: duel.record(conn, view))
    assert [count(duel.other, table) for table in (schema.events, schema.profiles, schema.uids)] == [0, 0, 0]


async def test_transactions_that_wait_for_each_other_crosswise_both_succeed(duel: Duel, other: Database) -> None:
    met = threading.Barrier(2)
    attempts: list[str] = []

    def crosswise(conn: Connection, mine: str, yours: str) -> None:
        lock_alone(conn, mine)
        if len(attempts) < 2:
            attempts.append(mine)
            await_only(asyncio.to_thread(met.wait, PATIENCE_S))
        else:
            attempts.append(mine)
        lock_alone(conn, yours)

    await asyncio.gather(
        asyncio.to_thread(duel.transport.database.transact, crosswise, "a", "b"),
        asyncio.to_thread(other.transact, crosswise, "b", "a"),
    )
    assert len(attempts) == 3, "one of them began again"


async def test_names_are_locked_in_one_order(duel: Duel, other: Database) -> None:
    """Somebody holds the one in the middle until both wait: whoever began at the wrong end would wait for ever."""
    names = sorted((("cid", value) for value in "xyz"), key=lambda name: _key(1, *name))
    held, may_end, begun = threading.Event(), threading.Event(), list[str]()

    def hold(conn: Connection) -> None:
        lock_names(conn, 1, names[1:2])
        held.set()
        assert await_only(asyncio.to_thread(may_end.wait, PATIENCE_S))

    def lock(conn: Connection, ordered: list[tuple[str, str]]) -> None:
        begun.append(ordered[0][1])
        lock_names(conn, 1, ordered)

    holder, third = asyncio.create_task(asyncio.to_thread(other.transact, hold)), Database(duel.other.name)
    await asyncio.to_thread(held.wait, PATIENCE_S)
    both = [
        asyncio.create_task(asyncio.to_thread(database.transact, lock, ordered))
        for database, ordered in ((duel.transport.database, names), (third, names[::-1]))
    ]
    await duel.until_waiting(2)
    may_end.set()
    await asyncio.gather(holder, *both)
    await third.close()
    assert len(begun) == 2, "nobody had to begin again"


async def test_two_that_start_at_once_migrate_once(engine: str, postgresql: Cluster) -> None:
    name = postgresql.new_database("template0")
    databases = [Database(postgresql.url(name)) for _ in range(3)]
    done = await asyncio.gather(*(asyncio.to_thread(migrate, database) for database in databases))
    assert sorted(done, key=str) == [("0001", HEAD), ("0001", HEAD), (None, HEAD)]
    for database in databases:
        await database.close()


async def test_only_one_purges_at_a_time(duel: Duel) -> None:
    site_id = duel.transport.site.site_id
    duel.other.transact(insert_quarantine, site_id, 1_000, [Refused("malformed_json", "", b"{")])
    much_later = 10**13
    assert not duel.fight(lambda conn: lock_alone(conn, PURGE), lambda conn: purge_quarantine(conn, much_later)), (
        "whoever comes second leaves it to the first"
    )
    assert duel.other.read_now(count_quarantine, site_id) == 1
    assert duel.other.transact(purge_quarantine, much_later) == 1


# ---- the recorder ----


@pytest.fixture
async def recorder(
    database_url: str, transport: StoreTransport, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Recorder]:
    """A recorder that waits for locks no longer than 300 ms."""
    monkeypatch.setattr(postgresql_module, "STATEMENT_TIMEOUT_MS", 300)
    database = Database(database_url)
    recorder = Recorder(database, transport.erasures, lambda: 1, transport.fresh_id)
    await recorder.start()
    yield recorder
    await recorder.stop()
    await database.close()


async def test_an_event_that_another_collector_stores_meanwhile_is_a_duplicate(
    stage: Stage, duel: Duel, recorder: Recorder
) -> None:
    browser, neighbour = stage.browser(), stage.browser()
    await browser.tracks()
    await neighbour.tracks()
    twice, once = await kept(browser, browser.tracks()), await kept(neighbour, neighbour.tracks())
    written, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def held(conn: Connection) -> None:
        duel.record(conn, twice)
        loop.call_soon_threadsafe(written.set)
        assert await_only(asyncio.to_thread(may_end.wait, PATIENCE_S))

    first = asyncio.create_task(asyncio.to_thread(duel.other.transact, held))
    await written.wait()
    both = asyncio.gather(recorder.record(twice), recorder.record(once))
    while not await asyncio.to_thread(duel.other_look, waiting):
        assert not both.done()
    may_end.set()
    await first
    assert [(receipt.accepted, receipt.duplicate) for receipt in await both] == [(0, 1), (1, 0)]
    assert count(duel.other, schema.events) == 4


def waiting(conn: Connection) -> int:
    """How many transactions wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return int(conn.scalar(text(query)) or 0)


async def test_a_table_that_somebody_locks_is_given_up_and_recovers(
    stage: Stage, duel: Duel, recorder: Recorder
) -> None:
    browser = stage.browser()
    arrival = await kept(browser, browser.tracks())
    locked, may_end = threading.Event(), threading.Event()

    def lock(conn: Connection) -> None:
        conn.execute(text("LOCK TABLE events"))
        locked.set()
        assert await_only(asyncio.to_thread(may_end.wait, PATIENCE_S))

    holder = asyncio.create_task(asyncio.to_thread(duel.other.transact, lock))
    await asyncio.to_thread(locked.wait, PATIENCE_S)
    with pytest.raises(StorageUnavailable):
        await recorder.record(arrival)
    assert not recorder.ready
    assert not await recorder.probe()
    may_end.set()
    await holder
    assert (await recorder.record(arrival)).accepted == 1
    assert recorder.ready


async def test_a_connection_that_the_server_ends_is_replaced(stage: Stage, duel: Duel, recorder: Recorder) -> None:
    browser = stage.browser()
    assert (await recorder.record(await kept(browser, browser.tracks()))).accepted == 1
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"
    assert duel.other_look(lambda conn: conn.scalar(text(ended))) > 0
    arrival = await kept(browser, browser.tracks())
    for _ in range(3):
        try:
            receipt = await recorder.record(arrival)
            break
        except StorageUnavailable:
            continue
    assert receipt.accepted + receipt.duplicate == 1
    assert duel.other_look(lambda conn: conn.scalar(select(func.count()).select_from(schema.events))) == 2


async def test_a_connection_lost_before_the_answer_to_the_commit_is_no_success(
    stage: Stage, duel: Duel, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = stage.browser()
    arrival = await kept(browser, browser.tracks())
    with monkeypatch.context() as patch:
        patch.setattr("collector.recorder.commit.record_group", _recorded_and_cut_off)
        with pytest.raises(StorageUnavailable):
            await recorder.record(arrival)
    assert (await recorder.record(arrival)).accepted == 1


def _recorded_and_cut_off(conn: Connection, *rest: Any) -> list[Receipt]:
    receipts = record_group(conn, *rest)
    driver: Any = conn.connection.driver_connection
    driver.terminate()
    return receipts
