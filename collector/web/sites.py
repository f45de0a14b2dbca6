"""The sites, kept in memory: found by write key in no time, and refreshed in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import structlog

from collector.domain.site import Site
from collector.web.headers import header_block, json_headers
from collector.web.sdk_file import Script

REFRESH_S = 3.0
MISS_S = 1.0  # how often an unknown key may cause a look into the database

log = structlog.get_logger()


class Entry:
    """A site with what is derived from it once.

    `headers` are those of a JSON reply by origin, None for a client without one; `script` is the SDK with its
    settings, made when first asked for.
    """

    __slots__ = ("headers", "origins", "script", "site")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.script: Script | None = None
        self.origins = frozenset(site.origins)
        self.headers: dict[str | None, bytes] = {
            origin: header_block(json_headers(origin)) for origin in (None, *site.origins)
        }


class SiteDirectory:
    """All sites as `load` last told them. Between `start` and `stop` it asks again every few seconds.

    When asking fails the directory keeps what it knows: recording must not depend on it.
    """

    def __init__(self, load: Callable[[], Awaitable[Sequence[Site]]], refresh_s: float = REFRESH_S) -> None:
        self._load = load
        self._refresh_s = refresh_s
        self._entries: dict[str, Entry] = {}
        self._origins: frozenset[str] = frozenset()
        self._asked_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.has_several = False

    async def start(self) -> None:
        """Ask for the first time, then keep asking. Raises what `load` raises."""
        self._learn(await self._load())
        self._asked_at = time.monotonic()
        self._task = asyncio.create_task(self._keep_fresh(), name="sites")

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def get(self, write_key: str) -> Entry | None:
        """The site of a write key, disabled ones too, as far as known."""
        return self._entries.get(write_key)

    async def find(self, write_key: str) -> Entry | None:
        """Like `get`, but looks into the database for a key it does not know, at most once a second."""
        entry = self._entries.get(write_key)
        if entry is None and write_key and time.monotonic() - self._asked_at >= MISS_S:
            await self.refresh()
            entry = self._entries.get(write_key)
        return entry

    def knows_origin(self, origin: str) -> bool:
        """Whether any site lists `origin`."""
        return origin in self._origins

    async def refresh(self) -> None:
        """Ask now."""
        self._asked_at = time.monotonic()
        try:
            self._learn(await self._load())
        except Exception as error:  # noqa: BLE001 - whatever it is, recording goes on with what is known
            log.warning("sites_not_refreshed", error=type(error).__name__)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            await self.refresh()

    def _learn(self, sites: Iterable[Site]) -> None:
        entries: dict[str, Entry] = {}
        for site in sites:
            known = self._entries.get(site.write_key)
            entries[site.write_key] = known if known is not None and known.site == site else Entry(site)
        self._entries = entries
        self._origins = frozenset(origin for entry in entries.values() for origin in entry.origins)
        self.has_several = len(entries) > 1
