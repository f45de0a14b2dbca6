"""Fill a new database with a made-up past: `python -m benchmarks.data DATABASE_URL --events 5000000`.

The rows go straight into the product's own tables, with all their indexes, and are counted afterwards. While that
lasts nothing is safe from a crash, so the database must be one without events; it is made if it is not there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import asyncpg
from rich.console import Console
from sqlalchemy import make_url
from sqlalchemy.schema import CreateIndex

from benchmarks.population import VISIT_EVENTS, Population, Rows
from benchmarks.server import Installation, install
from benchmarks.stored import NotStored, fetch
from collector.store.database import is_sqlite, sqlite_path
from collector.store.prepared import ROW_IDS
from collector.store.schema import metadata

PORTION = 50_000  # events in a transaction
SQLITE_CACHE_KIB = 1024 * 1024
DIALECT = make_url("postgresql://").get_dialect()()
POSTGRESQL_WORK_MEM = "512MB"
NOT_OF_THE_PAST = {"sites", "keys", "installation"}
# The one thing that recording changes in rows that were handed out before: somebody is named again.
NAME_AGAIN = """
    UPDATE identities SET last_at = (
        SELECT max(said.occurred_at) FROM user_identifications AS said
        WHERE said.site_id = identities.site_id AND said.identity_id = identities.identity_id AND said.kind = 'SignIn'
    )
"""


def fill(
    site: Installation,
    population: Population,
    events: int,
    tell: Callable[[str], None] = lambda _: None,
    *,
    in_bulk: bool = False,
) -> None:
    """Add to the rows of `population` until there are `events`, a multiple of ten. Nothing else may write meanwhile.

    `in_bulk` PostgreSQL makes its indexes afterwards: faster, and they come out smaller than those that have grown.
    Raises `NotStored` if the database holds anything but this population, before or afterwards.
    """
    if events % VISIT_EVENTS:
        raise ValueError(f"{events} events are not whole visits of {VISIT_EVENTS}")
    check(site.url, population)
    portions = _told(population, events, tell)
    if is_sqlite(site.url):
        _fill_sqlite(sqlite_path(site.url), portions)
    else:
        asyncio.run(_fill_postgresql(site.url, portions, in_bulk=in_bulk))
    check(site.url, population)


def check(url: str, population: Population) -> None:
    """Count the rows of every table, and the events of the two special people. Raises `NotStored`."""
    tables = [table.name for table in metadata.sorted_tables if table.name not in NOT_OF_THE_PAST]
    found = fetch(url, *(f"SELECT count(*) FROM {table}" for table in tables))
    wrong = {
        table: (rows[0][0], population.written[table])
        for table, rows in zip(tables, found, strict=True)
        if rows[0][0] != population.written[table]
    }
    if wrong:
        raise NotStored(f"rows found and expected: {wrong}")
    if population.visitors:
        _check_people(url, population)


def _check_people(url: str, population: Population) -> None:
    leaves = population.leaves()
    expected = (population.frequent.events, sum(leaf.events for leaf in leaves), len(leaves) - 1)
    ids = {f"leaf{place}": leaf.profile_id for place, leaf in enumerate(leaves)}
    own = "SELECT count(*) FROM events WHERE site_id = :site AND profile_id"
    queries = (
        f"{own} = :frequent",
        f"{own} IN ({', '.join(f':{name}' for name in ids)})",
        "SELECT count(*) FROM profiles WHERE site_id = :site AND merged_into = :leaf0",
    )
    values = ids | {"frequent": population.frequent.profile_id}
    found = tuple(rows[0][0] for rows in fetch(url, *queries, site=population.site_id, **values))
    if found != expected:
        raise NotStored(f"events of the frequent and the regular visitor, leaves merged: {found}, expected {expected}")


def _told(population: Population, events: int, tell: Callable[[str], None]) -> Iterator[Rows]:
    for rows in population.grow(events, PORTION):
        yield rows
        tell(f"{population.written['events']:,} of {events:,} events")


def _columns(table: str) -> list[str]:
    return [column.name for column in metadata.tables[table].columns if column.name not in ROW_IDS]


def _fill_sqlite(file: Path, portions: Iterator[Rows]) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{SQLITE_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        for rows in portions:
            connection.execute("BEGIN IMMEDIATE")
            for table, added in rows.items():
                names = _columns(table)
                places = ", ".join("?" * len(names))
                connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", added)
            connection.execute("COMMIT")
        connection.execute(NAME_AGAIN)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


async def _fill_postgresql(url: str, portions: Iterator[Rows], *, in_bulk: bool) -> None:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg:", "postgresql:"))
    indexes = [index for table in metadata.sorted_tables for index in table.indexes] if in_bulk else []
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(f"SET maintenance_work_mem = '{POSTGRESQL_WORK_MEM}'")
        for index in indexes:
            await connection.execute(f"DROP INDEX {index.name}")
        for rows in portions:
            async with connection.transaction():
                for table, added in rows.items():
                    await connection.copy_records_to_table(table, columns=_columns(table), records=added)
        for index in indexes:
            await connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
        await connection.execute(NAME_AGAIN)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def main(arguments: Sequence[str]) -> int:
    """Make the site, fill the database, print how to use it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("url", metavar="DATABASE_URL")
    parser.add_argument("--events", type=int, default=5_000_000, help="a multiple of ten; 5 million without it")
    parser.add_argument("--seed", type=int, default=1, help="another past; 1 without it")
    options = parser.parse_args(arguments)
    console, begun = Console(stderr=True), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, console.status("Filling") as status:
        site = install(Path(folder), url=options.url)
        population = Population(fetch_site_id(site), options.seed)
        fill(site, population, options.events, status.update)
    customer = population.regular.profile_id.hex()
    said = {
        "rows": dict(population.written),
        "seconds": round(time.monotonic() - begun, 1),
        "write_key": site.write_key,
        "secret_key": site.secret_key,
        "profile_of_100_leaves": customer,
        "profile_of_many_events": population.frequent.profile_id.hex(),
    }
    print(json.dumps(said, indent=2))
    return 0


def fetch_site_id(site: Installation) -> int:
    """The number of the site that events are sent to."""
    [rows] = fetch(site.url, "SELECT site_id FROM sites WHERE write_key = :key", key=site.write_key)
    return int(rows[0][0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
