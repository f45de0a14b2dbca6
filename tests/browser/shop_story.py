"""A story of two customers on one device, played in the shop: three visits, a telephone call, and a diary of it all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import BrowserContext

from tests.browser.diary import Diary, Entry
from tests.browser.test_shop_people import ADA, GRACE, cid_of, cookie
from tests.browser.whole import Json, Town

HOUR_MS = 3_600_000
ADA_ID, GRACE_ID = cid_of(ADA), cid_of(GRACE)
PASSWORD = "engine-no-1"
BACKEND, SERVER = "/backend/data", "/server/data"


@dataclass(slots=True)
class Clock:
    """The collector's clock, which goes as fast as any other and may be put forward."""

    later_ms: int = 0

    def now(self) -> int:
        """Milliseconds UTC."""
        return time.time_ns() // 1_000_000 + self.later_ms


@dataclass(slots=True)
class Historian:
    """Somebody with a secret key who asks what happened."""

    town: Town
    secret: str

    async def ask(self, method: str, path: str, **options: Any) -> tuple[Any, str | None]:
        """The document that answers a request, and where the list goes on if it is one."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        async with self.town.api.request(method, self.town.collector + path, headers=headers, **options) as response:
            document = await response.json() if response.status != 204 else []
            assert response.status < 300, f"{path}: {response.status} {document}"
            return document, response.headers.get("Paging-Next")

    async def reads(self, path: str, **query: str) -> Any:
        """What is told under both prefixes, which is the same; lists in full, page by page."""
        told = [await self._reads(prefix + path, query) for prefix in (BACKEND, SERVER)]
        assert told[0] == told[1], path
        return told[0]

    async def _reads(self, path: str, query: dict[str, str]) -> Any:
        document, following = await self.ask("GET", path, params=query)
        while following is not None:
            more, following = await self.ask("GET", path, params=query | {"page_start": following})
            document += more
        return document

    async def tells(self, path: str, body: Json) -> Json:
        """What is answered to something that is reported."""
        told: Json = (await self.ask("POST", path, json=body))[0]
        return told


@dataclass(slots=True)
class Story:
    """A diary, and what the collector made of it: the ids of visits and sessions, oldest first."""

    town: Town
    diary: Diary
    reader: Historian
    masked: Historian
    device: str = ""
    visits: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def all(self) -> list[tuple[int, Entry]]:
        """Every entry with the number of its visit."""
        return [(number, entry) for number, entries in enumerate(self.diary.visits) for entry in entries]

    def session_id(self, entry: Entry) -> str | None:
        """The session in which an entry is."""
        return None if entry.session is None else self.sessions[entry.session]


async def signs_up(diary: Diary, name: str, email: str) -> None:
    """Opens an account by the form that is open."""
    for field_name, text in {"name": name, "email": email, "password": PASSWORD}.items():
        await diary.page.get_by_test_id(f"sign-up-{field_name}").fill(text)
    await diary.clicks("sign-up-submit", "user/sign_up", becomes=cid_of(email))


async def ada_shops_and_grace_comes_after_her(diary: Diary, context: BrowserContext, shop: str) -> None:
    """Two customers in one visit, each with a session, and people who say nothing before, between and after them."""
    await diary.comes(context, f"{shop}/")
    await diary.clicks("hero-shop")
    await diary.clicks("filter-kitchen")
    await diary.goes(diary.page.locator('[data-product="milk-pan"] a').click(), telling=("product/view",))
    await diary.clicks("add-to-cart", leaving=("cart/add",))
    await diary.clicks("stories-link")
    await diary.clicks("topic-mending")
    await diary.clicks("story-chipped-enamel")
    await diary.goes(diary.page.go_back())
    await diary.clicks("sign-in-link")
    await diary.clicks("sign-up-link")
    await signs_up(diary, "Ada Lovelace", ADA)
    await diary.clicks("account-details", "user/identify")
    await diary.clicks("cart-link")
    await diary.clicks("to-checkout", "checkout/start")
    for name, text in {"street": "Elm Row 3", "town": "Ulm"}.items():
        await diary.page.get_by_test_id(f"checkout-{name}").fill(text)
    await diary.clicks("place-order", "order/purchase")
    await diary.clicks("account-link")
    await diary.clicks("sign-out", leaving=("user/sign_out",))
    await diary.clicks("teaser-link")
    await diary.clicks("sign-in-link")
    await diary.clicks("sign-up-link")
    await signs_up(diary, "Grace Hopper", GRACE)
    await diary.clicks("catalogue-link")
    await diary.goes(diary.page.locator('[data-product="enamel-mug"] a').click(), telling=("product/view",))
    await diary.clicks("account-link", "user/identify")
    await diary.clicks("sign-out", leaving=("user/sign_out",))
    await diary.clicks("privacy-link")


async def an_hour_later_ada_is_on_the_phone(story: Story, context: BrowserContext, clock: Clock) -> None:
    """The visit is taken for Grace's, who was the last to sign in. Ada calls, and the agent knows her by her e-mail."""
    clock.later_ms += HOUR_MS
    diary, read = story.diary, story.reader
    await diary.comes(context, f"{story.town.shop}/newsletter", later_ms=clock.later_ms)
    await diary.clicks("catalogue-link")
    await diary.goes(diary.page.locator('[data-product="clay-pots"] a').click(), telling=("product/view",))
    await stored(story)
    assert await stands(story) == ("WM-Recognized", GRACE_ID, 0.54, True)
    visit = (await read.reads("/visits"))[0]["visitId"]
    reported = await read.tells("/api/v1/interactions", {"visitId": visit, "kind": "call"})
    assert (reported["state"], reported["identification"]) == ("WM-Recognized", "agent_decides")
    assert (reported["identity_id"], reported["confidence"]) == (GRACE_ID, 0.54)
    answered = await read.tells(f"/api/v1/interactions/{reported['interaction_id']}/decision", {"identityId": ADA})
    assert answered["decision"]["identityId"] == ADA
    assert await stands(story) == ("Recognized", ADA, 0.95, False)


