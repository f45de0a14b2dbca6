"""A stage for stories about visitors: simulated browsers with cookies and clocks, over any way into the collector.

A `Browser` behaves as the SDK and a browser would: it stamps events when they are tracked, keeps them while offline,
and sends them with the cookies that it holds when it sends. What carries the letters and who answers questions about
people is a `Transport`; the same stories run over the store alone and over HTTP.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

START_MS = 1_772_442_000_000  # 2026-03-02 09:00 UTC, a Monday
SECOND_MS = 1_000
DAY_MS = 86_400_000

Cookie = Literal["script", "device", "contact"]


def mint_uuid7(at: int, chance: random.Random) -> str:
    """A UUIDv7 born at `at` ms."""
    bits = (at << 80) | (7 << 76) | (chance.getrandbits(12) << 64) | (2 << 62) | chance.getrandbits(62)
    return str(uuid.UUID(int=bits))


@dataclass(frozen=True, slots=True)
class Letter:
    """One request: the body of a batch, and the two HttpOnly cookies as they were when it was sent (opaque text)."""

    body: dict[str, Any]
    device_cookie: str | None
    contact_cookie: str | None
    sent_at: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `results` are (event_id, status, code) of what was not simply accepted."""

    accepted: int
    duplicate: int
    quarantined: int
    suppressed: int
    results: tuple[tuple[str, str, str], ...]
    device_cookie: str | None
    contact_cookie: str | None


@dataclass(frozen=True, slots=True)
class View:
    """One person as an operator sees them."""

    profile_id: str
    cid: str | None
    email: str | None
    uids: Set[str]
    merged: Set[str]
    events: dict[str, str]  # event_id to "category/action"
    traits: dict[str, object]
    claimed_traits: dict[str, object]
    claimed_emails: Set[str]
    warnings: dict[str, tuple[str, ...]]  # event_id to its warnings, where it has any


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of undoing a merge: `document`, or why it is refused (`code`) and which merges are to go first."""

    document: dict[str, Any] | None = None
    code: str | None = None
    merges: tuple[int, ...] = ()
    profile_id: str | None = None


class Transport(Protocol):
    """A way into one site of a collector, and a way to look at its people."""

    async def deliver(self, letter: Letter) -> Answer:
        """Send one batch from a browser."""

    async def assert_from_server(self, uid: str, cid: str | None, email: str | None, at: int) -> None:
        """Say with the secret key who is behind a UID."""

    async def look(self, kind: Literal["cid", "email", "uid"], value: str) -> View | None:
        """The person whom an identifier names."""

    async def resolve_contact(self, cookie: str) -> str:
        """The root of the profile that a CurrentContact cookie names."""

    async def look_at_visit(self, visit_id: str) -> tuple[str, list[tuple[str, bool]]]:
        """The state of a visit and its sessions in order, as (identity, is it open)."""

    async def erase(self, profile_id: str, at: int) -> None:
        """Forget a person."""

    async def journal(self) -> list[dict[str, Any]]:
        """The merges of the site, newest first."""

    async def unmerge(self, merge_id: int, *, dry_run: bool = False) -> Undone:
        """Undo a merge."""

    async def lift(self, merge_id: int) -> bool:
        """Stop keeping apart the two of an undone merge; whether it did that."""

    async def kept_apart(self) -> list[dict[str, Any]]:
        """The pairs that are kept apart, newest first."""

    async def read(self, profile_id: str) -> dict[str, Any]:
        """All that an operator can read about a profile: the person, why, and what they did."""

    def forge_contact(self, profile_id: str) -> str:
        """A CurrentContact cookie that names `profile_id` and was not made by the collector."""


@dataclass(slots=True)
class Script:
    """The SDK's own cookie."""

    uid: str
    origin: Literal["first", "reset"]
    device: str
    seq: int = 0


@dataclass(slots=True)
class Stage:
    """Time, chance and the cast. Every act takes a second; `passes` lets more go by."""

    transport: Transport
    seed: int = 1
    now: int = START_MS
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def browser(self, clock_off_ms: int = 0) -> Browser:
        """A browser that was never here."""
        return Browser(self, clock_off_ms)

    def passes(self, *, days: float = 0, minutes: float = 0) -> None:
        """Let time go by."""
        self.now += int(days * DAY_MS + minutes * 60 * SECOND_MS)

    async def person(self, **by: str) -> View:
        """The person of `cid=`, `email=` or `uid=`."""
        view = await self.look(**by)
        assert view is not None, f"nobody is known by {by}"
        return view

    async def look(self, **by: str) -> View | None:
        """The person of `cid=`, `email=` or `uid=`, None if there is nobody."""
        ((kind, value),) = by.items()
        assert kind in ("cid", "email", "uid")
        return await self.transport.look(kind, value)  # type: ignore[arg-type]


