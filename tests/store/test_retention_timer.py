"""The server's own purge: beside recording, once for all collectors, and never the recorder's undoing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from collector import metrics
from collector.domain.event import Arrival, Receipt
from collector.domain.site import SiteSettings
from collector.recorder import Recorder
from collector.recorder import commit as commit_module
from collector.recorder import retention as retention_module
from collector.recorder.group import record_group
from collector.recorder.retention import Retention
from collector.store.database import Database
from collector.store.retention import Place, Slice, purge_slice
from tests.stage import Browser, Stage
from tests.store.purging import fetch_rows
from tests.store_transport import StoreTransport


@pytest.fixture
def site_settings() -> SiteSettings:
    return SiteSettings(retention_days=30)


@pytest.fixture
def recorder(database: Database, transport: StoreTransport, stage: Stage) -> Recorder:
    return Recorder(database, transport.erasures, lambda: stage.now, transport.fresh_id)


async def record(recorder: Recorder, transport: StoreTransport, browser: Browser) -> Receipt:
    return await recorder.record(transport.arrival(browser.letter([browser.stamp("product", "view")])))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - the timer tells nobody
            await asyncio.sleep(0.01)


async def test_it_purges_after_the_start_and_counts_what_went(stage: Stage, transport: StoreTransport) -> None:
    for _ in range(3):
        await stage.browser().tracks()
    stage.passes(days=31)
    counted = metrics.PURGED.labels("events")
    before = counted._value.get()
    metrics.LAST_PURGE.set(0)
    retention = Retention(transport.database, lambda: stage.now, after_start_s=0.01)
    await retention.start()
    await until(lambda: metrics.LAST_PURGE._value.get() == stage.now / 1000)
    await retention.stop()
    assert counted._value.get() == before + 3
    assert fetch_rows(transport.database, transport.site.site_id)["events"] == []


async def test_a_second_collector_leaves_it_to_the_first(stage: Stage, transport: StoreTransport) -> None:
    one, two = (Retention(transport.database, lambda: stage.now) for _ in range(2))
    assert sorted([await one.purge(), await two.purge()]) == [False, True]
    stage.passes(minutes=60)
    assert await two.purge()


async def test_groups_commit_between_slices_and_all_that_was_accepted_is_stored(
    stage: Stage, transport: StoreTransport, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        await stage.browser().tracks()
    stage.passes(days=31)
    happened: list[str] = []

    def noted_slice(conn: Connection, place: Place, size: int) -> Slice:
        happened.append("slice")
        return purge_slice(conn, place, min(size, 3))

    def noted_group(conn: Connection, arrivals: Sequence[Arrival], *rest: Any) -> list[Receipt]:
        happened.append("group")
        return record_group(conn, arrivals, *rest)

    monkeypatch.setattr(retention_module, "purge_slice", noted_slice)
    monkeypatch.setattr(commit_module, "record_group", noted_group)
    await recorder.start()
    browser, accepted = stage.browser(), 0
    purging = asyncio.create_task(Retention(transport.database, lambda: stage.now).purge())
    while not purging.done():
        accepted += (await record(recorder, transport, browser)).accepted
    assert await purging
    await recorder.stop()
    told = "".join(each[0] for each in happened)
    assert told.count("s") > 20
    assert re.search("sg+sg+s", told), told
    assert len(fetch_rows(transport.database, transport.site.site_id)["events"]) == accepted


async def test_the_recorder_does_not_believe_in_a_visit_that_went(
    stage: Stage, transport: StoreTransport, recorder: Recorder
) -> None:
    await recorder.start()
    browser = stage.browser()
    await record(recorder, transport, browser)
    stage.passes(days=31)
    assert await Retention(transport.database, lambda: stage.now).purge()
    await record(recorder, transport, browser)  # of the same visit, in the same process
    await recorder.stop()
    rows = fetch_rows(transport.database, transport.site.site_id)
    (profile,) = rows["profiles"]
    assert [(row["visit_id"], row["profile_id"]) for row in rows["visit_profiles"]] == [
        (browser.visit, profile["profile_id"])
    ]
    assert [row["user_agent_id"] is not None for row in rows["visits"]] == [bool(rows["user_agents"])]


async def test_a_database_that_fails_ends_one_purge_and_not_the_timer(
    stage: Stage, transport: StoreTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.browser().tracks()
    stage.passes(days=31)
    tried: list[int] = []

    def failing_slice(conn: Connection, place: Place, size: int) -> Slice:
        tried.append(size)
        if len(tried) == 1:
            raise OSError("the disk went away")
        return purge_slice(conn, place, size)

    monkeypatch.setattr(retention_module, "purge_slice", failing_slice)
    monkeypatch.setattr(retention_module, "CLAIM_MS", 0)
    retention = Retention(transport.database, lambda: stage.now, after_start_s=0.01, interval_s=0.01)
    await retention.start()
    await until(lambda: not fetch_rows(transport.database, transport.site.site_id)["visits"])
    await retention.stop()
