"""`regulars merges`, `unmerge` and `apart` on a real file, as an operator types them."""

from __future__ import annotations

import json

import pytest

from collector.store.database import Database
from tests.stage import Browser, Stage
from tests.store_transport import StoreTransport, add_site
from tests.unit.test_cli_people import EMAIL, Run, database, run, stage

__all__ = ["database", "run", "stage"]  # fixtures


async def a_guest_is_taken_for_ada(stage: Stage) -> tuple[Browser, Browser]:
    """Ada, and somebody on another device who signs in as her."""
    ada, guest = stage.browser(), stage.browser()
    await ada.says("ada-1", EMAIL)
    await guest.tracks()
    await guest.says("ada-1")
    return ada, guest


async def test_a_wrong_merge_is_found_foretold_undone_and_stays_undone(stage: Stage, run: Run) -> None:
    ada, guest = await a_guest_is_taken_for_ada(stage)
    leaf = (await stage.person(uid=ada.uid)).merged
    explained = run("profile", "--cid", "ada-1", "--explain").stdout
    assert "by merge 1\n" in explained
    listed = run("merges").stdout
    for text in ("merge 1", *leaf, "ada-1", "R4b"):
        assert text in listed
    foretold = run("unmerge", "1", "--dry-run").stdout
    assert "Would undo merge 1" in foretold
    assert "Nothing was changed." in foretold
    assert run("merges").stdout == listed
    undone = run("unmerge", "1").stdout
    assert "Undid merge 1" in undone
    assert f"ada-1, {EMAIL}" in undone
    assert (await stage.person(uid=guest.uid)).profile_id in leaf
    again = await guest.says("ada-1")
    assert (await stage.person(cid="ada-1")).warnings[again] == ("kept_apart",)
    explained = run("profile", "--cid", "ada-1", "--explain").stdout
    assert "Merges undone" in explained
    assert "kept apart" in explained
    kept = run("apart", "list").stdout
    assert "merge 1" in kept
    assert "undone " in kept


async def test_lifting_ends_what_keeps_two_apart(stage: Stage, run: Run) -> None:
    await a_guest_is_taken_for_ada(stage)
    assert "Nobody is kept apart on shop." in run("apart", "list").stdout
    assert "merge 1 keeps nobody apart" in run("apart", "lift", "1", status=1).stderr
    run("unmerge", "1")
    assert "Merge 1 keeps nobody apart any more" in run("apart", "lift", "1").stdout
    assert "merge 1 keeps nobody apart" in run("apart", "lift", "1", status=1).stderr
    assert "Nobody is kept apart on shop." in run("apart", "list").stdout
    assert "may join again since" in run("merges").stdout


async def test_refusals_say_what_to_do(stage: Stage, run: Run) -> None:
    ada, guest = await a_guest_is_taken_for_ada(stage)
    owner = stage.browser()
    await owner.submits("lovelace@analytical.example")
    await stage.transport.assert_from_server(guest.uid, "ada-1", "lovelace@analytical.example", stage.now)
    refused = run("unmerge", "1", status=1).stderr
    assert "merge_has_dependents" in refused
    assert "in this order: 2" in refused
    await stage.browser().submits(EMAIL)
    for mode in ([], ["--dry-run"]):
        assert "identifier_taken" in run("unmerge", "2", *mode, status=1).stderr
    assert "already" not in refused
    assert "site shop has no merge 3; `regulars merges` lists them" in run("unmerge", "3", status=1).stderr
    assert run("unmerge", "x", status=2).stdout == ""
    assert ada.uid in (await stage.person(cid="ada-1")).uids


async def test_undoing_twice_is_refused(stage: Stage, run: Run) -> None:
    await a_guest_is_taken_for_ada(stage)
    run("unmerge", "1")
    assert "merge 1 has been undone already" in run("unmerge", "1", status=1).stderr


async def test_json_is_what_the_api_answers(stage: Stage, run: Run) -> None:
    await a_guest_is_taken_for_ada(stage)
    assert json.loads(run("merges", "--json").stdout)["items"] == await stage.transport.journal()
    foretold = json.loads(run("unmerge", "1", "--dry-run", "--json").stdout)
    done = json.loads(run("unmerge", "1", "--json").stdout)
    assert foretold == {**done, "dry_run": True}
    assert [half["cid"] for half in done["people"]] == ["ada-1", None]
    assert json.loads(run("apart", "list", "--json").stdout)["items"] == await stage.transport.kept_apart()


@pytest.mark.parametrize("last", [1, 2])
async def test_the_newest_merges_come_first(stage: Stage, run: Run, last: int) -> None:
    assert "Nobody was merged on shop." in run("merges").stdout
    await a_guest_is_taken_for_ada(stage)
    guest = stage.browser()
    await guest.tracks()
    await guest.says("ada-1")
    shown = [line for line in run("merges", "--last", str(last)).stdout.splitlines() if line.startswith("merge ")]
    assert [line.split()[1] for line in shown] == ["2", "1"][:last]


async def test_another_sites_merges_are_not_touched(stage: Stage, database: Database, run: Run) -> None:
    await a_guest_is_taken_for_ada(stage)
    add_site(database, "other")
    assert "choose one with --site" in run("unmerge", "1", status=1).stderr
    assert "site other has no merge 1" in run("unmerge", "1", "--site", "other", status=1).stderr
    assert "Nobody was merged on other." in run("merges", "--site", "other").stdout
    assert isinstance(stage.transport, StoreTransport)
    assert (await stage.transport.journal())[0]["reversed_at"] is None
    run("unmerge", "1", "--site", "shop")
    assert "keeps nobody apart" in run("apart", "lift", "1", "--site", "other", status=1).stderr
