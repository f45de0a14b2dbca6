"""Somebody in the shop who writes down what they do, to be compared with what the collector tells of it afterwards.

The diary knows nothing of the SDK's events: addresses, titles and referrers are read off the page that is open, times
off the browser's clock, and what a click means is what the shop's README says.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, Page

from tests.browser.whole import sdk_is_there

SIGN_INS = ("user/sign_up", "user/sign_in", "user/identify")
LATER = "Date.now = ((now) => () => now.call(Date) + %d)(Date.now)"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something the person did. `name` is as the History API calls it; times are ms on the browser's clock.

    `session` numbers the stretches for which somebody was signed in, `who` is the customer; None while nobody was.
    `counts_for` is the customer whose UID it was: also before they said so, and after they signed out.
    """

    name: str
    url: str
    earliest: int
    latest: int
    session: int | None
    who: str | None
    counts_for: str
    page: int  # which one of the visit's pages
    title: str = ""
    referrer: str = ""

    @property
    def is_system(self) -> bool:
        """Whether it is one of the system's own events."""
        return "/" not in self.name


@dataclass(slots=True)
class Diary:
    """What one person did in one browser, visit by visit. `owner` is the customer whose device it is so far."""

    page: Page
    owner: str
    later_ms: int = 0
    visits: list[list[Entry]] = field(default_factory=list)
    who: str | None = None
    session: int | None = None
    sessions: list[str] = field(default_factory=list)

    @property
    def today(self) -> list[Entry]:
        """The entries of the visit that goes on."""
        return self.visits[-1]

    @property
    def pages(self) -> list[Entry]:
        """The pages of the visit that goes on, one entry for each time one was entered."""
        return pages_of(self.today)

    async def comes(self, context: BrowserContext, address: str, *telling: str, later_ms: int = 0) -> None:
        """Begins a visit in a new tab: types an address. `later_ms` is how far all clocks are ahead by now."""
        self.page, self.later_ms = await context.new_page(), later_ms
        await self.page.add_init_script(LATER % later_ms)
        self.visits.append([])
        await self.goes(self.page.goto(address), telling=telling)

    async def clicks(
        self, test_id: str, *telling: str, leaving: tuple[str, ...] = (), becomes: str | None = None
    ) -> None:
        """Clicks on what leads to another page. `leaving` is done by that on this page, `telling` by arriving there."""
        await self.goes(
            self.page.get_by_test_id(test_id).first.click(), telling=telling, leaving=leaving, becomes=becomes
        )

    async def goes(
        self,
        act: Awaitable[object],
        *,
        telling: tuple[str, ...] = (),
        leaving: tuple[str, ...] = (),
        becomes: str | None = None,
    ) -> None:
        """Does what leads to another page; `becomes` is the customer who is signed in from then on."""
        earliest = await self._now()
        document, left = await self._document(), self.page.url
        async with self.page.expect_navigation(wait_until="load"):
            await act
        await sdk_is_there(self.page)
        is_same = document == await self._document()
        latest = await self._now()
        if self.today:
            self._write(leaving, left, earliest, latest)
            self._write(("PageExited",), left, earliest, latest)
        referrer = left if is_same else await self.page.evaluate("document.referrer")
        self._enter(await self.page.title(), referrer, earliest, latest)
        self._write(telling, self.page.url, earliest, latest, becomes)

    async def closes_the_tab(self) -> None:
        """Ends the visit."""
        earliest, url, context = await self._now(), self.page.url, self.page.context
        await self.page.close()
        self.page = await context.new_page()  # whose clock says when that was over
        self._write(("PageExited",), url, earliest, await self._now())
        await self.page.close()
        self.who = self.session = None

    def _enter(self, title: str, referrer: str, earliest: int, latest: int) -> None:
        place = len(self.pages)
        self.today.append(
            Entry(
                "PageEntered",
                self.page.url,
                earliest,
                latest,
                self.session,
                self.who,
                self.owner,
                place,
                title,
                referrer,
            )
        )

    def _write(self, names: tuple[str, ...], url: str, earliest: int, latest: int, becomes: str | None = None) -> None:
        for name in names:
            if name in SIGN_INS:
                self._signs_in(becomes or self.who or self.owner)
            elif name == "user/sign_out":
                self.who = self.session = None
            called = "SignIn" if name in SIGN_INS else "SignOut" if name == "user/sign_out" else name
            place = len(self.pages) - 1
            self.today.append(Entry(called, url, earliest, latest, self.session, self.who, self.owner, place))

    def _signs_in(self, who: str) -> None:
        if self.who != who:
            self.session = len(self.sessions)
            self.sessions.append(who)
        self.who = self.owner = who

    async def _now(self) -> int:
        real: int = await self.page.evaluate("new Date().getTime()")
        return real + self.later_ms

    async def _document(self) -> float:
        """What tells one document from the next."""
        origin: float = await self.page.evaluate("performance.timeOrigin")
        return origin


def pages_of(entries: list[Entry]) -> list[Entry]:
    """Those entries that entered a page."""
    return [entry for entry in entries if entry.name == "PageEntered"]
