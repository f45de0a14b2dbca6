"""`regulars quarantine` on a real file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.store.database import Database
from collector.store.quarantine import Refused, insert_quarantine
from collector.wire import native
from tests.stage import Stage
from tests.store_transport import add_site
from tests.unit.test_cli_people import Run, database, run, stage

__all__ = ["database", "run", "stage"]  # fixtures

HOSTILE = b'{"events":[\x1b[2J\xe2\x80\xae\nsecond line'


async def refuse(stage: Stage, count: int = 1) -> list[str]:
    browser = stage.browser()
    return [await browser.tracks("product", "view", seq=f"no. {number}") for number in range(count)]


async def test_list_shows_the_newest_first_and_says_how_to_go_on(run: Run, stage: Stage) -> None:
    sent = await refuse(stage, 5)
    lines = run("quarantine", "list", "--limit", "3").stdout.splitlines()
    assert [next(event_id for event_id in sent if event_id in line) for line in lines[:3]] == sent[:1:-1]
    assert "invalid_field seq" in lines[0]
    assert lines[3:] == ["3 of 5; older ones with --before 3"]
    older = run("quarantine", "list", "--before", "3").stdout
    assert sent[1] in older
    assert sent[2] not in older


async def test_list_can_be_narrowed_by_code_and_time(run: Run, stage: Stage) -> None:
    assert run("quarantine", "list").stdout == "The quarantine is empty.\n"
    await refuse(stage)
    assert "invalid_field" in run("quarantine", "list", "--code", "invalid_field", "--since", "2020-01-01").stdout
    nothing = "Nothing in the quarantine matches.\n"
    assert run("quarantine", "list", "--code", "too_deep").stdout == nothing
    assert run("quarantine", "list", "--since", "2199-01-01T10:00+02:00").stdout == nothing
    assert "--since is not a time" in run("quarantine", "list", "--since", "yesterday", status=2).stderr
    assert "--code is none of" in run("quarantine", "list", "--code", "nonsense", status=2).stderr


async def test_json_is_one_object_a_line(run: Run, stage: Stage) -> None:
    sent = await refuse(stage, 2)
    listed = [json.loads(line) for line in run("quarantine", "list", "--json").stdout.splitlines()]
    assert [row["event_id"] for row in listed] == sent[::-1]
    shown = json.loads(run("quarantine", "show", str(listed[0]["id"]), "--json").stdout)
    assert json.loads(shown["raw"])["seq"] == "no. 1"


async def test_show_prints_what_was_sent_and_the_terminal_obeys_none_of_it(
    run: Run, stage: Stage, database: Database
) -> None:
    database.transact(insert_quarantine, 1, stage.now, [Refused("malformed_json", "", HOSTILE)])
    shown = run("quarantine", "show", "1").stdout
    assert "malformed_json" in shown
    assert shown.endswith('{"events":[\ufffd[2J\ufffd\nsecond line\n')
    assert "has no row 2" in run("quarantine", "show", "2", status=1).stderr


async def test_replay_of_one_row_takes_a_correction(run: Run, stage: Stage, tmp_path: Path) -> None:
    (event_id,) = await refuse(stage)
    assert run("quarantine", "replay", "1", status=1).stdout == "1: quarantined, invalid_field seq\n"
    raw = json.loads(json.loads(run("quarantine", "show", "1", "--json").stdout)["raw"])
    file = tmp_path / "corrected.json"
    file.write_text(json.dumps(raw | {"seq": 4}))
    assert run("quarantine", "replay", "1", "--body", str(file)).stdout == "1: stored\n"
    assert list((await stage.person(uid=raw["uid"])).events) == [event_id]
    assert "has no row 1" in run("quarantine", "replay", "1", status=1).stderr


async def test_replay_of_a_request_needs_a_correction(run: Run, stage: Stage, database: Database) -> None:
    database.transact(insert_quarantine, 1, stage.now, [Refused("malformed_json", "", HOSTILE)])
    assert "--body FILE records a corrected version" in run("quarantine", "replay", "1", status=1).stderr
    event = stage.browser().stamp("product", "view")
    fixed = json.dumps({"sent_at": stage.now, "events": [event]})
    assert run("quarantine", "replay", "1", "--body", "-", stdin=fixed).stdout == "1: 1 stored\n"
    assert list((await stage.person(uid=event["uid"])).events) == [event["event_id"]]


async def test_replay_of_many_says_what_stays_and_why(
    run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    assert run("quarantine", "replay").stdout == "There was nothing to do.\n"
    browser = stage.browser()
    for _ in range(3):
        await browser.tracks(extra={"x": "x" * 33_000})
    await refuse(stage)
    database.transact(insert_quarantine, 1, stage.now, [Refused("malformed_json", "", HOSTILE)])
    monkeypatch.setattr(native, "MAX_EVENT_BYTES", 64 * 1024)
    shown = run("quarantine", "replay", "--since", "2020-01-01").stdout.splitlines()
    assert shown == [
        "4: quarantined, invalid_field seq",
        "5: unreadable, malformed_json",
        "3 stored, 1 quarantined, 1 unreadable",
    ]
    assert len((await stage.person(uid=browser.uid)).events) == 3
    (line,) = run("quarantine", "replay", "--code", "invalid_field", "--json").stdout.splitlines()
    assert json.loads(line) == {"id": 4, "status": "quarantined", "code": "invalid_field", "field": "seq"}
    assert "not both" in run("quarantine", "replay", "4", "--code", "invalid_field", status=2).stderr
    assert "give its ID too" in run("quarantine", "replay", "--body", "-", status=2, stdin="{}").stderr


async def test_purge_asks_first(run: Run, stage: Stage) -> None:
    await refuse(stage, 4)
    run("quarantine", "purge", status=1, stdin="n\n")
    assert len(run("quarantine", "list", "--json").stdout.splitlines()) == 4
    assert run("quarantine", "purge", "2", "--yes").stdout == "Dropped 1 row.\n"
    assert "has no row 2" in run("quarantine", "purge", "2", "--yes", status=1).stderr
    assert json.loads(run("quarantine", "purge", "--code", "too_deep", "--yes", "--json").stdout) == {"deleted": 0}
    assert run("quarantine", "purge", stdin="y\n").stdout.endswith("Dropped 3 rows.\n")


async def test_commands_keep_to_the_site_that_is_named(run: Run, stage: Stage, database: Database) -> None:
    await refuse(stage)
    add_site(database, "other")
    assert run("quarantine", "list", "--site", "other").stdout == "The quarantine is empty.\n"
    assert "has no row 1" in run("quarantine", "replay", "1", "--site", "other", status=1).stderr
    assert run("quarantine", "purge", "--site", "other", "--yes").stdout == "Dropped 0 rows.\n"
    assert "invalid_field" in run("quarantine", "list", "--site", "shop").stdout
