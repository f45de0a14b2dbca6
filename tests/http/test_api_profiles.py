"""People over HTTP: found by any identifier, explained, listed with what they did, and erased."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.web.api.scrubber import Scrubber
from tests.api_shop import Shop, open_shop
from tests.stage import Browser

EMAIL = "ada.lovelace@analytical.example"
PROFILE_KEYS = {
    "profile_id", "cid", "email", "uids", "merged_profile_ids", "traits", "claims", "first_seen_at", "last_seen_at",
    "visit",
}  # fmt: skip
SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def ada_signs_up(shop: Shop) -> Browser:
    """Day 1 and day 3 anonymous with two UIDs, then a sign-up, then an e-mail that is not hers."""
    browser = shop.stage.browser()
    await browser.tracks("page", "view")
    browser.loses("script", "contact")
    await browser.tracks("product", "view")
    await browser.says("ada-1", EMAIL, action="sign_up", first_name="Ada", visits=3)
    await browser.says("ada-1", "other@analytical.example")
    return browser


async def test_every_identifier_leads_to_the_same_profile(shop: Shop) -> None:
    browser = await ada_signs_up(shop)
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    assert set(profile) == PROFILE_KEYS
    assert (profile["cid"], profile["email"]) == ("ada-1", EMAIL)
    assert profile["traits"] == {"first_name": "Ada", "visits": 3}
    assert browser.uid in profile["uids"]
    assert len(profile["uids"]) == 2
    (merged,) = profile["merged_profile_ids"]
    assert profile["first_seen_at"] < profile["last_seen_at"]
    looks = [{"email": EMAIL}, {"email": f" {EMAIL.upper()} "}, *({"uid": uid} for uid in profile["uids"])]
    for by in looks:
        assert await shop.get("/api/v1/profiles", **by) == profile, by
    for profile_id in (profile["profile_id"], merged, merged.upper()):
        assert await shop.get(f"/api/v1/profiles/{profile_id}") == profile


async def test_claims_stand_apart_with_their_reason(shop: Shop) -> None:
    await ada_signs_up(shop)
    await shop.post(cid="ada-1", traits={"first_name": "Augusta"}, occurred_at=shop.stage.now)
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    assert profile["traits"]["first_name"] == "Augusta"
    assert [(claim["kind"], claim["value"], claim["reason"]) for claim in profile["claims"]] == [
        ("email", "other@analytical.example", "email_change_unverified"),
        ("trait", "Ada", "unverified"),
    ]
    assert {claim["trust"] for claim in profile["claims"]} == {"browser"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "cid"),
        ("?cid=a&email=a@b.example", "email"),
        ("?cid=a&cid=b", "cid"),
        ("?cid=", "cid"),
        ("?cid=undefined", "cid"),
        ("?cid=%00", "cid"),
        (f"?cid={'x' * 300}", "cid"),
        ("?email=nobody", "email"),
        ("?email=%ff%fe", "email"),
        ("?uid=1", "uid"),
        ("?uid=00000000-0000-0000-0000-000000000000", "uid"),
    ],
)
async def test_a_lookup_that_cannot_be_meant_names_the_parameter(shop: Shop, query: str, field: str) -> None:
    assert await shop.fails("GET", f"/api/v1/profiles{query}") == (400, "invalid_parameter", field)


@pytest.mark.parametrize("query", ["cid=nobody", "email=nobody@analytical.example", f"uid={SOMEBODY}"])
async def test_somebody_unknown_is_404(shop: Shop, query: str) -> None:
    assert await shop.fails("GET", f"/api/v1/profiles?{query}") == (404, "not_found", None)


@pytest.mark.parametrize("path", ["", "/events", "/explain"])
async def test_ids_of_nobody_are_404_and_ids_that_are_none_400(shop: Shop, path: str) -> None:
    assert await shop.fails("GET", f"/api/v1/profiles/{SOMEBODY}{path}") == (404, "not_found", None)
    for bad in ("x", SOMEBODY[:-1], SOMEBODY + "0", quote("\u0661" * 36), "%00", "%ff"):
        refused = await shop.fails("GET", f"/api/v1/profiles/{bad}{path}")
        assert refused == (400, "invalid_parameter", "profile_id"), bad


# ---- events ----


async def pages(shop: Shop, path: str, limit: int, between: Any = None) -> list[list[dict[str, Any]]]:
    """All pages of a list; `between` runs after the first."""
    found, params = [], {"limit": str(limit)}
    while True:
        page = await shop.get(path, **params)
        found.append(page["items"])
        if page["next"] is None:
            return found
        params["start"] = page["next"]
        if between is not None and len(found) == 1:
            await between()


async def test_events_come_newest_first_with_all_that_was_said(shop: Shop) -> None:
    browser = await ada_signs_up(shop)
    view = await browser.tracks("product", "view", dims={"product": {"id": "p1"}}, title="A \u202e product")
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    document = await shop.get(f"/api/v1/profiles/{profile['profile_id']}/events")
    assert document["next"] is None
    events = document["items"]
    assert [f"{event['category']}/{event['action']}" for event in events] == [
        "product/view", "user/sign_in", "user/sign_up", "product/view", "page/view",
    ]  # fmt: skip
    assert events[0]["event_id"] == view
    assert events[0]["uid"] == browser.uid
    assert events[0]["body"] == {"dims": {"product": {"id": "p1"}}, "title": "A \u202e product"}
    assert events[0]["occurred_at"] == profile["last_seen_at"]
    assert "email_change_unverified" in events[1]["warnings"]


async def test_pages_neither_repeat_nor_skip_while_events_arrive(shop: Shop) -> None:
    browser = await ada_signs_up(shop)
    for _ in range(4):
        await browser.tracks()
    profile_id = (await shop.get("/api/v1/profiles", cid="ada-1"))["profile_id"]
    path = f"/api/v1/profiles/{profile_id}/events"
    before = [event["event_id"] for event in (await shop.get(path))["items"]]
    assert len(before) == 8
    found = await pages(shop, path, 3, between=browser.tracks)
    assert [len(page) for page in found] == [3, 3, 2]
    assert [event["event_id"] for page in found for event in page] == before


async def test_events_of_one_millisecond_are_paged_too(shop: Shop) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    for _ in range(5):
        await browser.tracks(at=shop.stage.now)
    for event in browser.outbox:
        event["at"] = shop.stage.now
    browser.offline = False
    await browser.sends()
    profile_id = (await shop.get("/api/v1/profiles", uid=browser.uid))["profile_id"]
    found = await pages(shop, f"/api/v1/profiles/{profile_id}/events", 2)
    assert len({event["occurred_at"] for page in found for event in page}) == 1
    assert len({event["event_id"] for page in found for event in page}) == 5
    assert [len(page) for page in found] == [2, 2, 1]


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={quote(limit)}", "limit") for limit in ("0", "501", "-1", "1.5", "", "ten", "\u0665", "9" * 40)),
        *((f"start={quote(start)}", "start") for start in ("", "x", "\u0665", "====", "a b", "%", "A" * 4000)),
        *(
            (f"start={cursor_of(text)}", "start")
            for text in (
                "1.2",
                "1",
                "[1]",
                "[1,2,3]",
                "[1,]",
                "[]",
                "{}",
                "null",
                '["1",2]',
                "[1,null]",
                "[1,true]",
                "[1,2.5]",
                f"[{2**63},1]",
                f"[1,{2**80}]",
                "[1,[2]]",
                "[1 2]",
                "[1,2]x",
                "[\u0665,1]",
                "[" * 5000,
            )
        ),
    ],
)
async def test_a_page_that_cannot_be_meant_names_the_parameter(shop: Shop, query: str, field: str) -> None:
    profile_id = (await shop.post(cid="ada-1"))["profile_id"]
    refused = await shop.fails("GET", f"/api/v1/profiles/{profile_id}/events?{query}")
    assert refused == (400, "invalid_parameter", field)


# ---- explain and merges ----


async def test_explain_names_rule_evidence_trust_and_time_of_everything(shop: Shop) -> None:
    browser = await ada_signs_up(shop)
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    explained = await shop.get(f"/api/v1/profiles/{profile['profile_id']}/explain")
    events = (await shop.get(f"/api/v1/profiles/{profile['profile_id']}/events"))["items"]
    sign_up = next(event for event in events if event["action"] == "sign_up")

    assert explained["profile_id"] == profile["profile_id"]
    assert [(held["kind"], held["value"], held["rule"]) for held in explained["identifiers"]] == [
        ("cid", "ada-1", "R4a"),
        ("email", EMAIL, "R5a"),
    ]
    (merge,) = explained["merges"]
    assert (merge["winner"], merge["rule"]) == (profile["profile_id"], "R7")
    assert [merge["loser"]] == profile["merged_profile_ids"]
    assert merge["reversed_at"] is None
    for part in (*explained["identifiers"], merge):
        assert part["event_id"] == sign_up["event_id"]
        assert part["event"] == {"category": "user", "action": "sign_up", "occurred_at": sign_up["occurred_at"]}
        assert part["trust"] == "browser"
        assert part["at"] >= sign_up["received_at"]
        assert part["text"].endswith(".")
    assert {binding["uid"] for binding in explained["bindings"]} == set(profile["uids"])
    assert {(b["rule"], b["since_at"], b["since_seq"]) for b in explained["bindings"]} == {("R3", 0, 0)}
    named = {"category": "user", "action": "sign_in"}
    assert [{**claim, "event": None} for claim in explained["claims"]] == [
        {**claim, "event": None} for claim in profile["claims"]
    ]
    assert all(named.items() <= claim["event"].items() for claim in explained["claims"])
    assert {(b["trust"], b["event"]["category"]) for b in explained["bindings"]} <= {
        ("browser", "page"),
        ("browser", "product"),
        ("browser", "user"),
    }
    assert browser.uid in {binding["uid"] for binding in explained["bindings"]}


async def test_explain_tells_a_cookie_from_a_beginning_and_a_switch_from_both(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says("ada-1")
    browser.loses("script")
    await browser.tracks()  # CurrentContact alone
    await browser.says("bob-1")  # the same UID from now on
    ada = await shop.get("/api/v1/profiles", cid="ada-1")
    bob = await shop.get("/api/v1/profiles", cid="bob-1")
    began, joined = (await shop.get(f"/api/v1/profiles/{ada['profile_id']}/explain"))["bindings"]
    assert (began["rule"], joined["rule"]) == ("R3", "R3")
    assert "an anonymous profile began" in began["text"]
    assert "CurrentContact cookie that named this profile" in joined["text"]
    (switch,) = (await shop.get(f"/api/v1/profiles/{bob['profile_id']}/explain"))["bindings"]
    assert switch["rule"] == "R4d"
    assert switch["since_at"] > 0
    assert "somebody else uses the browser" in switch["text"]


async def test_the_journal_of_merges_is_paged_newest_first(shop: Shop) -> None:
    losers = []
    for _ in range(5):
        browser = shop.stage.browser()
        await browser.tracks()
        losers.append((await shop.get("/api/v1/profiles", uid=browser.uid))["profile_id"])
        await browser.says("ada-1")
    found = await pages(shop, "/api/v1/merges", 2)
    assert [len(page) for page in found] == [2, 2]
    assert [merge["loser"] for page in found for merge in page] == losers[:0:-1]
    assert {merge["rule"] for page in found for merge in page} == {"R4b"}
    assert await shop.fails("GET", "/api/v1/merges?start=nonsense") == (400, "invalid_parameter", "start")


# ---- erasing ----


def files_holding(shop: Shop, needle: str) -> list[str]:
    path = shop.database.path
    return [
        file.name for file in path.parent.glob(f"{path.name}*") if needle.lower().encode() in file.read_bytes().lower()
    ]


async def test_an_erased_person_is_gone_from_every_address_and_file(shop: Shop) -> None:
    await ada_signs_up(shop)
    kept = await shop.post(cid="bob-1", email="bob@difference.example")
    profile = await shop.get("/api/v1/profiles", cid="ada-1")
    assert files_holding(shop, EMAIL) != []
    response = await shop.ask("DELETE", f"/api/v1/profiles/{profile['merged_profile_ids'][0]}")
    answer = await response.json()
    assert response.status == 200
    assert answer["bytes_removed"] is True
    assert answer["erased"]["profiles"] == 2
    assert answer["erased"]["events"] == 4
    for path in (profile["profile_id"], f"{profile['profile_id']}/events", f"{profile['profile_id']}/explain"):
        assert (await shop.fails("GET", f"/api/v1/profiles/{path}"))[0] == 404
    assert (await shop.fails("DELETE", f"/api/v1/profiles/{profile['profile_id']}"))[0] == 404
    assert (await shop.fails("GET", f"/api/v1/profiles?email={EMAIL}"))[0] == 404
    assert (await shop.get("/api/v1/merges"))["items"] == []
    assert files_holding(shop, EMAIL) == []
    assert (await shop.get("/api/v1/profiles", cid="bob-1"))["profile_id"] == kept["profile_id"]


async def test_people_erased_at_the_same_time_are_all_gone_when_answered(shop: Shop) -> None:
    ids = [(await shop.post(cid=f"customer-{n}", email=f"c{n}@analytical.example"))["profile_id"] for n in range(6)]

    async def erase(profile_id: str, number: int) -> list[str]:
        response = await shop.ask("DELETE", f"/api/v1/profiles/{profile_id}")
        assert (await response.json())["bytes_removed"] is True
        return files_holding(shop, f"c{number}@analytical.example")

    left = await asyncio.gather(*(erase(profile_id, number) for number, profile_id in enumerate(ids)))
    assert left == [[]] * 6


async def test_whoever_asks_during_a_scrub_shares_the_next_one() -> None:
    begun = [asyncio.Event() for _ in range(3)]
    may_end = [asyncio.Event() for _ in range(3)]
    runs = itertools.count()

    async def scrub() -> bool:
        run = next(runs)
        begun[run].set()
        await may_end[run].wait()
        return True

    scrubber = Scrubber(scrub)
    first = asyncio.create_task(scrubber.scrub())
    await begun[0].wait()
    later = [asyncio.create_task(scrubber.scrub()) for _ in range(5)]
    may_end[0].set()
    await first
    await begun[1].wait()
    assert not any(task.done() for task in later)
    may_end[1].set()
    assert await asyncio.gather(*later) == [True] * 5
    assert next(runs) == 2
