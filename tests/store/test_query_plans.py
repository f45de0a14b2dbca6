"""Every look-up that recording makes is served by an index: its cost must not grow with what is stored."""

import pytest
from sqlalchemy import Connection

from collector.store import prepared
from tests.stage import Stage
from tests.store.engines import only_on_sqlite
from tests.store_transport import StoreTransport

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
    assert len(plans) > 15
    poor = {
        statement: plan
        for statement, plan in plans.items()
        for step in plan
        if step.startswith("SCAN") or step.endswith("(site_id=?)")
    }
    assert not poor, poor


def test_the_check_would_notice_a_scan(plans: dict[str, list[str]], transport: StoreTransport) -> None:
    def scan(conn: Connection) -> None:
        prepared._execute(conn, "SELECT * FROM profiles WHERE first_seen_at = ?", (1,))

    transport.database.transact(scan)
    assert any(step.startswith("SCAN") for plan in plans.values() for step in plan)
