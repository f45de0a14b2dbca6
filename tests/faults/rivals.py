"""Browsers and servers that say things about the same people at once, through several collectors (T8).

Loyal people are never erased, so that all that was acknowledged of them must be there in the end; what is known of
fleeting people is erased again and again. A browser only ever speaks of people of one kind.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uuid_utils

from tests.faults.server import ORIGIN, Keys, now_ms
from tests.faults.server import event as plain_event

LOYAL, FLEETING = 16, 4
BROWSERS_OF_LOYAL, BROWSERS_OF_FLEETING = 18, 6
ACTS_IN_A_ROUND = 16
GIVE_UP_S = 60.0
HEADERS = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}


@dataclass(slots=True)
class Rival:
    """One browser, whose cookies are kept by its session. `people` are the numbers of those whom it may name."""

    session: aiohttp.ClientSession
    people: Sequence[int]
    uid: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    uid_origin: str = "first"
    device: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    visit: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    seq: int = 0

    def batch(self, chance: random.Random) -> list[dict[str, Any]]:
        """Some views, and often a word about who this is."""
        person = chance.choice(self.people)
        luck = chance.random()
        if luck < 0.15:
            self.uid, self.uid_origin = str(uuid_utils.uuid7()), chance.choice(("first", "reset"))
        events = [self._event() for _ in range(chance.randrange(1, 4))]
        said = events[-1]
        if luck < 0.5:
            customers = {"customer_id": f"customer-{person}", "first_name": f"{chance.random()}"}
            if chance.random() < 0.5:
                customers["email"] = f"customer-{person}@shop.example"
            said.update(category="user", action="sign_in", dims={"customers": customers})
        elif luck < 0.7:
            said.update(category="form", action="submit", email=f"customer-{person}@shop.example")
        elif luck < 0.75:
            said.update(category="user", action="sign_out")
        return events

    def _event(self) -> dict[str, Any]:
        self.seq += 1
        return plain_event(self.seq, uid=self.uid, uid_origin=self.uid_origin, visit=self.visit)


@dataclass(slots=True)
class Arena:
    """The collectors at `urls`, the people, and what was acknowledged: ids of events of loyal people, and of others."""

    urls: Sequence[str]
    keys: Keys
    chance: random.Random
    rivals: list[Rival] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    erasable: set[str] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    refused: int = 0
    suppressed: int = 0
    erased: int = 0

    async def play(self, rounds: int) -> None:
        """Rounds of acts at the same time; a round ends when everything is acknowledged."""
        for _ in range(rounds):
            await asyncio.gather(*(self._act() for _ in range(ACTS_IN_A_ROUND)))

    async def _act(self) -> None:
        luck = self.chance.random()
        if luck < 0.08:
            await self._erase(self.chance.randrange(LOYAL, LOYAL + FLEETING))
        elif luck < 0.2:
            await self._vouch(self.chance.choice(self.rivals))
        else:
            await self._browse(self.chance.choice(self.rivals))

    async def _browse(self, rival: Rival) -> None:
        """Send a batch until it is acknowledged, now and then to two collectors at once."""
        events = rival.batch(self.chance)
        batch = {"sent_at": now_ms(), "tz": 0, "sdk": "0.1.0", "device": rival.device, "events": events}
        times = 2 if self.chance.random() < 0.2 else 1
        await asyncio.gather(*(self._deliver(rival, batch) for _ in range(times)))
        is_loyal = rival.people[0] < LOYAL
        (self.kept if is_loyal else self.erasable).update(str(event["event_id"]).replace("-", "") for event in events)

    async def _deliver(self, rival: Rival, batch: dict[str, Any]) -> None:
        path = f"/v1/collect?site={self.keys.write_key}"
        reply = await self._insist(rival.session, "POST", path, data=json.dumps(batch).encode(), headers=HEADERS)
        if reply["accepted"] + reply["duplicate"] + reply["suppressed"] != len(batch["events"]):
            self.surprises.append(json.dumps(reply))
        if reply["suppressed"] and rival.people[0] < LOYAL:
            self.surprises.append(f"somebody who was never erased: {json.dumps(reply)}")
        self.suppressed += reply["suppressed"]

    async def _vouch(self, rival: Rival) -> None:
        """The site's server says who is behind a browser."""
        person = self.chance.choice(rival.people)
        said = {"uid": rival.uid, "cid": f"customer-{person}", "event_id": str(uuid_utils.uuid7())}
        if self.chance.random() < 0.5:
            said["email"] = f"customer-{person}@{self.chance.choice(('shop', 'mail'))}.example"
        await self._insist(rival.session, "POST", "/api/v1/identify", json=said, headers=self._secret)
        kept = self.kept if person < LOYAL else self.erasable
        kept.add(said["event_id"].replace("-", ""))

    async def _erase(self, person: int) -> None:
        session = self.rivals[-1].session
        path = f"/api/v1/profiles?cid=customer-{person}"
        profile = await self._insist(session, "GET", path, headers=self._secret)
        if "profile_id" in profile:
            path = f"/api/v1/profiles/{profile['profile_id']}"
            done = await self._insist(session, "DELETE", path, headers=self._secret)
            self.erased += "erased" in done

    @property
    def _secret(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.secret_key}"}

    async def _insist(self, session: aiohttp.ClientSession, method: str, path: str, **body: Any) -> dict[str, Any]:
        """The first answer that is not "try again", from any collector; 404 is one too."""
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                url = self.chance.choice(self.urls)
                try:
                    async with session.request(method, url + path, **body) as response:
                        text = await response.text()
                except aiohttp.ClientError:
                    status = 0
                else:
                    status = response.status
                if status in (200, 404):
                    document: dict[str, Any] = json.loads(text)
                    return document
                if status not in (0, 503):
                    self.surprises.append(f"{method} {path}: {status} {text}")
                self.refused += 1
                await asyncio.sleep(self.chance.uniform(0.02, 0.1))


async def fight(arena: Arena, rounds: int) -> None:
    """Open the browsers and play."""
    timeout = aiohttp.ClientTimeout(total=20)
    people = [range(LOYAL)] * BROWSERS_OF_LOYAL + [range(LOYAL, LOYAL + FLEETING)] * BROWSERS_OF_FLEETING
    sessions = [aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=timeout) for _ in people]
    arena.rivals = [Rival(session, mine) for session, mine in zip(sessions, people, strict=True)]
    try:
        await arena.play(rounds)
    finally:
        for session in sessions:
            await session.close()
