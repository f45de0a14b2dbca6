"""The recorder with a real database: who is answered when, what a refused event costs its neighbours, and outages."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.util import await_only

from collector.domain.event import Arrival, EventCode, Receipt, Rejection
from collector.recorder import QueueFull, Recorder, StorageUnavailable
from collector.recorder import commit as commit_module
from collector.recorder import queue as queue_module
from collector.recorder.commit import Committer
from collector.recorder.group import record_group
from collector.store import driver
from collector.store import events as events_module
from collector.store import mover as mover_module
from collector.store import quarantine as quarantine_module
from collector.store import sqlite as sqlite_module
from collector.store.consents import Consent
from collector.store.database import Database
from collector.store.quarantine import Refused
from collector.store.schema import consents, events, id_text, quarantine
from tests.stage import Browser, Stage
from tests.store.engines import only_on_sqlite
from tests.store_transport import StoreTransport


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database that is given up after 50 ms instead of 2 s when it is busy."""
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_MS", 50)
    pragmas = (*sqlite_module.WRITER_PRAGMAS, "busy_timeout=50")
    monkeypatch.setattr(sqlite_module, "WRITER_PRAGMAS", pragmas)
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def recorder(database: Database, transport: StoreTransport) -> AsyncIterator[Recorder]:
    """A recorder at work."""
    recorder = make_recorder(database, transport)
    await recorder.start()
    yield recorder
    await recorder.stop()


@pytest.fixture
def browser(stage: Stage) -> Browser:
    """A browser that keeps what it tracks, for tests that deliver it themselves."""
    return Browser(stage, offline=True)


def make_recorder(database: Database, transport: StoreTransport, queue_size: int = 100) -> Recorder:
    clock = itertools.count(1)
    return Recorder(database, transport.erasures, lambda: next(clock), transport.fresh_id, queue_size)


def enqueued(recorder: Recorder, read: Callable[[], Arrival]) -> asyncio.Future[Receipt]:
    """What becomes of a request that is parsed when its turn comes."""
    answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    recorder.enqueue(read, queue_module.answer_with(answer))
    return answer


async def request(browser: Browser, transport: StoreTransport, events: int = 1) -> Arrival:
    """A request with that many page views."""
    for _ in range(events):
        await browser.tracks("page", "view")
    sent, browser.outbox = browser.outbox, []
    return transport.arrival(browser.letter(sent))


def stored_ids(database: Database) -> list[str]:
    """What another process would find on disk."""
    return database.read_now(lambda conn: list(conn.scalars(select(events.c.event_id).order_by(events.c.row_id))))


def quarantined(database: Database) -> list[tuple[str, bytes]]:
    query = select(quarantine.c.code, quarantine.c.raw).order_by(quarantine.c.quarantine_id)
    return [(code, raw) for code, raw in database.read_now(lambda conn: conn.execute(query).all())]


class Gate:
    """Holds the recorder inside its first transaction, after everything was written and before the commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written, self.may_commit = threading.Event(), threading.Event()
        self.groups: list[int] = []  # requests in each transaction
        self._really_record = record_group
        monkeypatch.setattr(commit_module, "record_group", self._record)

    def _record(self, conn: Connection, arrivals: Sequence[Arrival], *rest: Any) -> list[Receipt]:
        receipts = self._really_record(conn, arrivals, *rest)
        self.groups.append(len(arrivals))
        self.hold(conn)
        return receipts

    def hold(self, conn: Connection) -> None:
        self.written.set()
        if conn.dialect.driver == "asyncpg":
            assert await_only(asyncio.to_thread(self.may_commit.wait, 10))
        else:
            assert self.may_commit.wait(10)


class SlowDisk(Gate):
    """Holds it later: when nothing is left to do but to commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        really_decide = Committer._decide

        def decide(committer: Committer, conn: Connection, *rest: Any) -> list[Receipt]:
            receipts = really_decide(committer, conn, *rest)
            self.hold(conn)
            return receipts

        monkeypatch.setattr(Committer, "_decide", decide)

    def _record(self, conn: Connection, arrivals: Sequence[Arrival], *rest: Any) -> list[Receipt]:
        return self._really_record(conn, arrivals, *rest)


