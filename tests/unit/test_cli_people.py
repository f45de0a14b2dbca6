"""`regulars profile`, `tail` and `erase` on a real file, with and without somebody else writing to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from collector.app import installation_secret
from collector.cli import app, following
from collector.domain.explain import CLAIM_TEXT, RULE_TEXT
from collector.store.database import Database
from collector.store.erasure import Erasures
from tests.databases import new_database
from tests.stage import Browser, Stage
from tests.store_transport import StoreTransport, add_site

EMAIL = "ada.lovelace@analytical.example"
HOSTILE = "https://shop.example/\x1b[2J[bold red]x\u202e"

Run = Callable[..., Result]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The file that the commands open too, as they do beside a running server."""
    url = new_database(tmp_path)
    monkeypatch.setenv("REGULARS_DATABASE_URL", url)
    database = Database(url)
    yield database
    database.close_now()


@pytest.fixture
def stage(database: Database) -> Stage:
    transport = StoreTransport(database, add_site(database, "shop"))
    transport.erasures = Erasures(installation_secret(database))  # as the server does it
    return Stage(transport)


@pytest.fixture
def run(database: Database) -> Run:
    def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="regulars")
        assert result.exit_code == status, result.output
        if result.exception is not None:
            assert isinstance(result.exception, SystemExit), result.exception
        return result

    return run


async def ada_signs_up(stage: Stage) -> Browser:
    """Two UIDs, the earlier one back-filled by the sign-up, and an e-mail that is not believed."""
    browser = stage.browser()
    await browser.tracks("page", "view")
    browser.loses("script", "contact")
    await browser.tracks("product", "view", url=HOSTILE, title="Zebra")
    await browser.says("ada-1", EMAIL, action="sign_up", first_name="Ada", city="[London]")
    await browser.says("ada-1", "other@analytical.example")
    return browser


async def test_profile_shows_who_it_is_and_what_was_only_claimed(stage: Stage, run: Run) -> None:
    browser = await ada_signs_up(stage)
    shown = run("profile", "--email", f" {EMAIL.upper()}").stdout
    counted, claimed = shown.split("Claims: said, but not counted")
    for text in ("ada-1", EMAIL, browser.uid, "first_name", "Ada", "[London]", "2 profiles"):
        assert text in counted
    assert "other@analytical.example" not in counted
    assert f"other@analytical.example   {CLAIM_TEXT['email_change_unverified']}" in claimed
    actions = [word for line in shown.split("Last events")[1].splitlines() for word in line.split() if "/" in word]
    assert [a for a in actions if "://" not in a] == ["page/view", "product/view", "user/sign_up", "user/sign_in"]
    assert "Why this is one person" not in shown


async def test_profile_shows_the_last_visit_and_how_sure_it_is(stage: Stage, run: Run) -> None:
    browser = await ada_signs_up(stage)
    await browser.signs_out()
    document = json.loads(run("profile", "--cid", "ada-1", "--json").stdout)
    assert document["visit"] == {
        "visit_id": browser.visit,
        "state": "Recognized",
        "is_over": True,
        "confidence": 0.8,
        "needs_agent_validation": True,
        "last_event_at": stage.now,
    }
    (line,) = (line for line in run("profile", "--cid", "ada-1").stdout.splitlines() if browser.visit in line)
    assert "Recognized (0.80), for an agent to confirm, over since 2026-03-02 09:00:05 UTC" in line


