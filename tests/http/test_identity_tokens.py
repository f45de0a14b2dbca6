"""Signed identity tokens (T1): what they earn, and that one which proves nothing costs its event nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_aiohttp.plugin import AiohttpClient
from typer.testing import CliRunner

from collector import metrics
from collector.cli import app
from collector.domain.identity_token import token_secret
from collector.store.sites import update_site
from collector.web.edge import EDGE
from tests.api_shop import Shop, open_shop
from tests.scenarios.people import E, F, X, Y
from tests.stage import Browser

MASTER = "a secret of at least 32 characters"
NOW_S = int(time.time())


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(aiohttp_client, tmp_path, token_keys=2, config={"secret_key": MASTER})
    yield shop
    await shop.database.close()


@pytest.fixture
async def strict_shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    """Believes nobody without a token."""
    shop = await open_shop(
        aiohttp_client, tmp_path, token_keys=2, config={"secret_key": MASTER}, require_verified_identity=True
    )
    yield shop
    await shop.database.close()


def signed(shop: Shop, browser: Browser, cid: str = X, /, *, key: int = 2, **claims: Any) -> str:
    """A token as the shop's server would make it; a claim of None is left out."""
    said = {"sub": cid, "uid": browser.uid, "exp": int(time.time()) + 300} | claims
    payload = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(payload, token_secret(MASTER, shop.site, key), "HS256")


def looked_at() -> dict[str, float]:
    """How many tokens had which result."""
    return {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
        if sample.name == "regulars_identity_tokens_total"
    }


def told(browser: Browser) -> list[str]:
    assert browser.last_answer is not None
    assert browser.last_answer.accepted == 1, "no token costs an event"
    return [code for _, _, code in browser.last_answer.results]


async def trust_of(shop: Shop, cid: str = X) -> dict[str, str]:
    """The trust that each identifier of a customer rests on."""
    person = await shop.stage.person(cid=cid)
    explained = await shop.get(f"/api/v1/profiles/{person.profile_id}/explain")
    return {held["value"]: held["trust"] for held in explained["identifiers"] if held["kind"] != "uid"}


async def test_a_site_that_requires_verified_identity_believes_a_token(strict_shop: Shop) -> None:
    before, browser = looked_at(), strict_shop.stage.browser()
    await browser.tracks()
    await browser.says(X, E, name="Ann", identity_token=signed(strict_shop, browser, email=E))
    person = await strict_shop.stage.person(cid=X)
    assert (person.email, person.uids, person.traits, person.warnings) == (E, {browser.uid}, {"name": "Ann"}, {})
    assert await trust_of(strict_shop) == {X: "signed_token", E: "signed_token"}
    assert told(browser) == []
    assert looked_at().get("valid", 0) == before.get("valid", 0) + 1


async def test_the_same_without_a_token_merges_nothing(strict_shop: Shop) -> None:
    browser, other = strict_shop.stage.browser(), strict_shop.stage.browser()
    for visitor in (browser, other):
        event = await visitor.says(X, E)
        mine = await strict_shop.stage.person(uid=visitor.uid)
        assert (mine.cid, mine.email, mine.uids) == (None, None, {visitor.uid})
        assert mine.warnings[event] == ("unverified_identity",)
        assert told(visitor) == []
    assert await strict_shop.stage.look(cid=X) is None


async def test_two_browsers_with_tokens_are_one_person(strict_shop: Shop) -> None:
    one, two = strict_shop.stage.browser(), strict_shop.stage.browser()
    for browser in (one, two):
        await browser.tracks()
        await browser.tracks("user", "sign_in", dims={"customers": {"customer_id": X}},
                             extra={"identify_id": X, "identity_token": signed(strict_shop, browser)})  # fmt: skip
    assert (await strict_shop.stage.person(cid=X)).uids == {one.uid, two.uid}


def forged(header: dict[str, Any], payload: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, payload))
    return f"{'.'.join(parts)}.{signature}"


def _elsewhere(shop: Shop) -> Shop:
    return replace(shop, site=replace(shop.site, write_key="another"))