@dataclass(slots=True)
class Browser:
    """One browser. While `offline` it keeps its events; `sends` delivers them in any order, repeated if asked."""

    stage: Stage
    clock_off_ms: int = 0
    script: Script | None = None
    device_cookie: str | None = None
    contact_cookie: str | None = None
    visit: str = ""
    offline: bool = False
    outbox: list[dict[str, Any]] = field(default_factory=list)
    last_answer: Answer | None = None
    last_letter: Letter | None = None

    @property
    def clock(self) -> int:
        """What this browser takes for the time."""
        return self.stage.now + self.clock_off_ms

    @property
    def uid(self) -> str:
        """The UID that the next event will carry."""
        return self._script().uid

    def _script(self) -> Script:
        if self.script is None:
            device = str(uuid.UUID(int=self.stage.chance.getrandbits(128), version=4))
            self.script = Script(mint_uuid7(self.clock, self.stage.chance), "first", device)
        return self.script

    def arrives(self) -> None:
        """Begin another visit."""
        self.visit = mint_uuid7(self.clock, self.stage.chance)

    def stamp(self, category: str, action: str, **fields: Any) -> dict[str, Any]:
        """An event as the SDK writes it at this moment."""
        self.stage.now += SECOND_MS
        if not self.visit:
            self.arrives()
        script = self._script()
        script.seq += 1
        return {
            "event_id": mint_uuid7(self.clock, self.stage.chance),
            "category": category,
            "action": action,
            "uid": script.uid,
            "uid_origin": script.origin,
            "visit": self.visit,
            "seq": script.seq,
            "at": self.clock,
            "url": "https://shop.example/",
            **fields,
        }

    async def tracks(self, category: str = "product", action: str = "view", **fields: Any) -> str:
        """Track an event; its id."""
        event = self.stamp(category, action, **fields)
        self.outbox.append(event)
        if not self.offline:
            await self.sends()
        return str(event["event_id"])

    async def says(
        self, cid: str | None = None, email: str | None = None, action: str = "sign_in", **traits: object
    ) -> str:
        """Say who the visitor is, as the seed's snippet does."""
        customers = {key: value for key, value in (("customer_id", cid), ("email", email)) if value is not None}
        extra = {"identify_type": "exact", **({"identify_id": cid} if cid is not None else {})}
        return await self.tracks("user", action, dims={"customers": {**customers, **traits}}, extra=extra)

    async def submits(self, email: str, **traits: object) -> str:
        """Submit a form with an e-mail address."""
        dims = {"dims": {"customers": traits}} if traits else {}
        return await self.tracks("form", "submit", email=email, **dims)

    async def resets(self) -> str:
        """`resetAnonymousUId()`: the event carries the new UID."""
        script = self._script()
        self.stage.now += SECOND_MS
        script.uid, script.origin = mint_uuid7(self.clock, self.stage.chance), "reset"
        return await self.tracks("user", "reset_anonymous_uid")

    async def signs_out(self) -> str:
        """`signOut()`."""
        return await self.tracks("user", "sign_out")

    async def informs(self, identity: str, **traits: object) -> str:
        """`user/info`: a hint at who this may be."""
        return await self.tracks("user", "info", dims={"customers": {"customer_id": identity, **traits}})

    def loses(self, *cookies: Cookie) -> None:
        """Cookies that a browser, a privacy tool or the visitor deletes; all of them if none is named."""
        for cookie in cookies or ("script", "device", "contact"):
            if cookie == "script":
                self.script = None
            elif cookie == "device":
                self.device_cookie = None
            else:
                self.contact_cookie = None

    def drops(self, event_id: str) -> None:
        """Lose an event that was not sent yet."""
        self.outbox = [event for event in self.outbox if event["event_id"] != event_id]

    def letter(self, events: Iterable[dict[str, Any]]) -> Letter:
        """A request with these events and the cookies of this moment."""
        device = {"device": self.script.device} if self.script else {}
        body = {"sent_at": self.clock, "tz": 60, "sdk": "0.1.0", **device, "events": list(events)}
        return Letter(body, self.device_cookie, self.contact_cookie, self.stage.now)

    async def sends(self, order: Iterable[int] | None = None, one_by_one: bool = False) -> Answer:
        """Deliver what waits: all of it, or by place in `order`, which may repeat places. The outbox is empty then."""
        events = self.outbox if order is None else [self.outbox[place] for place in order]
        self.outbox = []
        for group in [[event] for event in events] if one_by_one else [events]:
            answer = await self.delivers(self.letter(group))
        return answer

    async def delivers(self, letter: Letter) -> Answer:
        """Deliver a letter, perhaps again, with the cookies of this moment, and take over those of the answer."""
        letter = replace(letter, device_cookie=self.device_cookie, contact_cookie=self.contact_cookie)
        self.last_letter = letter
        self.last_answer = await self.stage.transport.deliver(letter)
        self.device_cookie = self.last_answer.device_cookie or self.device_cookie
        self.contact_cookie = self.last_answer.contact_cookie or self.contact_cookie
        return self.last_answer

    async def is_known_as(self) -> str:
        """The root of the profile that CurrentContact names."""
        assert self.contact_cookie is not None, "CurrentContact was never set"
        return await self.stage.transport.resolve_contact(self.contact_cookie)
