"""`regulars visits` and `regulars visit` on a real file, as an operator types them."""

from __future__ import annotations

import json

import pytest

from tests.stage import Browser, Stage, mint_uuid7
from tests.unit.test_cli_people import HOSTILE, Run, database, run, stage

__all__ = ["database", "run", "stage"]  # fixtures


async def ada_and_somebody(stage: Stage) -> tuple[Browser, Browser]:
    """Ada looks at a page for two seconds, signs in, buys and leaves; somebody looks at a page."""
    ada, somebody = stage.browser(), stage.browser()
    page = mint_uuid7(ada.clock, stage.chance)
    await ada.tracks("page", "view", page=page, url=HOSTILE, title="Tea")
    await ada.says("ada-1")
    await ada.tracks("cart", "buy", page=page)
    await ada.tracks("page", "exit", page=page, extra={"active_ms": 2000})
    await ada.signs_out()
    await somebody.tracks("page", "view")
    return ada, somebody


async def test_visits_are_listed_and_narrowed(stage: Stage, run: Run) -> None:
    assert "There is no such visit on shop." in run("visits").stdout
    ada, somebody = await ada_and_somebody(stage)
    lines = run("visits").stdout.splitlines()
    assert [line.split()[-2] for line in lines[1:]] == [somebody.visit, ada.visit]
    assert "Recognized" in lines[2]
    assert "ada-1" in lines[2]
    assert "silence" in lines[2], "the clock of the story stands in the past"
    for options, visits in (
        (("--state", "recognized"), [ada.visit]),
        (("--identity", "ada-1"), [ada.visit]),
        (("--device", str(somebody.device_cookie)), [somebody.visit]),
        (("--age", "60"), []),
        (("--last", "1"), [somebody.visit]),
    ):
        items = json.loads(run("visits", *options, "--json").stdout)["items"]
        assert [item["visitId"] for item in items] == visits, options
    assert "There are more than these 1" in run("visits", "--last", "1").stdout


async def test_a_visit_is_told_step_by_step(stage: Stage, run: Run) -> None:
    ada, _ = await ada_and_somebody(stage)
    told = run("visit", ada.visit).stdout
    assert "\x1b" not in told
    assert "Recognized: ada-1" in told
    steps = told.partition("What happened")[2].splitlines()[1:]
    assert "looked at for 2.0 s" in steps[0]
    assert [line.split()[-1] for line in steps[1:]] == ["SignIn", "cart/buy", "SignOut"]
    assert [line.split()[1] for line in steps[1:3]] == ["ada-1", "ada-1"]
    document = json.loads(run("visit", ada.visit, "--json").stdout)
    assert [page["title"] for page in document["pages"]] == ["Tea"]
    assert [event["eventName"] for event in document["events"]][:2] == ["VisitStarted", "PageEntered"]


async def test_steps_stand_below_each_other_however_long_the_customer_id_is(stage: Stage, run: Run) -> None:
    browser = stage.browser()
    await browser.tracks("product", "view", url="https://shop.example/")
    await browser.says("9f528ceb410182ebd9d490172948f11f")
    viewed, signed_in = run("visit", browser.visit).stdout.partition("What happened")[2].splitlines()[1:]
    assert viewed.index("product/view") == signed_in.index("SignIn")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("visits", "--state", "asleep"), 2, "--state"),
        (("visits", "--device", "x"), 2, "--device"),
        (("visits", "--age", "-1"), 2, "--age"),
        (("visits", "--identity", "nobody"), 1, "knows nobody called nobody"),
        (("visit", "x"), 2, "UUID"),
        (("visit", "01890a5d-ac96-774b-bcce-b302099a8057"), 1, "has no visit"),
    ],
)
async def test_what_cannot_be_meant_is_said(
    stage: Stage, run: Run, arguments: tuple[str, ...], status: int, said: str
) -> None:
    await ada_and_somebody(stage)
    assert said in run(*arguments, status=status).stderr