async def test_explain_names_for_every_leaf_the_rule_the_evidence_and_the_time(stage: Stage, run: Run) -> None:
    await ada_signs_up(stage)
    ada = await stage.person(cid="ada-1")
    sign_up = next(event_id for event_id, name in ada.events.items() if name == "user/sign_up")
    lines = run("profile", "--cid", "ada-1", "--explain").stdout.splitlines()
    (leaf,) = ada.merged
    place = next(number for number, line in enumerate(lines) if f"profile {leaf}" in line)
    joined = next(number for number, line in enumerate(lines) if number > place and "joined" in line)
    assert ada.profile_id in lines[joined]
    assert lines[joined + 1].split(maxsplit=1) == ["R7", RULE_TEXT["R7"]]
    assert f"event {sign_up}" in lines[joined + 2]
    assert "user/sign_up at 2026-03-02 09:00:03 UTC, trust browser" in lines[joined + 2]
    text = "\n".join(lines)
    for rule in ("R4a", "R5a"):
        assert f"{rule}  {RULE_TEXT[rule]}" in text
    assert f"R3  {RULE_TEXT['R3 (new)']}" in text


async def test_every_way_of_asking_finds_the_same_person(stage: Stage, run: Run) -> None:
    browser = await ada_signs_up(stage)
    ada = await stage.person(cid="ada-1")
    (leaf,) = ada.merged
    ways = [["--cid", " ada-1 "], ["--email", EMAIL], ["--uid", browser.uid.upper()], ["--id", leaf]]
    documents = [json.loads(run("profile", *way, "--json", "--explain").stdout) for way in ways]
    assert documents[0]["profile_id"] == ada.profile_id
    assert [event["action"] for event in documents[0]["events"]] == ["sign_in", "sign_up", "view", "view"]
    assert [merge["rule"] for merge in documents[0]["explain"]["merges"]] == ["R7"]
    assert documents == [documents[0]] * 4


async def test_what_visitors_sent_cannot_drive_the_terminal(stage: Stage, run: Run) -> None:
    await ada_signs_up(stage)
    for command in (["profile", "--cid", "ada-1", "--explain"], ["tail", "--once"]):
        shown = run(*command).stdout
        assert "[bold red]x" in shown
        assert not set("\x1b\u202e") & set(shown)


def test_lines_of_a_pipe_are_never_cut(run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "there is nothing" not in run("tail", "--once").stdout
    shown = run("site", "list").stdout
    assert any(len(line) > 40 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--cid", "nobody"], 1, "site shop knows nobody with cid nobody"),
        (["--email", "nobody@analytical.example"], 1, "knows nobody with email"),
        ([], 2, "give exactly one of --cid, --email, --uid and --id"),
        (["--cid", "a", "--uid", "b"], 2, "give exactly one of"),
        (["--email", "nobody"], 2, "--email is not an e-mail address"),
        (["--uid", "1"], 2, "--uid is not a UUID"),
        (["--cid", "undefined"], 2, "--cid is not a customer id"),
        (["--cid", "a", "--site", "other"], 1, "there is no site named other; there are: shop"),
    ],
)
@pytest.mark.parametrize("command", ["profile", "erase"])
def test_whom_nobody_can_find_is_said_plainly(
    stage: Stage, run: Run, command: str, arguments: list[str], status: int, said: str
) -> None:
    result = run(command, *arguments, status=status)
    assert said in result.stderr
    assert result.stdout == ""


async def test_among_several_sites_one_has_to_be_named(stage: Stage, database: Database, run: Run) -> None:
    await ada_signs_up(stage)
    other = Stage(StoreTransport(database, add_site(database, "other")))
    await other.browser().says("ada-1")
    assert "choose one with --site: shop, other" in run("profile", "--cid", "ada-1", status=1).stderr
    assert EMAIL in run("profile", "--cid", "ada-1", "--site", "shop").stdout
    assert EMAIL not in run("profile", "--cid", "ada-1", "--site", "other").stdout


# ---- tail ----