def refuse(monkeypatch: pytest.MonkeyPatch, culprits: set[str]) -> None:
    """Let the database refuse certain events, as a constraint would."""
    really_insert = events_module.insert_events

    def insert_events(conn: Connection, rows: Sequence[tuple[Any, ...]], notes: dict[int, Any]) -> None:
        if any(id_text(row[1]) in culprits for row in rows):
            raise IntegrityError("INSERT INTO events", None, Exception("refused"))
        really_insert(conn, rows, notes)

    monkeypatch.setattr(events_module, "insert_events", insert_events)


async def test_nobody_is_answered_before_the_commit(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    arrival = await request(browser, transport)
    answer = asyncio.create_task(recorder.record(arrival))
    await asyncio.to_thread(gate.written.wait, 10)
    assert not answer.done()
    assert stored_ids(database) == []
    gate.may_commit.set()
    assert (await answer).accepted == 1
    assert stored_ids(database) == [arrival.events[0].event_id]


async def test_what_arrives_during_a_commit_is_the_next_group(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    arrivals = [await request(browser, transport, 2) for _ in range(5)]
    first = asyncio.create_task(recorder.record(arrivals[0]))
    await asyncio.to_thread(gate.written.wait, 10)
    others = [asyncio.create_task(recorder.record(arrival)) for arrival in arrivals[1:]]
    await asyncio.sleep(0)
    gate.may_commit.set()
    receipts = await asyncio.gather(first, *others)
    assert gate.groups == [1, 4]
    assert [receipt.accepted for receipt in receipts] == [2] * 5
    assert stored_ids(database) == [event.event_id for arrival in arrivals for event in arrival.events]


async def test_what_arrives_while_the_disk_works_is_parsed_at_once(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    arrivals = [await request(browser, transport) for _ in range(3)]
    first = asyncio.create_task(recorder.record(arrivals[0]))
    await asyncio.to_thread(disk.written.wait, 10)
    parsed: asyncio.Queue[Arrival] = asyncio.Queue()

    def read(arrival: Arrival) -> Arrival:
        parsed.put_nowait(arrival)
        return arrival

    def fail() -> Arrival:
        raise ValueError("a bug")

    others = [enqueued(recorder, partial(read, arrival)) for arrival in arrivals[1:]]
    with pytest.raises(ValueError, match="a bug"):
        await asyncio.wait_for(enqueued(recorder, fail), 10)
    assert [await asyncio.wait_for(parsed.get(), 10) for _ in others] == arrivals[1:]
    assert not first.done()
    assert stored_ids(database) == []
    disk.may_commit.set()
    assert [receipt.accepted for receipt in await asyncio.gather(first, *others)] == [1, 1, 1]
    assert stored_ids(database) == [arrival.events[0].event_id for arrival in arrivals]


class Answers:
    """What was prepared for a request, and what was given."""

    def __init__(self) -> None:
        self.prepared: list[Receipt | Exception] = []
        self.is_prepared = asyncio.Event()
        self.given: asyncio.Queue[Receipt | Exception] = asyncio.Queue()

    def __call__(self, outcome: Receipt | Exception) -> Callable[[], None]:
        self.prepared.append(outcome)
        self.is_prepared.set()
        return partial(self.given.put_nowait, outcome)

    async def next(self) -> Receipt | Exception:
        return await asyncio.wait_for(self.given.get(), 10)


async def test_answers_are_prepared_while_the_disk_works_and_given_after_the_commit(
    recorder: Recorder, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, answers = SlowDisk(monkeypatch), Answers()
    arrival = await request(browser, transport)
    recorder.enqueue(lambda: arrival, answers)
    await asyncio.to_thread(disk.written.wait, 10)
    await asyncio.wait_for(answers.is_prepared.wait(), 10)
    assert answers.given.empty()
    disk.may_commit.set()
    given = await answers.next()
    assert isinstance(given, Receipt)
    assert answers.prepared == [given]


async def test_an_answer_that_was_prepared_for_a_commit_that_failed_is_not_given(
    recorder: Recorder, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, answers = SlowDisk(monkeypatch), Answers()
    hold = disk.hold

    def fail(conn: Connection) -> None:
        hold(conn)
        raise OperationalError("COMMIT", None, Exception("disk full"))

    monkeypatch.setattr(disk, "hold", fail)
    arrival = await request(browser, transport)
    recorder.enqueue(lambda: arrival, answers)
    await asyncio.to_thread(disk.written.wait, 10)
    await asyncio.wait_for(answers.is_prepared.wait(), 10)
    disk.may_commit.set()
    assert isinstance(await answers.next(), StorageUnavailable)
    assert answers.given.empty()


async def test_an_answer_that_cannot_be_prepared_costs_nobody_else_theirs(
    recorder: Recorder, transport: StoreTransport, browser: Browser
) -> None:
    def fail(_: Receipt | Exception) -> Callable[[], None]:
        raise ValueError("a bug")

    arrivals, answers = [await request(browser, transport) for _ in range(2)], Answers()
    recorder.enqueue(lambda: arrivals[0], fail)
    recorder.enqueue(lambda: arrivals[1], answers)
    assert isinstance(await answers.next(), Receipt)


async def test_what_was_parsed_ahead_counts_as_waiting(
    database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    recorder = make_recorder(database, transport, queue_size=1)
    await recorder.start()
    arrivals = [await request(browser, transport) for _ in range(2)]
    first = asyncio.create_task(recorder.record(arrivals[0]))
    await asyncio.to_thread(disk.written.wait, 10)
    parsed = asyncio.Event()

    def read() -> Arrival:
        parsed.set()
        return arrivals[1]

    second = enqueued(recorder, read)
    await asyncio.wait_for(parsed.wait(), 10)
    with pytest.raises(QueueFull):
        enqueued(recorder, read)
    await recorder.stop(grace_s=0)
    with pytest.raises(StorageUnavailable):
        await second
    first.cancel()
    disk.may_commit.set()


async def test_groups_are_bounded_in_events(
    recorder: Recorder, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "GROUP_EVENTS", 6)
    gate = Gate(monkeypatch)
    gate.may_commit.set()
    arrivals = [await request(browser, transport, 2) for _ in range(8)]
    await asyncio.gather(*(recorder.record(arrival) for arrival in arrivals))
    assert gate.groups == [3, 3, 2]


async def test_groups_are_bounded_in_bytes(
    recorder: Recorder, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "GROUP_BYTES", 2000)
    gate = Gate(monkeypatch)
    gate.may_commit.set()
    sizes = (10, 2000, 10, 10, 1000, 1000, 10)
    arrivals = [replace(await request(browser, transport), size=size) for size in sizes]
    await asyncio.gather(*(recorder.record(arrival) for arrival in arrivals))
    assert gate.groups == [2, 4, 1]


async def test_repeat_inside_a_group_is_a_duplicate(
    database: Database, transport: StoreTransport, browser: Browser
) -> None:
    arrival = await request(browser, transport)
    first, second = transport.record(arrival, arrival)
    assert (first.accepted, first.duplicate) == (1, 0)
    assert (second.accepted, second.duplicate) == (0, 1)
    assert [(outcome.status, outcome.event_id) for outcome in second.outcomes] == [
        ("duplicate", arrival.events[0].event_id)
    ]
    assert stored_ids(database) == [arrival.events[0].event_id]


async def test_repeat_in_a_later_group_is_a_duplicate(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser
) -> None:
    arrival = await request(browser, transport, 2)
    first, again = await recorder.record(arrival), await recorder.record(arrival)
    assert (first.accepted, again.accepted, again.duplicate) == (2, 0, 2)
    assert (again.device_id, again.contact_id) == (first.device_id, first.contact_id)
    assert len(stored_ids(database)) == 2


async def test_repeat_where_none_was_expected_costs_its_neighbours_nothing(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser
) -> None:
    old, new, newer = [await request(browser, transport) for _ in range(3)]
    await recorder.record(old)
    recorder._committer._memory.wary = 0
    await recorder.record(new)
    receipts = await asyncio.gather(recorder.record(old), recorder.record(newer), recorder.record(new))
    assert [(receipt.accepted, receipt.duplicate) for receipt in receipts] == [(0, 1), (1, 0), (0, 1)]
    assert stored_ids(database) == [arrival.events[0].event_id for arrival in (old, new, newer)]
    assert recorder._committer._memory.wary > 0


async def test_event_that_the_database_refuses_costs_its_neighbours_nothing(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = [await request(browser, transport, 5) for _ in range(3)]
    culprit = arrivals[1].events[3]
    refuse(monkeypatch, {culprit.event_id})
    receipts = await asyncio.gather(*(recorder.record(arrival) for arrival in arrivals))
    assert [(receipt.accepted, receipt.quarantined) for receipt in receipts] == [(5, 0), (4, 1), (5, 0)]
    (outcome,) = receipts[1].outcomes
    assert (outcome.index, outcome.event_id, outcome.status) == (3, culprit.event_id, "quarantined")
    assert outcome.code == EventCode.STORAGE_REJECTED
    everything = {event.event_id for arrival in arrivals for event in arrival.events}
    assert set(stored_ids(database)) == everything - {culprit.event_id}
    ((code, raw),) = quarantined(database)
    assert code == "storage_rejected"
    assert culprit.event_id.encode() in raw


async def test_several_refused_events_are_each_found(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = await request(browser, transport, 7)
    refuse(monkeypatch, {arrival.events[place].event_id for place in (0, 1, 6)})
    receipt = await recorder.record(arrival)
    assert [outcome.index for outcome in receipt.outcomes] == [0, 1, 6]
    assert (receipt.accepted, receipt.quarantined) == (4, 3)
    assert stored_ids(database) == [event.event_id for event in arrival.events[2:6]]


async def test_refused_event_keeps_its_place_among_rejections(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two events of five were refused by the parser already: the places in the batch are not those in the arrival."""
    whole = await request(browser, transport, 3)
    arrival = Arrival(
        whole.site,
        whole.received_at,
        whole.device_id,
        None,
        whole.events,
        indexes=(1, 2, 4),
        rejections=(
            Rejection(0, EventCode.MISSING_ID, "event_id", b"{}"),
            Rejection(3, EventCode.TOO_DEEP, "", b"{}"),
        ),
    )
    refuse(monkeypatch, {whole.events[2].event_id})
    receipt = await recorder.record(arrival)
    assert (receipt.accepted, receipt.quarantined) == (2, 3)
    assert [(outcome.index, outcome.code) for outcome in receipt.outcomes] == [
        (0, "missing_id"),
        (3, "too_deep"),
        (4, "storage_rejected"),
    ]
    assert sorted(code for code, _ in quarantined(database)) == ["missing_id", "storage_rejected", "too_deep"]


async def test_bug_in_one_request_does_not_stop_the_recorder(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await request(browser, transport), await request(browser, transport)
    really_insert = events_module.insert_events

    def insert_events(conn: Connection, rows: Sequence[tuple[Any, ...]], notes: dict[int, Any]) -> None:
        if any(id_text(row[1]) == bad.events[0].event_id for row in rows):
            raise KeyError("a bug")
        really_insert(conn, rows, notes)

    monkeypatch.setattr(events_module, "insert_events", insert_events)
    receipts = await asyncio.gather(recorder.record(bad), recorder.record(good))
    assert [(receipt.accepted, receipt.quarantined) for receipt in receipts] == [(0, 1), (1, 0)]
    assert stored_ids(database) == [good.events[0].event_id]


async def test_full_queue_refuses_at_once(database: Database, transport: StoreTransport, browser: Browser) -> None:
    recorder = make_recorder(database, transport, queue_size=2)
    arrivals = [await request(browser, transport) for _ in range(3)]
    waiting = [asyncio.create_task(recorder.record(arrival)) for arrival in arrivals[:2]]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await recorder.record(arrivals[2])
    await recorder.start()
    assert [(await answer).accepted for answer in waiting] == [1, 1]
    assert (await recorder.record(arrivals[2])).accepted == 1, "there is room again"
    await recorder.stop()


@only_on_sqlite
async def test_busy_database_refuses_and_recovers(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser
) -> None:
    arrival, later = await request(browser, transport), await request(browser, transport)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable) as refused:
            await recorder.record(arrival)
        assert refused.value.code == "storage_unavailable"
        assert refused.value.retry_after_s > 0
        assert not recorder.ready
        other.execute("ROLLBACK")
    assert stored_ids(database) == [], "what was refused was not stored"
    assert (await recorder.record(arrival)).accepted == 1, "the retry is stored, without a restart"
    assert recorder.ready
    assert (await recorder.record(later)).accepted == 1


@only_on_sqlite
@pytest.mark.parametrize("where", [mover_module, sqlite_module])
async def test_checkpoint_that_fails_stops_nothing(
    recorder: Recorder,
    database: Database,
    transport: StoreTransport,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    where: ModuleType,
) -> None:
    tried: list[str] = []

    def execute(connection: sqlite3.Connection, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if "wal_checkpoint" in text:
            tried.append(text)
            text = "SELECT nothing FROM nowhere"
        return driver.execute(connection, text, values)

    monkeypatch.setattr(sqlite_module, "LONG_LOG_BYTES", 0)
    monkeypatch.setattr(sqlite_module, "ROWS_BETWEEN_CHECKPOINTS", (1, 1_000))
    monkeypatch.setattr(where, "execute", execute)
    arrivals: list[Arrival] = []
    async with asyncio.timeout(30):
        while not tried or len(arrivals) < 3:
            arrivals.append(await request(browser, transport))
            assert (await recorder.record(arrivals[-1])).accepted == 1
    assert stored_ids(database) == [arrival.events[0].event_id for arrival in arrivals]


@only_on_sqlite
async def test_another_process_that_writes_is_waited_for_and_then_given_up(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser
) -> None:
    arrival = await request(browser, transport)
    inside, may_end = threading.Event(), threading.Event()

    def occupy(_: Connection) -> None:
        inside.set()
        assert may_end.wait(10)

    command = Database(f"sqlite:///{database.path}")
    occupied = asyncio.create_task(asyncio.to_thread(command.transact, occupy))
    await asyncio.to_thread(inside.wait, 10)
    with pytest.raises(StorageUnavailable):
        await recorder.record(arrival)
    may_end.set()
    await occupied
    command.close_now()
    assert (await recorder.record(arrival)).accepted == 1


async def test_stopping_records_what_waits(database: Database, transport: StoreTransport, browser: Browser) -> None:
    recorder = make_recorder(database, transport)
    arrivals = [await request(browser, transport) for _ in range(3)]
    waiting = [asyncio.create_task(recorder.record(arrival)) for arrival in arrivals]
    await asyncio.sleep(0)
    await recorder.start()
    await recorder.stop()
    assert [(await answer).accepted for answer in waiting] == [1, 1, 1]
    with pytest.raises(QueueFull):
        await recorder.record(arrivals[0])


async def test_stopping_in_time_refuses_what_could_not_be_recorded(
    database: Database, transport: StoreTransport, browser: Browser
) -> None:
    recorder = make_recorder(database, transport)
    waiting = asyncio.create_task(recorder.record(await request(browser, transport)))
    await asyncio.sleep(0)
    await recorder.stop(grace_s=0)
    with pytest.raises(StorageUnavailable):
        await waiting
    assert stored_ids(database) == []


async def test_caller_who_gives_up_does_not_hurt_the_others(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    arrivals = [await request(browser, transport) for _ in range(2)]
    impatient = asyncio.create_task(recorder.record(arrivals[0]))
    await asyncio.to_thread(gate.written.wait, 10)
    impatient.cancel()
    patient = asyncio.create_task(recorder.record(arrivals[1]))
    gate.may_commit.set()
    assert (await patient).accepted == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert len(stored_ids(database)) == 2, "once begun, a transaction runs to its end"


async def test_body_that_could_not_be_parsed_is_kept(recorder: Recorder, database: Database) -> None:
    await recorder.quarantine_raw(1, 1_000, Refused("malformed_json", "", b"\xff{"))
    assert quarantined(database) == [("malformed_json", b"\xff{")]


@pytest.mark.parametrize("bound", ["rows", "bytes"])
async def test_nothing_but_such_bodies_keep_within_the_bounds_too(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Looked after before the next minute: once so many rows, or so many bytes, have come."""
    monkeypatch.setattr(queue_module, "PURGE_INTERVAL_MS", 10**12)
    monkeypatch.setattr(queue_module, "PURGE_AFTER_ROWS", 5 if bound == "rows" else 10**6)
    monkeypatch.setattr(queue_module, "PURGE_AFTER_BYTES", 50 if bound == "bytes" else 10**9)
    monkeypatch.setattr(quarantine_module, "MAX_ROWS", 3 if bound == "rows" else 10**6)
    monkeypatch.setattr(quarantine_module, "MAX_BYTES", 30 if bound == "bytes" else 10**9)
    sizes = []
    for number in range(12):
        await recorder.quarantine_raw(1, 1_000, Refused("malformed_json", "", b"{%9d" % number))
        sizes.append(len(quarantined(database)))
    assert max(sizes) <= 8, sizes
    assert sizes[4] == sizes[9] == 3, sizes


async def test_refused_events_keep_within_the_bounds_without_waiting_for_the_next_minute(
    recorder: Recorder, database: Database, transport: StoreTransport, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "PURGE_INTERVAL_MS", 10**12)
    monkeypatch.setattr(queue_module, "PURGE_AFTER_BYTES", 1_000)
    monkeypatch.setattr(quarantine_module, "MAX_BYTES", 1_000)
    for _ in range(5):
        arrival = await request(browser, transport)
        rejections = tuple(Rejection(index, EventCode.TOO_DEEP, "", b"x" * 300) for index in range(1, 4))
        assert (await recorder.record(replace(arrival, indexes=(0,), rejections=rejections))).quarantined == 3
    await recorder.stop()
    assert len(quarantined(database)) <= 6, "3 fit, and 900 bytes may come before they are looked at"


async def test_decision_about_consent_is_kept(
    recorder: Recorder, database: Database, transport: StoreTransport
) -> None:
    uid = transport.fresh_id()
    site_id = transport.site.site_id
    await recorder.record_consent(site_id, Consent(uid, "granted", 5, 6))
    await recorder.record_consent(site_id, Consent(None, "denied", 7, 8))
    columns = (consents.c.site_id, consents.c.uid, consents.c.state, consents.c.decided_at, consents.c.received_at)
    query = select(*columns).order_by(consents.c.consent_id)
    assert [tuple(row) for row in database.read_now(lambda conn: conn.execute(query).all())] == [
        (site_id, uid, "granted", 5, 6),
        (site_id, None, "denied", 7, 8),
    ]
