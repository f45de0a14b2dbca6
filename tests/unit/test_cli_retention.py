"""`regulars purge` on a real file."""

from __future__ import annotations

import json

from collector.store.database import Database
from tests.stage import DAY_MS, Stage
from tests.store_transport import StoreTransport, add_site
from tests.unit.test_cli_people import Run, database, run, stage

__all__ = ["database", "run", "stage"]  # fixtures

DAYS = "retention_days=30"


async def test_what_is_old_is_counted_then_deleted_and_people_stay(run: Run, stage: Stage) -> None:
    browser = stage.browser()
    await browser.tracks()
    await browser.says("ada-1")  # in the past: the stage's clock stands in March 2026
    assert run("purge").stdout == "shop keeps everything; `regulars site set shop retention_days=N` changes that.\n"
    run("site", "set", "shop", DAYS)
    counted = run("purge", "--dry-run").stdout
    assert counted.startswith("shop: would delete 2 events, ")
    assert run("purge", "--site", "shop").stdout == counted.replace("would delete", "deleted")
    assert run("purge").stdout == "shop: deleted nothing from before the last 30 days.\n"
    assert (await stage.person(cid="ada-1")).uids == {browser.uid}


async def test_json_is_one_object_for_each_site(run: Run, stage: Stage, database: Database) -> None:
    other = Stage(StoreTransport(database, add_site(database, "other")))
    await other.browser().tracks()
    await stage.browser().tracks()
    run("site", "set", "other", DAYS)
    shop, said = (json.loads(line) for line in run("purge", "--json").stdout.splitlines())
    assert shop == {"site": "shop", "retention_days": 0, "dry_run": False, "rows": {}}
    gone = {"bindings": 1, "events": 1, "profiles": 1, "uids": 1, "visit_profiles": 1, "visits": 1}
    assert said == {"site": "other", "retention_days": 30, "dry_run": False, "rows": gone}


async def test_what_is_young_stays(run: Run, stage: Stage) -> None:
    stage.now += 10_000 * DAY_MS
    await stage.browser().tracks()
    run("site", "set", "shop", DAYS)
    assert "nothing" in run("purge").stdout


def test_a_site_keeps_events_for_a_whole_number_of_days(run: Run, stage: Stage) -> None:
    for wrong in ("-1", "1.5", "many", "36501", "99999999999"):
        said = run("site", "set", "shop", f"retention_days={wrong}", status=1).stderr
        assert "retention_days: must be a whole number from 0 to 36500" in said
    assert "retention_days=90" in run("site", "set", "shop", "retention_days=90").stdout
    assert "there is no site named nowhere" in run("purge", "--site", "nowhere", status=1).stderr
