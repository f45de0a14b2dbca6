"""Group commit: one task drains the queue into a transaction; what arrives meanwhile is the next group.

A caller of `record` is answered after the commit and its fsync, never before. The queue is bounded; when it is full
the caller hears so at once and the browser keeps its events. While the disk works the loop prepares the answers and
parses what is next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy.exc import DatabaseError

from collector import metrics
from collector.domain.event import Arrival, Receipt
from collector.recorder.commit import Committer, StorageUnavailable, unavailable
from collector.store.consents import Consent
from collector.store.database import Database
from collector.store.erasure import Erasures, record_consent
from collector.store.quarantine import Refused, insert_quarantine, purge_quarantine
from collector.store.sites import probe

GROUP_EVENTS = 2000
GROUP_BYTES = 6 * 1024 * 1024  # of requests, so that one transaction does not make SQLite's log much longer
QUIET_TURNS = 5  # of the loop, in which nothing came; after one, half of what was on its way was often left behind
REFUSAL_COUNTS_S = 1.0
SUCCESS_COUNTS_S = 1.0  # where the database is another machine's: it may be away and nobody has noticed yet
PURGE_INTERVAL_MS = 60_000
PURGE_AFTER_ROWS = 1000
PURGE_AFTER_BYTES = 10 * 1024 * 1024

Give = Callable[[], None]
# Makes the answer to a request of what became of it: stored, or why it was not. It may be asked for several before one
# is true; that one is given, once.
Answer = Callable[[Receipt | Exception], Give]

log = structlog.get_logger()


def answer_with(future: asyncio.Future[Receipt]) -> Answer:
    """The answer to who awaits `future`."""
    return lambda outcome: partial(_fulfil, future, outcome)


def _fulfil(future: asyncio.Future[Receipt], outcome: Receipt | Exception) -> None:
    if future.done():  # nobody waits any longer
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class QueueFull(Exception):
    """More waits than the queue may hold; nothing was stored. Answer 503."""

    code = "storage_unavailable"
    retry_after_s = 2


@dataclass(slots=True)
class _Waiting:
    read: Callable[[], Arrival]
    answer: Answer
    prepared: tuple[Receipt, Give] | None = None  # if that is what becomes of it

    def prepare(self, receipt: Receipt) -> None:
        """Make the answer for when it is stored."""
        self.prepared = receipt, self.answer(receipt)

    def tell(self, outcome: Receipt | Exception) -> None:
        """Give the answer."""
        if self.prepared is not None and self.prepared[0] is outcome:
            self.prepared[1]()
        else:
            self.answer(outcome)()


@dataclass(slots=True)
class _Group:
    """Requests that have been parsed, how many events they brought, and of how many bytes they were."""

    members: list[tuple[_Waiting, Arrival]] = field(default_factory=list)
    events: int = 0
    size: int = 0

    def add(self, waiting: _Waiting, arrival: Arrival) -> None:
        self.members.append((waiting, arrival))
        self.events += len(arrival.events) + len(arrival.rejections)
        self.size += arrival.size

    @property
    def is_full(self) -> bool:
        return self.events >= GROUP_EVENTS or self.size >= GROUP_BYTES


@dataclass(slots=True)
class _Growth:
    """What came into the quarantine since it was last brought back to its bounds."""

    rows: int = 0
    size: int = 0

    def add(self, rows: int, size: int) -> None:
        self.rows += rows
        self.size += size

    @property
    def is_much(self) -> bool:
        return self.rows >= PURGE_AFTER_ROWS or self.size >= PURGE_AFTER_BYTES


class Recorder:
    """Owns the queue and the task that empties it. `now` is ms UTC, `fresh_id` mints ids."""

    def __init__(
        self,
        database: Database,
        erasures: Erasures,
        now: Callable[[], int],
        fresh_id: Callable[[], str],
        queue_size: int = 2000,
    ) -> None:
        self._database = database
        self._erasures = erasures
        self._now = now
        self._fresh_id = fresh_id
        self._committer = Committer(database, erasures, now, fresh_id, self._on_decided)
        self._queue_size = queue_size
        self._waiting: deque[_Waiting] = deque()
        self._next = _Group()  # what was taken from `_waiting` already
        self._committing = _Group()
        self._may_read_ahead = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._refused_at = -REFUSAL_COUNTS_S
        self._purged_at = 0
        self._quarantined = _Growth()  # since then
        self._is_able = True
        self._stored_at = -SUCCESS_COUNTS_S

    @property
    def ready(self) -> bool:
        """Whether the last attempt to store succeeded, as far as is known without asking."""
        if self._is_able and self._database.has_rivals:
            return asyncio.get_running_loop().time() - self._stored_at < SUCCESS_COUNTS_S
        return self._is_able

    def _note(self, *, is_able: bool) -> None:
        self._is_able = is_able
        if is_able:
            self._stored_at = asyncio.get_running_loop().time()

    async def start(self) -> None:
        """Begin to empty the queue."""
        metrics.watch_queue(lambda: self._queued)
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def stop(self, grace_s: float = 10) -> None:
        """Record what waits, for at most `grace_s`; what is left then is refused, so that its sender keeps it."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, grace_s)
        _refuse([*(waiting for waiting, _ in self._next.members), *self._waiting], StorageUnavailable())
        self._waiting.clear()
        self._next = _Group()

    async def record(self, arrival: Arrival) -> Receipt:
        """Store one request's events; returns once they are on disk.

        Raises `QueueFull` or `StorageUnavailable`, and then the sender has to keep its events.
        """
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.enqueue(lambda: arrival, answer_with(answer))
        return await answer

    def enqueue(self, read: Callable[[], Arrival], answer: Answer) -> None:
        """`record` for a request that `read` parses when its turn comes; `answer` hears what `read` raises, too.

        Raises `QueueFull` at once. Parsed one after the other, requests find their code in the processor's cache.
        """
        if self._stopping or self._queued >= self._queue_size:
            raise QueueFull
        self._waiting.append(_Waiting(read, answer))
        self._wake.set()
        if self._may_read_ahead:
            self._loop.call_soon(self._read_ahead)

    @property
    def _queued(self) -> int:
        return len(self._waiting) + len(self._next.members)

    async def quarantine_raw(self, site_id: int, received_at: int, refused: Refused) -> None:
        """Keep a body that could not be parsed at all. Raises `StorageUnavailable`."""
        try:
            await self._database.write(insert_quarantine, site_id, received_at, [refused])
        except DatabaseError as error:
            raise unavailable(error) from error
        self._quarantined.add(1, len(refused.raw))
        await self._maintain()  # there may be nothing but such bodies

    async def record_consent(self, site_id: int, consent: Consent) -> None:
        """Keep a visitor's decision. Raises `StorageUnavailable`."""
        try:
            await self._database.write(record_consent, site_id, consent, self._erasures)
        except DatabaseError as error:
            raise unavailable(error) from error

    async def probe(self) -> bool:
        """Whether the database can store right now; asked by `/readyz` while `ready` is False.

        A group that was refused a moment ago says more than the few bytes written here, which may still fit.
        """
        if asyncio.get_running_loop().time() - self._refused_at < REFUSAL_COUNTS_S:
            return False
        try:
            await self._database.write(probe, self._fresh_id())
        except DatabaseError:
            self._note(is_able=False)
        else:
            self._note(is_able=True)
        return self._is_able

    async def _run(self) -> None:
        while self._queued or not self._stopping:
            if not self._queued:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._may_read_ahead = False
            await self._settle()
            group = self._take_group()
            try:
                await self._record(group)
            except Exception:
                log.exception("group_failed", requests=len(group.members))
                _refuse([waiting for waiting, _ in group.members], StorageUnavailable())
            await self._maintain()

    async def _settle(self) -> None:
        """Let the loop take in what has already arrived, or is just arriving: all of it can share one transaction."""
        quiet_turns = 0
        while quiet_turns < QUIET_TURNS and self._queued < GROUP_EVENTS and not self._next.is_full:
            before = self._queued
            await asyncio.sleep(0)
            quiet_turns = 0 if self._queued > before else quiet_turns + 1

    def _take_group(self) -> _Group:
        """The oldest waiting requests, together at most about GROUP_EVENTS events and GROUP_BYTES."""
        while self._waiting and not self._next.is_full:
            self._read_next()
        group, self._next = self._next, _Group()
        return group

    def _read_next(self) -> None:
        """Parse the oldest waiting request for the next group."""
        waiting = self._waiting.popleft()
        try:
            self._next.add(waiting, waiting.read())
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who waits is told
            _refuse([waiting], error)

    def _on_decided(self, receipts: Sequence[Receipt]) -> None:
        """The writer has nothing left to do but to commit; called where it runs, which is not the loop's thread."""
        self._may_read_ahead = True  # what comes later looks for itself
        self._loop.call_soon_threadsafe(self._use_the_wait, receipts)

    def _use_the_wait(self, receipts: Sequence[Receipt]) -> None:
        members = self._committing.members
        if len(receipts) == len(members):  # and not a part of them, after the whole was refused
            with suppress(Exception):  # it comes again, and is logged, when the answer is due
                for (waiting, _), receipt in zip(members, receipts, strict=True):
                    waiting.prepare(receipt)
        self._read_ahead()

    def _read_ahead(self) -> None:
        """Parse one request in each turn of the loop, so that a commit that has ended waits for no more than that."""
        if self._may_read_ahead and self._waiting and not self._next.is_full:
            self._read_next()
            self._loop.call_soon(self._read_ahead)

    async def _record(self, group: _Group) -> None:
        if not group.members:
            return
        self._committing = group
        arrivals = [arrival for _, arrival in group.members]
        metrics.GROUP_EVENTS.observe(group.events)
        try:
            receipts = await self._committer.commit(arrivals)
        except StorageUnavailable as error:
            self._note(is_able=False)
            self._refused_at = asyncio.get_running_loop().time()
            _refuse([waiting for waiting, _ in group.members], error)
            return
        self._note(is_able=True)
        metrics.count_receipts(receipts)
        for (waiting, arrival), receipt in zip(group.members, receipts, strict=True):
            if receipt.quarantined:
                kept = sum(len(rejection.raw) for rejection in arrival.rejections)
                self._quarantined.add(receipt.quarantined, kept)
            _tell(waiting, receipt)

    async def _maintain(self) -> None:
        """Between groups: checkpoints, and the bounds of the quarantine. A failure is retried and hurts nobody."""
        now = self._now()
        try:
            await self._database.checkpoint_if_due()
            if self._quarantined.is_much or now - self._purged_at >= PURGE_INTERVAL_MS:
                self._purged_at, self._quarantined = now, _Growth()
                await self._database.write(purge_quarantine, now)
        except DatabaseError as error:
            unavailable(error)


def _refuse(waiting: Iterable[_Waiting], error: Exception) -> None:
    for each in waiting:
        _tell(each, error)


def _tell(waiting: _Waiting, outcome: Receipt | Exception) -> None:
    try:
        waiting.tell(outcome)
    except Exception:
        log.exception("answer_failed")