async def test_tail_shows_the_last_events_with_person_and_oddities(stage: Stage, run: Run) -> None:
    await ada_signs_up(stage)
    await stage.browser().tracks("cart", "add")
    lines = run("tail", "--once").stdout.splitlines()
    assert len(lines) == 5
    assert "ada-1" in lines[0]
    assert "page/view" in lines[0]
    assert lines[3].endswith("email_change_unverified")
    assert "anonymous " in lines[4]
    assert "cart/add" in lines[4]
    assert run("tail", "--once", "--last", "1").stdout.splitlines() == lines[4:]
    documents = [json.loads(line) for line in run("tail", "--once", "--json").stdout.splitlines()]
    assert [document["name"] for document in documents] == ["ada-1"] * 4 + [None]
    assert documents[0]["site"] == "shop"
    assert documents[0]["person"] == (await stage.person(cid="ada-1")).profile_id


async def test_tail_of_one_site_is_silent_about_the_others(stage: Stage, database: Database, run: Run) -> None:
    await stage.browser().tracks("cart", "add")
    other = Stage(StoreTransport(database, add_site(database, "other")))
    await other.browser().tracks("page", "view")
    assert "page/view" not in run("tail", "--once", "--site", "shop").stdout
    both = run("tail", "--once").stdout
    assert "shop: anonymous" in both
    assert "other: anonymous" in both


async def test_tail_prints_what_arrives_until_it_is_interrupted(
    stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses are where things happen: an event, then another after an erasure shortened the log, then Ctrl-C."""
    browser, other = stage.browser(), stage.browser()
    await browser.says("ada-1")
    waiting = [other.stamp("cart", "add"), other.stamp("cart", "remove")]
    transport = stage.transport
    assert isinstance(transport, StoreTransport)

    def pause(_seconds: float) -> None:
        if not waiting:
            raise KeyboardInterrupt
        if len(waiting) == 1:
            run("erase", "--cid", "ada-1", "--yes")
        transport.record(transport.arrival(other.letter([waiting.pop(0)])))

    monkeypatch.setattr(following.time, "sleep", pause)
    shown = run("tail", "--last", "0").stdout
    assert [line.split()[4] for line in shown.splitlines()] == ["cart/add", "cart/remove"]


# ---- erase ----


async def test_erase_asks_and_a_no_changes_nothing(stage: Stage, run: Run) -> None:
    await ada_signs_up(stage)
    refused = run("erase", "--cid", "ada-1", stdin="n\n", status=1)
    assert "Erase ada-1 on shop" in refused.stdout
    await stage.person(cid="ada-1")
    run("erase", "--cid", "ada-1", stdin="", status=1)
    await stage.person(cid="ada-1")
    run("erase", "--cid", "ada-1", stdin="y\n")
    assert await stage.look(cid="ada-1") is None


async def test_erase_deletes_rows_and_bytes_beside_an_open_server(stage: Stage, database: Database, run: Run) -> None:
    browser = await ada_signs_up(stage)
    shown = run("erase", "--email", EMAIL, "--yes").stdout
    assert "4 events" in shown
    assert "Their bytes are gone" in shown
    held = [file.name for file in database.path.parent.iterdir() if b"lovelace" in file.read_bytes().lower()]
    assert held == []
    assert "knows nobody" in run("profile", "--email", EMAIL, status=1).stderr
    await browser.tracks()
    assert browser.last_answer is not None
    assert browser.last_answer.suppressed == 1


async def test_bytes_that_could_not_leave_are_reported_and_scrub_removes_them(
    stage: Stage, database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada_signs_up(stage)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "scrub_now", lambda self: False)
        failed = run("erase", "--email", EMAIL, "--yes", status=1)
    assert "run `regulars scrub` later" in failed.stderr
    assert any(b"lovelace" in file.read_bytes().lower() for file in database.path.parent.iterdir())
    run("scrub")
    assert not any(b"lovelace" in file.read_bytes().lower() for file in database.path.parent.iterdir())


def test_no_sentence_about_a_rule_is_missing() -> None:
    rules = {"R3", "R4a", "R4b", "R4c", "R4d", "R5a", "R5b", "R5c", "R5d", "R5e", "R6", "R7", "R8", "R14"}
    assert rules <= RULE_TEXT.keys()
    assert all(text.endswith(".") for text in RULE_TEXT.values())
