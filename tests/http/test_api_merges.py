"""Undoing merges over HTTP: what an operator's program gets, beside what the stories of R12 cover."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.explain import RULE_TEXT
from collector.domain.site import Site, SiteSettings
from collector.store.sites import insert_site
from tests.api_shop import Shop, open_shop
from tests.http_transport import ORIGIN

EMAIL = "ada@analytical.example"
OTHER_SECRET = "rsk_of-another"


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path)
    yield shop
    await shop.database.close()


async def two_are_merged(shop: Shop) -> tuple[str, str]:
    """Ada, and a guest who says that they are Ada: (her profile, the guest's)."""
    ada, guest = shop.stage.browser(), shop.stage.browser()
    await ada.says("ada-1", EMAIL)
    await guest.tracks()
    profile_id = (await shop.get("/api/v1/profiles", uid=guest.uid))["profile_id"]
    await guest.says("ada-1")
    return (await shop.get("/api/v1/profiles", cid="ada-1"))["profile_id"], profile_id


async def test_undoing_answers_with_both_people_and_explain_tells_of_it(shop: Shop) -> None:
    ada, guest = await two_are_merged(shop)
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    address = f"/api/v1/merges/{merge['merge_id']}/reverse"
    people = [
        {"profile_id": ada, "cid": "ada-1", "email": EMAIL, "merged_profile_ids": []},
        {"profile_id": guest, "cid": None, "email": None, "merged_profile_ids": []},
    ]
    expected = {"merge_id": merge["merge_id"], "people": people, "restored": []}
    foretold = await shop.ask("POST", f"{address}?dry_run=true")
    assert (foretold.status, await foretold.json()) == (200, {"dry_run": True, **expected})
    assert (await shop.get("/api/v1/merges"))["items"] == [merge]
    done = await shop.ask("POST", address)
    assert (done.status, await done.json()) == (200, {"dry_run": False, **expected})

    (after,) = (await shop.get("/api/v1/merges"))["items"]
    assert after["reversed_at"] > merge["at"]
    assert {**after, "reversed_at": None} == merge
    (pair,) = (await shop.get("/api/v1/apart"))["items"]
    assert pair == {
        "merge_id": merge["merge_id"],
        "profile_ids": [ada, guest],
        "people": [ada, guest],
        "rule": "R4b",
        "text": RULE_TEXT["R4b"],
        "since_at": after["reversed_at"],
    }
    for profile_id in (ada, guest):
        explained = await shop.get(f"/api/v1/profiles/{profile_id}/explain")
        assert explained["apart"] == [pair]
        assert [other["reversed_at"] for other in explained["merges"]] == [after["reversed_at"]]


async def test_a_pair_is_lifted_once(shop: Shop) -> None:
    await two_are_merged(shop)
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    address = f"/api/v1/apart/{merge['merge_id']}"
    assert await shop.fails("DELETE", address) == (404, "not_found", None)
    await shop.ask("POST", f"/api/v1/merges/{merge['merge_id']}/reverse")
    lifted = await shop.ask("DELETE", address)
    assert lifted.status == 200
    document = await lifted.json()
    assert document["apart_lifted_at"] >= document["reversed_at"] > 0
    assert await shop.fails("DELETE", address) == (404, "not_found", None)
    assert (await shop.get("/api/v1/apart")) == {"items": [], "next": None}
    refused = await shop.fails("POST", f"/api/v1/merges/{merge['merge_id']}/reverse")
    assert refused == (409, "already_reversed", None)


async def test_pairs_are_paged_by_the_newest_merge_first(shop: Shop) -> None:
    for _ in range(3):
        guest = shop.stage.browser()
        await guest.tracks()
        await guest.says("ada-1")
    for merge in (await shop.get("/api/v1/merges"))["items"]:
        assert (await shop.ask("POST", f"/api/v1/merges/{merge['merge_id']}/reverse")).status == 200
    guest = shop.stage.browser()
    found, start = [], {}
    while True:
        page = await shop.get("/api/v1/apart", limit="1", **start)
        found += [pair["merge_id"] for pair in page["items"]]
        if page["next"] is None:
            break
        start = {"start": page["next"]}
    assert found == [merge["merge_id"] for merge in (await shop.get("/api/v1/merges"))["items"]]
    assert len(found) == 2


async def test_a_refusal_names_what_stands_in_the_way(shop: Shop) -> None:
    ada, owner = shop.stage.browser(), shop.stage.browser()
    await owner.submits("lovelace@analytical.example")
    await ada.says("ada-1", EMAIL)
    answer = await shop.post(uid=ada.uid, cid="ada-1", email="lovelace@analytical.example")
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    thief = shop.stage.browser()
    await thief.submits(EMAIL)
    response = await shop.ask("POST", f"/api/v1/merges/{merge['merge_id']}/reverse")
    error = (await response.json())["error"]
    assert (response.status, error["code"], error["kind"]) == (409, "identifier_taken", "email")
    assert error["profile_id"] == (await shop.get("/api/v1/profiles", uid=thief.uid))["profile_id"]
    assert error["retryable"] is False
    assert EMAIL not in await response.text()
    assert (await shop.get("/api/v1/profiles", cid="ada-1"))["profile_id"] == answer["profile_id"]


@pytest.mark.parametrize("path", ["/api/v1/merges/{}/reverse", "/api/v1/apart/{}"])
async def test_what_names_no_merge_is_refused(shop: Shop, path: str) -> None:
    method = "POST" if path.endswith("reverse") else "DELETE"
    for number in ("1", "0", str(2**63 - 1)):
        assert await shop.fails(method, path.format(number)) == (404, "not_found", None)
    for nonsense in ("x", "-1", "1.0", str(2**63), "9" * 30, "%00"):
        assert await shop.fails(method, path.format(nonsense)) == (400, "invalid_parameter", "merge_id")


async def test_a_slip_in_a_parameter_undoes_nothing(shop: Shop) -> None:
    await two_are_merged(shop)
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    for query, name in (("dryrun=true", None), ("dry_run=1", "dry_run"), ("dry_run", "dry_run")):
        refused = await shop.fails("POST", f"/api/v1/merges/{merge['merge_id']}/reverse?{query}")
        assert refused == (400, "invalid_parameter", name)
    assert (await shop.get("/api/v1/merges"))["items"] == [merge]


async def test_a_key_undoes_and_lifts_at_its_own_site_only(shop: Shop) -> None:
    other = Site(2, "other", "key0of0the0other", (ORIGIN,), SiteSettings())
    shop.database.transact(insert_site, other, 0)
    shop.adds_key(OTHER_SECRET, site_id=2)
    await two_are_merged(shop)
    (merge,) = (await shop.get("/api/v1/merges"))["items"]
    address, pair = f"/api/v1/merges/{merge['merge_id']}/reverse", f"/api/v1/apart/{merge['merge_id']}"
    for query in ("", "?dry_run=true"):
        assert (await shop.fails("POST", address + query, secret=OTHER_SECRET)) == (404, "not_found", None)
        assert (await shop.fails("POST", address + query, secret=None))[0] == 401
    assert (await shop.ask("POST", address)).status == 200
    assert (await shop.fails("DELETE", pair, secret=OTHER_SECRET)) == (404, "not_found", None)
    assert (await (await shop.ask("GET", "/api/v1/apart", secret=OTHER_SECRET)).json())["items"] == []
    assert len((await shop.get("/api/v1/apart"))["items"]) == 1


async def test_explain_keeps_the_history_of_an_email_and_the_events_behind_claims(shop: Shop) -> None:
    ada = shop.stage.browser()
    await ada.says("ada-1", EMAIL)
    await ada.says("ada-1", "claimed@analytical.example")
    changed = await shop.post(cid="ada-1", email="lovelace@analytical.example")
    explained = await shop.get(f"/api/v1/profiles/{changed['profile_id']}/explain")
    (old,) = explained["history"]
    assert (old["value"], old["rule"], old["trust"], old["event"]["action"]) == (EMAIL, "R5a", "browser", "sign_in")
    assert (old["replaced"]["event_id"], old["replaced"]["trust"]) == (changed["event_id"], "secret_key")
    assert {claim["reason"]: claim["event"]["action"] for claim in explained["claims"]} == {
        "email_change_unverified": "sign_in",
        "replaced": "identify",
    }
    assert {binding["trust"] for binding in explained["bindings"]} == {"browser"}