async def ada_opens_the_browser_again(story: Story, context: BrowserContext, clock: Clock) -> None:
    """Cookies of the session are gone, and with them the visit. Ada signs in."""
    state = await context.storage_state()
    state["cookies"] = [cookie for cookie in state["cookies"] if cookie.get("expires", -1) > 0]
    again = await story.town.browser.new_context(storage_state=state)
    story.town.contexts.append(again)
    diary = story.diary
    await diary.comes(again, f"{story.town.shop}/sign-in", later_ms=clock.later_ms)
    await diary.page.get_by_test_id("sign-in-email").fill(ADA)
    await diary.page.get_by_test_id("sign-in-password").fill(PASSWORD)
    await diary.clicks("sign-in-submit", "user/sign_in", becomes=ADA_ID)
    await diary.clicks("home-link")
    await stored(story)
    assert await stands(story) == ("Authenticated", ADA_ID, 1.0, False)


async def stored(story: Story) -> None:
    """Returns when all that is in the diary is stored, and nothing else is."""
    count = sum(len(entries) for entries in story.diary.visits)
    await story.town.until(lambda: len(story.town.events()) >= count)
    assert len(story.town.events()) == count


async def stands(story: Story) -> tuple[str, str | None, float, bool]:
    """Who is on the site now: state, identity, confidence, and whether an agent should find out."""
    uid = (await cookie(story.diary.page, "_regulars")).split(".")[1]
    current, _ = await story.reader.ask("GET", "/api/v1/visitors/current", params={"uid": uid})
    last = story.diary.pages[-1]
    assert current["page"] == {"url": last.url, "title": last.title}
    profile = (await story.town.person(uid=uid))["visit"]
    for name in ("state", "confidence", "needs_agent_validation"):
        assert profile[name] == current[name], name
    return current["state"], current["identityId"], current["confidence"], current["needs_agent_validation"]


async def keys(town: Town) -> list[str]:
    """Two secrets: one that sees everything, and one that sees no personal data."""
    owner = Historian(town, town.keys.secret_key)
    scopes = ["history:read", "interactions"]
    secrets = []
    for name, given in {"reader": [*scopes, "pii:read"], "masked": scopes}.items():
        secrets.append((await owner.tells("/api/v1/keys", {"name": name, "scopes": given}))["secret_key"])
    return secrets