BAD: dict[str, tuple[str, Callable[[Shop, Browser], object]]] = {
    "expired": ("expired", lambda s, b: signed(s, b, exp=NOW_S - 3600)),
    "expired in 1970": ("expired", lambda s, b: signed(s, b, exp=0)),
    "not valid yet": ("invalid", lambda s, b: signed(s, b, nbf=NOW_S + 3600)),
    "without expiry": ("invalid", lambda s, b: signed(s, b, exp=None)),
    "with an expiry that is text": ("invalid", lambda s, b: signed(s, b, exp=str(NOW_S + 300))),
    "with an expiry that is none": ("invalid", lambda s, b: signed(s, b, exp=True)),
    "without a uid": ("invalid", lambda s, b: signed(s, b, uid=None)),
    "with a uid that is a number": ("invalid", lambda s, b: signed(s, b, uid=7)),
    "of another browser": ("mismatch", lambda s, b: signed(s, s.stage.browser())),
    "of another customer": ("mismatch", lambda s, b: signed(s, b, Y)),
    "of another address": ("mismatch", lambda s, b: signed(s, b, email=F)),
    "without the address": ("mismatch", signed),
    "of another site": ("invalid", lambda s, b: signed(_elsewhere(s), b)),
    "of a key to come": ("invalid", lambda s, b: signed(s, b, key=3)),
    "signed with another algorithm": (
        "invalid",
        lambda s, b: jwt.encode({"sub": X, "uid": b.uid, "exp": NOW_S + 300}, token_secret(MASTER, s.site, 2), "HS384"),
    ),
    "not signed": (
        "invalid",
        lambda s, b: forged({"alg": "none"}, {"sub": X, "uid": b.uid, "exp": NOW_S + 300}),
    ),
    "changed": ("invalid", lambda s, b: signed(s, b)[:-2] + "AA"),
    "cut off": ("invalid", lambda s, b: signed(s, b).rpartition(".")[0]),
    "with a header too deep": (
        "invalid",
        lambda s, b: base64.urlsafe_b64encode(b"[" * 2900).rstrip(b"=").decode() + ".e30.AA",
    ),
    "too long": ("invalid", lambda s, b: signed(s, b, more="x" * 4000)),
    "garbage": ("invalid", lambda s, b: "\u0000..\U0001f600"),
    "a number": ("invalid", lambda s, b: 42),
    "an object": ("invalid", lambda s, b: {"a": [1]}),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_token_that_proves_nothing_leaves_a_claim_and_a_warning(strict_shop: Shop, kind: str) -> None:
    result, make = BAD[kind]
    before, browser = looked_at(), strict_shop.stage.browser()
    event = await browser.says(X, E, city="Graz", identity_token=make(strict_shop, browser))
    code = f"identity_token_{result}"
    assert told(browser) == [code]
    assert await strict_shop.stage.look(cid=X) is await strict_shop.stage.look(email=E) is None
    mine = await strict_shop.stage.person(uid=browser.uid)
    assert (mine.traits, mine.claimed_traits) == ({}, {"city": "Graz"})
    assert set(mine.warnings[event]) >= {"unverified_identity", code}
    assert looked_at().get(result, 0) == before.get(result, 0) + 1


async def test_elsewhere_such_an_assertion_counts_as_any_browsers(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says(X, E, identity_token=signed(shop, browser, Y, email=E))
    assert told(browser) == ["identity_token_mismatch"]
    assert await trust_of(shop) == {X: "browser", E: "browser"}


async def test_what_is_told_of_a_token_is_the_same_for_known_and_unknown_customers(shop: Shop) -> None:
    await shop.post(cid=X, email=E)
    seen = []
    for cid, email in ((X, E), (Y, F)):
        browser = shop.stage.browser()
        await browser.tracks()
        cookies = (browser.device_cookie, browser.contact_cookie)
        await browser.says(cid, email, identity_token=signed(shop, shop.stage.browser(), cid, email=email))
        seen.append((told(browser), (browser.device_cookie, browser.contact_cookie) == cookies))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("lead_s", [-50, 30])
async def test_clocks_of_two_servers_may_differ_by_a_minute(strict_shop: Shop, lead_s: int) -> None:
    browser, now_s = strict_shop.stage.browser(), int(time.time())
    await browser.says(X, identity_token=signed(strict_shop, browser, exp=now_s + lead_s, nbf=now_s + lead_s))
    assert (await strict_shop.stage.person(cid=X)).uids == {browser.uid}


async def test_a_token_may_be_the_one_to_name_the_address(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says(X, identity_token=signed(shop, browser, email=" Erin@Example.com "))
    assert (await shop.stage.person(cid=X)).email == "erin@example.com"


async def test_a_token_may_change_the_address_and_a_browser_may_not(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says(X, E, identity_token=signed(shop, browser, email=E))
    await browser.says(X, F)
    assert (await shop.stage.person(cid=X)).email == E
    await browser.says(X, F, identity_token=signed(shop, browser, email=F))
    assert (await shop.stage.person(cid=X)).email == F


async def test_what_was_said_with_a_token_is_not_overwritten_without(shop: Shop) -> None:
    browser = shop.stage.browser()
    await browser.says(X, name="Ann", identity_token=signed(shop, browser))
    await browser.says(X, name="Mallory")
    person = await shop.stage.person(cid=X)
    assert (person.traits, person.claimed_traits) == ({"name": "Ann"}, {"name": "Mallory"})


async def test_two_verified_profiles_are_merged_by_a_token_and_by_no_browser(shop: Shop) -> None:
    async def verified_visitor() -> Browser:
        browser = shop.stage.browser()
        await browser.tracks()
        await shop.post(uid=browser.uid, email=f"{browser.uid}@example.com")
        return browser

    await shop.post(cid=X, traits={"plan": "pro"})
    one = await verified_visitor()
    event = await one.says(X)
    person = await shop.stage.person(cid=X)
    assert person.email is None, "the verified address stays with whom it was verified for"
    assert (await shop.stage.person(email=f"{one.uid}@example.com")).profile_id != person.profile_id
    assert person.warnings[event] == ("both_verified",)
    assert told(one) == [], "that another profile is verified is nothing to tell a browser"
    two = await verified_visitor()
    await two.says(X, identity_token=signed(shop, two))
    person = await shop.stage.person(cid=X)
    assert (person.email, person.warnings) == (f"{two.uid}@example.com", {event: ("both_verified",)})


async def test_the_last_two_keys_count(shop: Shop) -> None:
    async def result_of(key: int, **header: str) -> list[str]:
        browser = shop.stage.browser()
        said = {"sub": X, "uid": browser.uid, "exp": int(time.time()) + 300}
        token = jwt.encode(said, token_secret(MASTER, shop.site, key), "HS256", header)
        await browser.says(X, identity_token=token)
        return told(browser)

    async def change(token_keys: int) -> None:
        shop.database.transact(update_site, replace(shop.site, token_keys=token_keys))
        await shop.client.app[EDGE].sites.refresh()

    assert [await result_of(key) for key in (1, 2)] == [[], []]
    assert [await result_of(1, kid=kid) for kid in ("1", "2", "nonsense")] == [[], [], []]
    await change(3)
    assert [await result_of(key) for key in (1, 2, 3)] == [["identity_token_invalid"], [], []]
    await change(0)
    assert await result_of(1) == ["identity_token_invalid"], "without a key there is no token"


async def test_a_token_is_not_stored(shop: Shop, tmp_path: Path) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    token = signed(shop, browser)
    await browser.says(X, name="Ann", identity_token=token)
    await browser.tracks("user", "sign_in", extra={"identify_id": X, "identity_token": token})
    await browser.tracks("user", "info", dims={"customers": {"customer_id": X, "identity_token": token}})
    await browser.tracks("product", "view", extra={"identity_token": token}, items=[{"identity": 1}])
    await browser.tracks("", "refused", extra={"identity_token": token})
    browser.offline = False
    answer = await browser.sends()
    assert (answer.accepted, answer.quarantined) == (4, 1)
    await shop.stage.person(cid=X)
    files = list(tmp_path.glob("regulars.db*"))  # noqa: ASYNC240 - the collector may wait
    stored = b"".join(file.read_bytes() for file in files)
    assert b"Ann" in stored
    assert token.rpartition(".")[2].encode() not in stored
    assert b"identity_token" not in stored


async def test_an_event_that_is_sent_again_with_another_token_is_the_same_event(shop: Shop) -> None:
    browser = shop.stage.browser()
    browser.offline = True
    await browser.says(X, identity_token=signed(shop, browser))
    (event,) = browser.outbox
    renewed = json.loads(json.dumps(event))
    renewed["dims"]["customers"]["identity_token"] = signed(shop, browser, jti="another")
    browser.outbox = [event, renewed]
    answer = await browser.sends()
    assert (answer.accepted, answer.duplicate, answer.quarantined) == (1, 1, 0)


async def test_too_many_assertions_are_dropped_before_anybody_looks_at_their_tokens(
    aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    shop = await open_shop(
        aiohttp_client, tmp_path, token_keys=1, config={"secret_key": MASTER, "identify_rate_per_device": 1.0}
    )
    shop.stage.now = int(time.time() * 1000)  # only one warning is told, so the clock must be right
    browser, before = shop.stage.browser(), looked_at()
    codes = []
    for _ in range(30):
        await browser.says(X, identity_token="nonsense")
        codes += told(browser)
    looks = sum(looked_at().values()) - sum(before.values())
    assert 0 < codes.count("identity_token_invalid") == looks < 30
    assert codes.count("identify_rate_limited") == 30 - looks
    await shop.database.close()


async def test_a_site_can_require_tokens_from_one_moment_to_the_next(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", f"sqlite:///{tmp_path / 'regulars.db'}")

    async def require(required: str) -> None:
        arguments = ["site", "set", "shop", f"require_verified_identity={required}"]
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert result.exit_code == 0, result.output
        await shop.client.app[EDGE].sites.refresh()

    one, two = shop.stage.browser(), shop.stage.browser()
    await require("true")
    await one.says(X)
    assert await shop.stage.look(cid=X) is None
    await two.says(X, identity_token=signed(shop, two))
    assert (await shop.stage.person(cid=X)).uids == {two.uid}
    await require("false")
    await one.says(X)
    assert (await shop.stage.person(cid=X)).uids == {one.uid, two.uid}
