"""The work of `regulars purge`: deleting what sites keep no longer, or counting it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from collector.cli.opening import choose_site, existing_database, now_ms, patiently, read_settings
from collector.cli.output import plain, say
from collector.domain.retention import FIRST, MOST
from collector.domain.site import Site
from collector.recorder.retention import pause_after, size_after, timed_slice
from collector.store.database import Database
from collector.store.retention import Place, Slice, Tally, begin_purge, count_slice
from collector.store.sites import fetch_sites


def purge(file: Path | None, site_name: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Purge one site, or all of them. Raises `Trouble`."""
    now = now_ms()
    with existing_database(read_settings(file)) as database:
        sites = database.read_now(fetch_sites) if site_name is None else [choose_site(database, site_name)]
        for site in sites:
            place = database.read_now(begin_purge, site, now)
            gone = Counter[str]() if place is None else _purge_site(database, site, place, dry_run=dry_run)
            say(_document(site, gone, dry_run=dry_run) if as_json else _line(site, gone, dry_run=dry_run))


def _purge_site(database: Database, site: Site, begin: Place, *, dry_run: bool) -> Counter[str]:
    gone: Counter[str] = Counter()
    slices = _count(database, begin) if dry_run else _delete(database, begin)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}
        for place, done in slices:
            gone += done.gone
            if place.table not in bars:
                bars[place.table] = progress.add_task(f"{plain(site.name)}: {place.table}", start=True)
                begun = done.reached
            length = place.before[place.table] - begun  # of time: how many rows lie in it nobody has counted
            progress.update(bars[place.table], total=max(length, 1), completed=max(done.reached - begun, 0))
    return gone


def _delete(database: Database, begin: Place) -> Iterator[tuple[Place, Slice]]:
    """Slice after slice, with pauses in which a server beside it records."""
    place: Place | None = begin
    size = FIRST
    while place is not None:
        done, took_s = patiently(partial(database.transact, timed_slice, place, size))
        patiently(database.checkpoint_now)
        yield place, done
        size, place = size_after(place, done, size, took_s), done.place
        time.sleep(pause_after(took_s))


def _count(database: Database, begin: Place) -> Iterator[tuple[Place, Slice]]:
    """What `_delete` would do, read-only and without pauses."""
    place: Place | None = begin
    tally = Tally()
    while place is not None:
        done = database.read_now(count_slice, place, MOST, tally)
        yield place, done
        place = done.place


def _document(site: Site, gone: Counter[str], *, dry_run: bool) -> str:
    document = {
        "site": site.name,
        "retention_days": site.settings.retention_days,
        "dry_run": dry_run,
        "rows": {table: rows for table, rows in sorted(gone.items()) if rows},
    }
    return orjson.dumps(document).decode()


def _line(site: Site, gone: Counter[str], *, dry_run: bool) -> str:
    name, days = plain(site.name), site.settings.retention_days
    if not days:
        return f"{name} keeps everything; `regulars site set {name} retention_days=N` changes that."
    rows = ", ".join(f"{rows:,} {table}" for table, rows in gone.items() if rows) or "nothing"
    return f"{name}: {'would delete' if dry_run else 'deleted'} {rows} from before the last {days} days."
