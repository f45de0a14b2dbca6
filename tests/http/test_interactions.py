"""Interactions, agents' answers and who is here now, over HTTP; and `user/info`, which leads to uncertain states."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.keys import Scope
from collector.domain.site import Site, SiteSettings
from collector.store.sites import insert_site, update_site
from tests.api_shop import Shop, open_shop
from tests.stage import Browser

EMAIL = "ada@analytical.example"
SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
PATH = "/api/v1/interactions"
KEYS = {
    "interaction_id", "visitId", "state", "identification", "identity_id", "confidence", "needs_agent_validation",
    "decision", "kind", "value", "currency", "data", "created_at",
}  # fmt: skip
CURRENT_KEYS = {
    "uid", "profile_id", "visitId", "globalVisitID", "state", "identityId", "sessionID", "confidence",
    "needs_agent_validation", "identification", "startDate", "lastEventDate", "page",
}  # fmt: skip
VISITOR = "/api/v1/visitors/current"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def reports(shop: Shop, visit: str, **said: Any) -> dict[str, Any]:
    response = await shop.ask("POST", PATH, json={"visitId": visit, **said})
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    assert set(document) == KEYS
    return document


async def decides(shop: Shop, interaction: dict[str, Any], identity_id: str | None) -> dict[str, Any]:
    response = await shop.ask(
        "POST", f"{PATH}/{interaction['interaction_id']}/decision", json={"identityId": identity_id}
    )
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def in_state(shop: Shop, state: str) -> Browser:
    """A browser whose visit is in `state`; where that is about somebody, it is ada."""
    browser = shop.stage.browser()
    await browser.tracks("page", "view", title="Tea", url="https://shop.example/tea?email=ada@analytical.example")
    if state == "Recognized":
        await browser.informs("ada")
    if state in ("WM-Recognized", "Authenticated"):
        await browser.says("ada", EMAIL)
    if state == "WM-Recognized":
        browser.arrives()
        await browser.tracks()
    return browser


DEFAULTS = [
    ("Anonymous", "none", None, 0.0, False),
    ("Authenticated", "identified", "ada", 1.0, False),
    ("Recognized", "agent_decides", "ada", 0.6, True),
    ("WM-Recognized", "agent_decides", "ada", 0.9, True),
]


@pytest.mark.parametrize(("state", "identification", "identity_id", "confidence", "asks"), DEFAULTS)
async def test_the_state_of_the_visit_decides_how_an_interaction_is_identified(
    shop: Shop, state: str, identification: str, identity_id: str | None, confidence: float, asks: bool
) -> None:
    browser = await in_state(shop, state)
    current = await shop.get(VISITOR, uid=browser.uid)
    reported = await reports(shop, browser.visit, kind="call")
    for told in (reported, current):
        assert (told["state"], told["identification"]) == (state, identification)
        assert (told["confidence"], told["needs_agent_validation"]) == (confidence, asks)
    assert reported["identity_id"] == current["identityId"] == identity_id
    assert (reported["decision"], reported["kind"], reported["data"]) == (None, "call", {})
    assert await shop.get(f"{PATH}/{reported['interaction_id']}") == reported
    assert await shop.get(PATH, visitId=browser.visit) == {"items": [reported], "next": None}


@pytest.mark.parametrize("chosen", ["none", "identified", "agent_decides"])
async def test_a_site_chooses_for_visits_that_are_uncertain(shop: Shop, chosen: Any) -> None:
    site = dataclasses.replace(shop.site, settings=SiteSettings(bots="include", uncertain_interactions=chosen))
    shop.database.transact(update_site, site)
    browser = await in_state(shop, "WM-Recognized")
    reported = await reports(shop, browser.visit)
    held = (None, 0.0) if chosen == "none" else ("ada", 0.9)
    assert (reported["identification"], reported["identity_id"], reported["confidence"]) == (chosen, *held)
    assert reported["needs_agent_validation"] is (chosen == "agent_decides")
    assert (await shop.get(VISITOR, uid=browser.uid))["identification"] == chosen


async def test_what_is_asked_for_outranks_the_default(shop: Shop) -> None:
    browser = await in_state(shop, "Anonymous")
    asked = await reports(shop, browser.visit, identification="agent_decides")
    assert (asked["identification"], asked["identity_id"], asked["needs_agent_validation"]) == (
        "agent_decides",
        None,
        True,
    )
    refused = await shop.fails("POST", PATH, json={"visitId": browser.visit, "identification": "identified"})
    assert refused == (409, "visit_is_anonymous", None)


async def test_a_repeat_is_answered_the_same_and_another_content_is_a_conflict(shop: Shop) -> None:
    browser = await in_state(shop, "Recognized")
    said = {
        "interaction_id": SOMEBODY, "kind": "call", "value": 39, "currency": "EUR", "data": {"queue": "vip"},
    }  # fmt: skip
    first = await reports(shop, browser.visit, **said)
    assert (first["value"], first["currency"], first["data"]) == (39, "EUR", {"queue": "vip"})
    await browser.says("ada")
    assert await reports(shop, browser.visit, **said | {"interaction_id": SOMEBODY.upper()}) == first
    other = await shop.fails("POST", PATH, json={"visitId": browser.visit, **said, "value": 40})
    assert other == (409, "id_conflict", "interaction_id")
    assert (await shop.get(PATH))["items"] == [first]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"visitId": "x"}, "visitId"),
        ({"visitId": None}, "visitId"),
        ({"visitId": 7}, "visitId"),
        ({"interaction_id": "x"}, "interaction_id"),
        ({"identification": "perhaps"}, "identification"),
        ({"kind": ""}, "kind"),
        ({"kind": "x" * 101}, "kind"),
        ({"value": "much"}, "value"),
        ({"value": 1e300}, "value"),
        ({"value": 2**60}, "value"),
        ({"value": True}, "value"),
        ({"value": 1, "currency": "euro"}, "currency"),
        ({"currency": "EUR"}, "currency"),
        ({"data": []}, "data"),
        ({"data": {"x": "y" * 40_000}}, "data"),
        ({"unknown": 1}, None),
    ],
)
async def test_a_report_that_cannot_be_meant_names_its_member(
    shop: Shop, wrong: dict[str, Any], field: str | None
) -> None:
    browser = await in_state(shop, "Anonymous")
    refused = await shop.fails("POST", PATH, json={"visitId": browser.visit, **wrong})
    assert refused == (400, "invalid_parameter", field)


async def test_what_is_not_there_is_404(shop: Shop) -> None:
    assert await shop.fails("POST", PATH, json={"visitId": SOMEBODY}) == (404, "not_found", None)
    assert await shop.fails("GET", f"{PATH}/{SOMEBODY}") == (404, "not_found", None)
    decision = f"{PATH}/{SOMEBODY}/decision"
    assert await shop.fails("POST", decision, json={"identityId": "ada"}) == (404, "not_found", None)
    assert await shop.fails("GET", f"{PATH}/x") == (400, "invalid_parameter", "interaction_id")
    assert await shop.get(PATH, visitId=SOMEBODY) == {"items": [], "next": None}


async def test_the_list_is_paged_newest_first_and_pending_ones_stand_apart(shop: Shop) -> None:
    browser = await in_state(shop, "Recognized")
    made = [await reports(shop, browser.visit) for _ in range(5)]
    made[1] = await decides(shop, made[1], "ada")
    order = sorted(made, key=lambda each: (each["created_at"], each["interaction_id"]), reverse=True)
    for narrowed, expected in (({}, order), ({"pending": "true"}, [each for each in order if not each["decision"]])):
        found, start = [], {}
        while start is not None:
            page = await shop.get(PATH, limit="2", **narrowed, **start)
            found += page["items"]
            start = {"start": page["next"]} if page["next"] else None
        assert found == expected
    assert await shop.fails("GET", f"{PATH}?start=nonsense") == (400, "invalid_parameter", "start")
    assert await shop.fails("GET", f"{PATH}?pending=perhaps") == (400, "invalid_parameter", "pending")


# ---- answers ----


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ("ada", ("Recognized", "ada", 0.95, False, "identified")),
        (" ada ", ("Recognized", "ada", 0.95, False, "identified")),
        (EMAIL.upper(), ("Recognized", "ada", 0.95, False, "identified")),
        ("bob", ("Recognized", "bob", 0.95, False, "identified")),
        (None, ("Anonymous", None, 0.0, False, "none")),
    ],
)
async def test_the_visit_follows_the_agents_answer_and_no_profile_changes(
    shop: Shop, answer: str | None, after: tuple[Any, ...]
) -> None:
    browser = await in_state(shop, "WM-Recognized")
    reported = await reports(shop, browser.visit)
    uids = {"cid": "ada"}, {"uid": browser.uid}
    before = [await shop.get("/api/v1/profiles", **by) for by in uids]
    merges = await shop.get("/api/v1/merges")
    decided = await decides(shop, reported, answer)
    assert decided["decision"]["identityId"] == after[1]
    assert decided["decision"]["decided_at"] >= reported["created_at"]
    changed = {"decision": decided["decision"], "needs_agent_validation": False}
    assert decided == reported | changed
    assert await shop.get(f"{PATH}/{reported['interaction_id']}") == decided
    now = [await shop.get("/api/v1/profiles", **by) for by in uids]
    assert [each | {"visit": None} for each in now] == [each | {"visit": None} for each in before]
    assert await shop.get("/api/v1/merges") == merges
    assert (now[0]["visit"]["state"], now[0]["visit"]["confidence"]) == (after[0], after[2])
    await browser.tracks()
    told = await shop.get(VISITOR, uid=browser.uid)
    names = ("state", "identityId", "confidence", "needs_agent_validation", "identification")
    assert tuple(told[name] for name in names) == after
    contacts = await (await shop.ask("GET", "/backend/data/contacts", params={"visitId": browser.visit})).text()
    assert (f'"{after[1]}"' in contacts) is (after[1] is not None)


async def test_an_answer_can_be_changed(shop: Shop) -> None:
    browser = await in_state(shop, "Recognized")
    reported = await reports(shop, browser.visit)
    for answer, state in (("bob", "Recognized"), (None, "Anonymous"), ("ada", "Recognized")):
        assert (await decides(shop, reported, answer))["decision"]["identityId"] == answer
        visit = await (await shop.ask("GET", f"/backend/data/visits/{browser.visit}")).json()
        assert visit["state"] == state


async def test_only_what_was_left_to_an_agent_is_theirs_to_decide(shop: Shop) -> None:
    browser = await in_state(shop, "Authenticated")
    reported = await reports(shop, browser.visit)
    path = f"{PATH}/{reported['interaction_id']}/decision"
    assert await shop.fails("POST", path, json={"identityId": "bob"}) == (409, "decision_not_awaited", None)


@pytest.mark.parametrize("wrong", [{}, {"identityId": "undefined"}, {"identityId": ""}, {"identityId": 7}])
async def test_an_answer_that_names_nobody_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    browser = await in_state(shop, "Recognized")
    reported = await reports(shop, browser.visit)
    path = f"{PATH}/{reported['interaction_id']}/decision"
    assert await shop.fails("POST", path, json=wrong) == (400, "invalid_parameter", "identityId")
    assert (await shop.get(f"{PATH}/{reported['interaction_id']}"))["decision"] is None


async def test_scopes_open_and_personal_data_is_masked_without_pii_read(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.tracks("page", "view", url=f"https://shop.example/?email={EMAIL}", title=f"Hello {EMAIL}")
    await browser.says(email=EMAIL)
    await browser.signs_out()
    reported = await reports(shop, browser.visit, data={"callback": EMAIL, "phone": "+44 20"})
    decided = await decides(shop, reported, EMAIL)
    assert decided["decision"]["identityId"] == EMAIL
    shop.adds_key("rsk_agents", Scope.INTERACTIONS)
    shop.adds_key("rsk_history", Scope.HISTORY_READ)
    masked = await (await shop.ask("GET", PATH, secret="rsk_agents")).json()
    (item,) = masked["items"]
    assert item["identity_id"] == item["decision"]["identityId"] == item["data"]["callback"]
    assert item["data"]["phone"] == "***"
    seen = await (await shop.ask("GET", VISITOR, params={"uid": browser.uid}, secret="rsk_history")).json()
    assert seen["identityId"] == "a***@analytical.example"
    for document in (masked, seen):
        assert "ada" not in str(document)
        assert "a***@" in str(document)
    assert await shop.fails("GET", PATH, secret="rsk_history") == (403, "scope_missing", None)
    refused = await shop.fails("GET", VISITOR, params={"uid": browser.uid}, secret="rsk_agents")
    assert refused == (403, "scope_missing", None)


async def test_another_sites_interactions_and_visits_are_not_there(shop: Shop) -> None:
    browser = await in_state(shop, "Recognized")
    reported = await reports(shop, browser.visit)
    other = shop.database.transact(insert_site, Site(0, "other", "key-other", (), SiteSettings()), 0)
    shop.adds_key("rsk_other", site_id=other)
    assert (await shop.ask("GET", f"{PATH}/{reported['interaction_id']}", secret="rsk_other")).status == 404
    assert (await shop.ask("POST", PATH, json={"visitId": browser.visit}, secret="rsk_other")).status == 404
    assert (await (await shop.ask("GET", PATH, secret="rsk_other")).json())["items"] == []


# ---- who is here now ----


async def test_who_is_here_now(shop: Shop) -> None:
    browser = await in_state(shop, "Authenticated")
    current = await shop.get(VISITOR, uid=browser.uid)
    assert set(current) == CURRENT_KEYS
    profile = await shop.get("/api/v1/profiles", cid="ada")
    visit = await (await shop.ask("GET", f"/backend/data/visits/{browser.visit}")).json()
    assert (current["uid"], current["profile_id"]) == (browser.uid, profile["profile_id"])
    assert (current["visitId"], current["globalVisitID"]) == (browser.visit, visit["globalVisitID"])
    assert current["sessionID"] == visit["activeSessionId"]
    assert current["startDate"] == visit["startDate"]
    assert current["page"] == {"url": "https://shop.example/tea?email=ada@analytical.example", "title": "Tea"}
    assert profile["visit"] == {
        "visit_id": browser.visit,
        "state": "Authenticated",
        "is_over": False,
        "confidence": 1.0,
        "needs_agent_validation": False,
        "last_event_at": current["lastEventDate"],
    }
    await browser.signs_out()
    later = await shop.get(VISITOR, uid=browser.uid)
    assert (later["state"], later["sessionID"], later["confidence"]) == ("Recognized", None, 0.8)


async def test_nobody_is_here_after_the_visit(shop: Shop) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    await browser.tracks()
    shop.stage.passes(minutes=40)
    await browser.sends()
    assert await shop.fails("GET", VISITOR, params={"uid": browser.uid}) == (404, "not_found", None)
    profile = await shop.get("/api/v1/profiles", uid=browser.uid)
    assert profile["visit"]["is_over"] is True
    assert await shop.fails("GET", VISITOR, params={"uid": SOMEBODY}) == (404, "not_found", None)
    assert await shop.fails("GET", VISITOR) == (400, "invalid_parameter", "uid")
    assert await shop.fails("GET", f"{VISITOR}?uid=x") == (400, "invalid_parameter", "uid")


# ---- user/info ----


async def test_user_info_takes_the_identity_of_the_visit_that_it_names(shop: Shop) -> None:
    earlier = await in_state(shop, "Authenticated")
    browser = await in_state(shop, "Anonymous")
    await browser.tracks("user", "info", extra={"visit_id": earlier.visit})
    current = await shop.get(VISITOR, uid=browser.uid)
    assert (current["state"], current["identityId"]) == ("Recognized", "ada")
    profile = await shop.get("/api/v1/profiles", uid=browser.uid)
    assert profile["cid"] is None, "a hint merges nothing"


@pytest.mark.parametrize("named", [SOMEBODY, "x", 7, None])
async def test_user_info_of_a_visit_that_names_nobody_changes_nothing(shop: Shop, named: Any) -> None:
    browser = await in_state(shop, "Anonymous")
    await browser.tracks("user", "info", extra={"visit_id": named})
    assert (await shop.get(VISITOR, uid=browser.uid))["state"] == "Anonymous"


async def test_user_info_in_one_request_with_the_sign_in_of_the_visit_it_names(shop: Shop) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    await browser.says("ada")
    earlier = browser.visit
    browser.arrives()
    await browser.resets()
    await browser.tracks("user", "info", extra={"visit_id": earlier})
    await browser.sends()
    current = await shop.get(VISITOR, uid=browser.uid)
    assert (current["state"], current["identityId"]) == ("Recognized", "ada")


async def warnings_of(shop: Shop, event_id: str, uid: str) -> list[str]:
    profile = await shop.get("/api/v1/profiles", uid=uid)
    events = (await shop.get(f"/api/v1/profiles/{profile['profile_id']}/events"))["items"]
    (event,) = (event for event in events if event["event_id"] == event_id)
    return [warning for warning in event["warnings"] if warning != "clock_skew"]  # the stage plays in the past


async def test_user_info_that_names_somebody_else_than_is_signed_in_is_remarked_and_changes_nothing(
    shop: Shop,
) -> None:
    browser = await in_state(shop, "Authenticated")
    same, other = await browser.informs("ada"), await browser.informs("bob")
    assert await warnings_of(shop, same, browser.uid) == []
    assert await warnings_of(shop, other, browser.uid) == ["info_names_other_identity"]
    assert browser.last_answer is not None
    assert browser.last_answer.results == (), "a browser is not told"
    current = await shop.get(VISITOR, uid=browser.uid)
    assert (current["state"], current["identityId"]) == ("Authenticated", "ada")
    await browser.signs_out()
    assert await warnings_of(shop, await browser.informs("bob"), browser.uid) == []
