"""Every look-up that recording makes is served by an index: its cost must not grow with what is stored."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from collector.store import prepared
from collector.store.driver import driver_of
from collector.store.profiles import fetch_roots, insert_profiles
from tests.stage import Stage
from tests.store.engines import only_on_sqlite
from tests.store_transport import StoreTransport

NULLS = re.compile(r"(\w+) IS NULL")
PARTS = re.compile(r"\) AS (\w+)")  # statements inside a statement that have a name
pytestmark = only_on_sqlite  # the plans that PostgreSQL makes depend on how much is stored


@pytest.fixture
def plans(transport: StoreTransport, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The query plan of each statement that goes to the driver, by its text."""
    found: dict[str, list[str]] = {}
    execute = prepared._execute

    def explained(conn: Connection, statement: str, values: tuple[object, ...]) -> object:
        if statement not in found:
            rows = execute(conn, f"EXPLAIN QUERY PLAN {statement}", values)
            found[statement] = [row[3] for row in rows]
        return execute(conn, statement, values)

    monkeypatch.setattr(prepared, "_execute", explained)
    return found


def test_many_ids_are_looked_up_in_portions(transport: StoreTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    site_id, sizes = transport.site.site_id, []
    execute = prepared._execute

    def measured(conn: Connection, statement: str, values: tuple[object, ...]) -> object:
        sizes.append(len(values) - 1)
        return execute(conn, statement, values)

    ids = [transport.fresh_id() for _ in range(150)]
    transport.database.transact(insert_profiles, site_id, [(profile_id, 0) for profile_id in ids])
    monkeypatch.setattr(prepared, "_execute", measured)
    assert transport.database.transact(fetch_roots, site_id, ids) == dict(zip(ids, ids, strict=True))
    assert sizes == [64, 64, 32]


async def test_no_statement_of_recording_reads_a_whole_table_or_site(stage: Stage, plans: dict[str, list[str]]) -> None:
    browser = stage.browser()
    await browser.tracks()
    browser.loses("script", "contact")
    await browser.tracks()
    await browser.says("ada", "ada@example.com", first_name="Ada")
    await browser.says("bob", "bob@example.com")
    await browser.submits("carol@example.com")
    await browser.resets()
    await browser.signs_out()
    phone = stage.browser()
    await phone.submits("ada@example.com")
    laptop = stage.browser()
    await laptop.tracks()
    laptop.arrives()
    laptop.offline = True
    await laptop.tracks()
    await laptop.says("dora")
    await laptop.sends()
    laptop.arrives()
    await laptop.tracks()
    await laptop.sends()
    assert await stage.transport.look_at_visit(laptop.visit) == ("WM-Recognized", [])
    assert len(plans) > 15
    poor = {statement: plan for statement, plan in plans.items() if is_poor(statement, plan)}
    assert not poor, poor


def is_poor(statement: str, plan: list[str]) -> bool:
    """Whether it reads more, the more there is on a site: all of it, or all that has no value in a column.

    To read all that a part of the statement found is no more than that part took.
    """
    is_of_nulls = any(re.search(rf"\b{column}=\?", step) for column in NULLS.findall(statement) for step in plan)
    parts = {f"SCAN {name}" for name in PARTS.findall(statement)}
    whole = ((step.startswith("SCAN") and step not in parts) or step.endswith("(site_id=?)") for step in plan)
    return is_of_nulls or any(whole)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM profiles WHERE first_seen_at = ?",
        "SELECT * FROM profiles WHERE site_id = 1 AND first_seen_at = ?",
        f"SELECT * FROM profiles WHERE site_id = 1 AND merged_into IS NULL AND profile_id IN ({', '.join('?' * 16)})",
    ],
)
def test_the_check_would_notice(statement: str, plans: dict[str, list[str]], transport: StoreTransport) -> None:
    transport.database.transact(lambda conn: prepared._execute(conn, statement, (1,) * statement.count("?")))
    assert is_poor(statement, plans[statement])


@contextmanager
def counting_steps(transport: StoreTransport) -> Iterator[list[int]]:
    """How many tens of SQLite's steps the writer takes: one entry each."""
    steps: list[int] = []

    def watch(conn: Connection, handler: Callable[[], None] | None) -> None:
        driver_of(conn).set_progress_handler(handler, 10)

    transport.database.transact(watch, lambda: steps.append(1))
    yield steps
    transport.database.transact(watch, None)


async def test_what_a_merge_costs_and_undoing_it_does_not_grow_with_the_visits_of_a_person(
    stage: Stage, transport: StoreTransport
) -> None:
    """A profile of 100,000 events merges in 10 ms (spec/performance.md)."""
    costs = []
    for cid, visits in (("ada", 5), ("bob", 200)):
        known, other = stage.browser(), stage.browser()
        for _ in range(visits):
            known.arrives()
            await known.tracks()
        await known.says(cid)
        await other.tracks()
        with counting_steps(transport) as merging:
            await other.says(cid)
        (merge, *_) = await transport.journal()
        with counting_steps(transport) as undoing:
            assert (await transport.unmerge(merge["merge_id"])).code is None
        costs.append((len(merging), len(undoing)))
    (few, few_undone), (many, many_undone) = costs
    assert 0 < many <= 2 * few, costs
    assert 0 < many_undone <= 2 * few_undone, costs
