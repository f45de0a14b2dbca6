"""Committing a group: one transaction, tried again where that helps, and cut in halves where the data is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

from collector import metrics
from collector.domain.event import Arrival, EventCode, Receipt, Rejection
from collector.recorder.group import raw_event, record_group
from collector.recorder.memory import Memory
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.locks import Changed

ATTEMPTS_BESIDE_OTHERS = 4
FULL = frozenset({"SQLITE_FULL", "53100"})

log = structlog.get_logger()


class StorageUnavailable(Exception):
    """The database is busy, away or full, or its answer was lost; nothing may be acknowledged. Answer 503."""

    def __init__(self, code: str = "storage_unavailable", retry_after_s: int = 5) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after_s = retry_after_s


def unavailable(error: BaseException) -> StorageUnavailable:
    """What to raise instead of an error of the database, after it was logged."""
    orig = getattr(error, "orig", None)
    name = getattr(orig, "sqlite_errorname", None) or getattr(orig, "sqlstate", None) or type(error).__name__
    log.error("storage_unavailable", reason=name)
    return StorageUnavailable("storage_full" if name in FULL else "storage_unavailable")


class Committer:
    """Records groups, one at a time. `now` is ms UTC, `fresh_id` mints ids.

    `on_decided` is called in the writer's thread when a group is decided and nothing is left but to commit it, with the
    receipts that `commit` returns if that succeeds.
    """

    def __init__(
        self,
        database: Database,
        erasures: Erasures,
        now: Callable[[], int],
        fresh_id: Callable[[], str],
        on_decided: Callable[[Sequence[Receipt]], None],
    ) -> None:
        self._database = database
        self._erasures = erasures
        self._now = now
        self._fresh_id = fresh_id
        self._on_decided = on_decided
        self._memory = Memory()

    async def commit(self, arrivals: Sequence[Arrival], attempt: int = 1) -> list[Receipt]:
        """Record `arrivals` in one transaction; if the data is refused, in halves, down to the culprit.

        Raises `StorageUnavailable`. Beside other collectors even a wary attempt can meet an event that one of them has
        just stored.
        """
        now = self._now()
        self._memory.age(now)
        try:
            with metrics.COMMIT_SECONDS.time():
                return await self._database.write(self._decide, arrivals, now)
        except (OperationalError, OSError, Changed) as error:
            self._memory.forget()
            raise unavailable(error) from error
        except Exception as error:
            was_wary = self._memory.wary > 0
            self._memory.forget()
            is_beaten = self._database.has_rivals and attempt < ATTEMPTS_BESIDE_OTHERS
            if isinstance(error, IntegrityError) and (is_beaten or not was_wary):
                return await self.commit(arrivals, attempt + 1)
            if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError | DataError | InterfaceError):
                raise unavailable(error) from error
            log.warning("group_refused", requests=len(arrivals), error=type(error).__name__)
            return await self._commit_halves(arrivals)

    def _decide(self, conn: Connection, arrivals: Sequence[Arrival], now: int) -> list[Receipt]:
        receipts = record_group(conn, arrivals, now, self._fresh_id, self._erasures, self._memory)
        self._on_decided(receipts)
        return receipts

    async def _commit_halves(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        if len(arrivals) > 1:
            half = len(arrivals) // 2
            return [*await self.commit(arrivals[:half]), *await self.commit(arrivals[half:])]
        arrival = arrivals[0]
        if len(arrival.events) > 1:
            return [await self._split(arrival)]
        if not arrival.events:
            raise StorageUnavailable
        return await self.commit([_refused_by_storage(arrival)])

    async def _split(self, arrival: Arrival) -> Receipt:
        half = len(arrival.events) // 2
        indexes = arrival.indexes or tuple(range(len(arrival.events)))
        first = replace(arrival, events=arrival.events[:half], indexes=indexes[:half])
        second = replace(arrival, events=arrival.events[half:], indexes=indexes[half:], rejections=())
        return join_receipts([*await self.commit([first]), *await self.commit([second])])


def _refused_by_storage(arrival: Arrival) -> Arrival:
    """The one event of `arrival` as a rejection: the database refuses it, now and for ever."""
    event = arrival.events[0]
    index = arrival.indexes[0] if arrival.indexes else 0
    rejection = Rejection(index, EventCode.STORAGE_REJECTED, "", raw_event(event), event.event_id)
    return replace(arrival, events=(), indexes=(), rejections=(*arrival.rejections, rejection))


def join_receipts(parts: Sequence[Receipt]) -> Receipt:
    """One receipt for an arrival that was recorded in parts."""
    return Receipt(
        accepted=sum(part.accepted for part in parts),
        duplicate=sum(part.duplicate for part in parts),
        quarantined=sum(part.quarantined for part in parts),
        suppressed=sum(part.suppressed for part in parts),
        contact_id=next((part.contact_id for part in reversed(parts) if part.contact_id), None),
        device_id=next((part.device_id for part in reversed(parts) if part.contact_id), parts[-1].device_id),
        outcomes=tuple(sorted((o for part in parts for o in part.outcomes), key=lambda outcome: outcome.index)),
    )
