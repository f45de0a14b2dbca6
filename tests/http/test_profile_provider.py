"""R15: a provider of the site owner's own is asked who a browser is, and may fail without harm."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from prometheus_client.parser import text_string_to_metric_families
from pytest_aiohttp.plugin import AiohttpClient
from structlog.testing import capture_logs

from collector import metrics
from collector.app import create_app, make_recognition
from collector.config import Config, ConfigError
from collector.domain.provider import Caller
from collector.web.edge import EDGE
from collector.web.provider import Recognition
from tests.api_shop import Shop, open_shop
from tests.http_transport import ORIGIN
from tests.scenarios.people import X
from tests.stage import Browser

GUIDE = (Path(__file__).parents[2] / "docs/guide-provider.md").read_text("utf-8")
FINE = object()
Open = Callable[..., Any]


@dataclass
class Scripted:
    """Answers what it is told to, and remembers what it was asked."""

    answer: Any = None
    asked: list[tuple[str, Caller]] = field(default_factory=list)
    told: list[tuple[Caller, str]] = field(default_factory=list)
    told_raises: Exception | None = None

    async def get_current(self, caller: Caller) -> Any:
        self.asked.append(("current", caller))
        return await self._answer(caller)

    async def get_existing(self, caller: Caller) -> Any:
        self.asked.append(("existing", caller))
        return await self._answer(caller)

    async def set_current(self, caller: Caller, profile_id: str) -> None:
        self.told.append((caller, profile_id))
        if self.told_raises is not None:
            raise self.told_raises

    async def _answer(self, caller: Caller) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == "late":
            await asyncio.sleep(30)
        if self.answer == "blocking":
            time.sleep(0.06)  # noqa: ASYNC251 - the very mistake
            return None
        return caller.contact_id if self.answer is FINE else self.answer


@pytest.fixture
def opened(aiohttp_client: AiohttpClient, tmp_path: Path) -> Open:
    async def opened(provider: Scripted, **chosen: Any) -> Shop:
        """A shop whose collector asks `provider`."""
        shop = await open_shop(aiohttp_client, tmp_path, **chosen)
        app = shop.client.app
        assert app is not None
        object.__setattr__(app[EDGE], "recognition", Recognition(provider))  # frozen, and the app has started
        await shop.database.close()
        return shop

    return opened


def failures() -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
        if sample.name == "regulars_provider_failures_total"
    }


async def test_an_answer_decides_whose_a_new_uid_is(opened: Open) -> None:
    provider = Scripted()
    shop = await opened(provider)
    one, two = shop.stage.browser(), shop.stage.browser()
    await one.tracks()
    mine = (await shop.stage.person(uid=one.uid)).profile_id
    provider.answer = mine
    await two.tracks()
    assert (await shop.stage.person(uid=two.uid)).uids == {one.uid, two.uid}
    assert await two.is_known_as() == mine


async def test_none_begins_an_anonymous_profile_whatever_the_cookie_says(opened: Open) -> None:
    provider = Scripted(FINE)
    shop = await opened(provider)
    browser = shop.stage.browser()
    await browser.tracks()
    before = await browser.is_known_as()
    browser.loses("script")
    await browser.tracks()
    assert await browser.is_known_as() == before, "as the built-in recognition would have it"
    browser.loses("script")
    provider.answer = None
    await browser.tracks()
    assert await browser.is_known_as() != before


async def test_a_known_uid_keeps_its_profile(opened: Open) -> None:
    provider = Scripted()
    shop = await opened(provider)
    one, two = shop.stage.browser(), shop.stage.browser()
    await one.tracks()
    await two.tracks()
    provider.answer = (await shop.stage.person(uid=one.uid)).profile_id
    await two.tracks()
    assert (await shop.stage.person(uid=two.uid)).uids == {two.uid}


async def test_an_erased_or_unknown_profile_is_not_adopted(opened: Open) -> None:
    provider = Scripted()
    shop = await opened(provider)
    one, two, three = (shop.stage.browser() for _ in range(3))
    await one.tracks()
    provider.answer = await one.is_known_as()
    await shop.stage.transport.erase(provider.answer, shop.stage.now)
    await two.tracks()
    assert await two.is_known_as() != provider.answer
    provider.answer = "0190a000-0000-7000-8000-000000000001"
    await three.tracks()
    assert await three.is_known_as() != provider.answer


async def test_what_it_is_told(opened: Open) -> None:
    provider = Scripted(FINE)
    shop = await opened(provider)
    browser = shop.stage.browser()
    await browser.tracks()
    ((kind, caller),) = provider.asked
    assert (kind, caller.site_id, caller.site, caller.contact_id) == ("current", 1, "shop", None)
    assert caller.uids == (browser.uid,)
    assert caller.headers["origin"] == ORIGIN
    first = await browser.is_known_as()
    assert provider.told == [(caller, first)], "after the first events it is told who that is"
    await browser.tracks()
    assert provider.asked[1][1].contact_id == first
    assert provider.asked[1][1].cookies["CurrentContact"] == browser.contact_cookie
    assert provider.asked[1][1].device_id == caller.device_id is not None
    assert len(provider.told) == 1, "nothing has changed"
    await browser.resets()
    assert [profile_id for _, profile_id in provider.told] == [first, await browser.is_known_as()]
    assert provider.told[1][0].contact_id == first, "who asked is told as they asked"


async def test_a_pixel_asks_for_an_existing_profile_and_bots_for_none(opened: Open) -> None:
    provider = Scripted()
    shop = await opened(provider, bots="exclude")
    key, uid = shop.site.write_key, shop.stage.browser().uid
    human = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    human |= {"Cookie": "member=1", "X-Member": "2"}
    for headers in (human, {"User-Agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}):
        await shop.client.get("/v1/pixel.gif", params={"site": key, "uid": uid}, headers=headers)
    await shop.client.get("/v1/pixel.gif", params={"site": key}, headers=human)
    assert [(kind, caller.device_id, caller.uids) for kind, caller in provider.asked] == [("existing", None, (uid,))]
    assert provider.told == []
    caller = provider.asked[0][1]
    assert (dict(caller.cookies), caller.headers.get("cookie"), caller.headers["x-member"]) == ({}, None, "2")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RuntimeError("secret text"), "error"),
        ("late", "timeout"),
        ("blocking", "timeout"),
        (42, "answer"),
        ("x", "answer"),
    ],
    ids=["raises", "is late", "blocks", "answers a number", "answers no id"],
)
async def test_one_that_fails_is_passed_over(opened: Open, answer: Any, reason: str) -> None:
    provider, before = Scripted(FINE), failures()
    shop = await opened(provider)
    browser = shop.stage.browser()
    await browser.tracks()
    first = await browser.is_known_as()
    provider.answer = answer
    browser.loses("script")
    with capture_logs() as logs:
        events = [await browser.tracks() for _ in range(3)]
    assert browser.last_answer is not None
    assert (browser.last_answer.accepted, browser.last_answer.results) == (1, ()), "no browser need know"
    assert await browser.is_known_as() == first, "the built-in recognition took the cookie"
    person = await shop.stage.person(uid=browser.uid)
    assert {event: person.warnings.get(event) for event in events} == dict.fromkeys(events, ("provider_failed",))
    assert failures().get(reason, 0) == before.get(reason, 0) + 3
    (line,) = [entry for entry in logs if entry["event"] == "provider_failed"]
    assert (line["reason"], line["failures"]) == (reason, 1)
    assert "secret text" not in str(line)


async def test_one_that_fails_afterwards_costs_no_event(opened: Open) -> None:
    provider, before = Scripted(FINE, told_raises=OSError()), failures()
    shop = await opened(provider)
    browser = shop.stage.browser()
    event = await browser.tracks()
    assert browser.last_answer is not None
    assert browser.last_answer.accepted == 1
    assert event in (await shop.stage.person(uid=browser.uid)).events
    assert failures()["error"] == before.get("error", 0) + 1


class TestExampleOfTheGuide:
    """The shop's provider, as it stands in the guide, installed and found."""

    KEY = "the shop's own key"

    @pytest.fixture(params=["by its path", "by its package", "by its name"])
    async def shop(
        self,
        request: pytest.FixtureRequest,
        aiohttp_client: AiohttpClient,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Any:
        module = f"shop_recognition_{request.param.rpartition(' ')[2]}"
        add_module(tmp_path, monkeypatch, module, example())
        monkeypatch.setenv("SHOP_MEMBER_KEY", self.KEY)
        named = f"{module}.MemberProvider"
        if request.param != "by its path":
            add_package(tmp_path, members=f"{module}:MemberProvider")
            named = "members" if request.param == "by its name" else ""
        shop = await open_shop(aiohttp_client, tmp_path, config={"profile_provider": named})
        yield shop
        await shop.database.close()

    async def test_a_member_is_recognised_in_a_browser_where_they_have_never_been(self, shop: Shop) -> None:
        genuine = f"4711.{hmac.digest(self.KEY.encode(), b'shop.4711', 'sha256').hex()}"
        forged = f"4711.{hmac.digest(b'guessed', b'shop.4711', 'sha256').hex()}"
        one, two, three, four = (shop.stage.browser() for _ in range(4))
        for browser, member in ((one, genuine), (two, genuine), (three, forged), (four, "\u00e9.\u00e9")):
            assert (await visits(shop, browser, member)).status == 200
        assert (await shop.stage.person(uid=one.uid)).uids == {one.uid, two.uid}
        assert (await shop.stage.person(uid=three.uid)).uids == {three.uid}
        assert (await shop.stage.person(uid=four.uid)).uids == {four.uid}
        await one.says(X)
        assert (await shop.stage.person(cid=X)).uids == {one.uid, two.uid}
        assert (await shop.stage.person(cid=X)).warnings == {}


def example() -> str:
    found = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def add_module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(folder)


def add_package(folder: Path, **announced: str) -> None:
    """What an installed package leaves behind that announces providers."""
    info = folder / "shop_recognition-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-recognition\nVersion: 1.0\n")
    lines = [f"{name} = {path}" for name, path in announced.items()]
    (info / "entry_points.txt").write_text("\n".join(["[regulars.profile_provider]", *lines, ""]))


