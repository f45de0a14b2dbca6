"""Removing the bytes of erased people from the database's files, once for all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Scrubber:
    """Runs `scrub` (`Database.scrub`) one at a time; whoever comes while it runs shares the run after it."""

    def __init__(self, scrub: Callable[[], Awaitable[bool]]) -> None:
        self._scrub = scrub
        self._running: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def scrub(self) -> bool:
        """Scrub, in a run that begins after this call; what `Database.scrub` answers, and raises what it raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running), name="scrub")
        return await asyncio.shield(self._next)

    async def _run_after(self, earlier: asyncio.Task[bool] | None) -> bool:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._running, self._next = self._next, None
        return await self._scrub()
