"""Deleting what sites keep no longer, beside recording and never in its way.

Slices of about 15 ms, each a transaction of its own that ends within about 25, and a pause after each. What is measured
is the slice itself, not its wait for its turn: under load the groups between slices take longer, not the slices.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector import metrics
from collector.domain.retention import FIRST, next_size
from collector.domain.site import Site
from collector.store.database import Database
from collector.store.retention import Place, Slice, begin_purge, claim_purge, purge_slice
from collector.store.sites import fetch_sites

AFTER_START_S, INTERVAL_S = 180.0, 3600.0
JITTER = 0.1  # up to so much sooner, so that collectors started together do not ask together
CLAIM_MS = 50 * 60 * 1000  # so long nobody else purges: less than the shortest interval
PAUSE_S = 0.025  # at least

log = structlog.get_logger()


def timed_slice(conn: Connection, place: Place, size: int) -> tuple[Slice, float]:
    """`purge_slice`, and how long it took (s)."""
    begun = time.perf_counter()
    done = purge_slice(conn, place, size)
    return done, time.perf_counter() - begun


def size_after(place: Place, done: Slice, size: int, took_s: float) -> int:
    """How many rows the slice after `done` looks at; another table begins anew."""
    if done.place is None or done.place.table != place.table:
        return FIRST
    return next_size(size, took_s * 1000)


def pause_after(took_s: float) -> float:
    """How long (s) others have their turn after a slice."""
    return max(took_s, PAUSE_S)


async def purge_site(database: Database, site: Site, now: int) -> AsyncIterator[Slice]:
    """Delete what `site` keeps no longer at `now` (ms); tells of each slice after its commit.

    Between slices nothing is open: whoever stops here may go on another time. Raises SQLAlchemy's errors.
    """
    place, size = await database.write(begin_purge, site, now), FIRST
    while place is not None:
        done, took_s = await database.write(timed_slice, place, size)
        await database.checkpoint()
        yield done
        size, place = size_after(place, done, size, took_s), done.place
        await asyncio.sleep(pause_after(took_s))


class Retention:
    """Owns the task that purges once an hour, as the only one of the collectors on one database. `now` is ms UTC."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], int],
        after_start_s: float = AFTER_START_S,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._database = database
        self._now = now
        self._after_start_s = after_start_s
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to wait for the first time."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """Stop between two slices; the rest goes another time."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def purge(self) -> bool:
        """Purge all sites, unless another collector does or did within the hour; whether it was done."""
        now = self._now()
        sites = [site for site in await self._database.read(fetch_sites) if site.settings.retention_days]
        if not sites or not await self._database.write(claim_purge, now, CLAIM_MS):
            return False
        for site in sites:
            async for done in purge_site(self._database, site, now):
                metrics.count_purged(done.gone)
        metrics.LAST_PURGE.set(now / 1000)
        return True

    async def _run(self) -> None:
        wait_s = self._after_start_s
        while True:
            await asyncio.sleep(wait_s * random.uniform(1 - JITTER, 1))  # noqa: S311 - no secret
            try:
                await self.purge()
            except (SQLAlchemyError, OSError) as error:
                log.warning("purge_interrupted", error=type(error).__name__)
            except Exception:
                log.exception("purge_failed")
            wait_s = self._interval_s