async def visits(shop: Shop, browser: Browser, member: str) -> ClientResponse:
    """The browser looks at something, with the shop's cookie."""
    letter = browser.letter([browser.stamp("product", "view")])
    return await shop.client.post(
        "/v1/collect",
        params={"site": shop.site.write_key},
        data=orjson.dumps(letter.body),
        headers={"Origin": ORIGIN, "Content-Type": "text/plain", "Cookie": f"member={member}"},
    )


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("nowhere.Provider", "nowhere.Provider cannot be used: ModuleNotFoundError"),
        ("broken_providers.Missing", "AttributeError"),
        ("broken_providers:Raises", "broken_providers:Raises cannot be used: KeyError"),
        ("broken_providers.Half", "broken_providers.Half has no set_current"),
        ("plain", "plain cannot be used: ValueError"),
        ("", "must be one of one, two, for several are installed"),
    ],
)
def test_a_collector_does_not_start_without_the_provider_it_should_have(
    named: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def Raises():\n    raise KeyError('key')\nclass Half:\n    get_current = get_existing = print\n"
    add_module(tmp_path, monkeypatch, "broken_providers", text)
    add_package(tmp_path, one="broken_providers:Half", two="broken_providers:Raises")
    with pytest.raises(ConfigError, match="profile_provider: ") as raised:
        create_app(Config(profile_provider=named))
    assert problem in str(raised.value)


def test_without_one_there_is_nothing_to_ask() -> None:
    assert make_recognition(Config()) is None
