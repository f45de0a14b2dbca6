"""Load for the fault tests, in a process of its own: `python -m tests.faults.clients URL KEY FOLDER SEED`.

Sixteen browsers send batches of ten events, one batch at a time each, and send the same batch again until it is
acknowledged. What was acknowledged goes to a journal per browser and is fsynced there before the next batch. Among the
events are identifications, e-mails and resets, so that profiles merge and people switch. Ends, once nothing is
outstanding, when its standard input is closed, and then prints a summary as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import aiohttp
import uuid_utils

from tests.faults.server import ORIGIN, now_ms
from tests.faults.server import event as plain_event

CLIENTS = 16
BATCH = 10
CUSTOMERS = 120
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(slots=True)
class Browser:
    """One browser, and after `becomes_new` the next one. `client` and `made` name each event beside its id."""

    client: int
    chance: random.Random
    cookies: aiohttp.CookieJar
    uid: str = ""
    uid_origin: str = "first"
    device: str = ""
    seq: int = 0
    made: int = 0

    def becomes_new(self) -> None:
        """Another browser takes this one's place: no cookies, a UID of its own."""
        self.cookies.clear()
        self.uid, self.uid_origin, self.device, self.seq = str(uuid_utils.uuid7()), "first", str(uuid_utils.uuid7()), 0

    def next_batch(self) -> list[dict[str, Any]]:
        """Ten events; one of them may say who the visitor is, or start over."""
        if not self.uid or self.chance.random() < 0.1:
            self.becomes_new()
        events = [self._event() for _ in range(BATCH)]
        cid = f"customer-{self.chance.randrange(CUSTOMERS)}"
        email = f"{cid}@shop.example"
        luck = self.chance.random()
        if luck < 0.25:
            said = self.chance.choice(events)
            customers = {"customer_id": cid, "email": email, "name": cid.title()}
            said |= {"category": "user", "action": "identify", "dims": {**said["dims"], "customers": customers}}
        elif luck < 0.35:
            self.chance.choice(events).update(category="form", action="submit", email=email)
        elif luck < 0.4:
            self.uid, self.uid_origin = str(uuid_utils.uuid7()), "reset"
            events[-1].update(category="user", action="reset_anonymous_uid", uid=self.uid, uid_origin="reset")
        return events

    def _event(self) -> dict[str, Any]:
        self.seq += 1
        self.made += 1
        return plain_event(
            self.seq, uid=self.uid, uid_origin=self.uid_origin, dims={"client": self.client, "made": self.made}
        )


@dataclass(slots=True)
class Tally:
    """What happened, for the summary."""

    acknowledged: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)


async def deliver(session: aiohttp.ClientSession, url: str, browser: Browser, tally: Tally) -> list[str]:
    """Sends one batch until it is acknowledged; returns the ids of its events."""
    events = browser.next_batch()
    ids = [str(event["event_id"]) for event in events]
    while True:
        body = json.dumps({"sent_at": now_ms(), "tz": 0, "sdk": "0.1.0", "device": browser.device, "events": events})
        headers = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}
        try:
            async with session.post(url, data=body.encode(), headers=headers) as response:
                status, text = response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError):
            tally.answers["none"] += 1
        else:
            tally.answers[str(status)] += 1
            if status == 200:
                reply = json.loads(text)
                if reply["accepted"] + reply["duplicate"] != BATCH:
                    tally.surprises.append(text)
                return ids
            if status != 503 or "Retry-After" not in response.headers:
                tally.surprises.append(f"{status} {text}")
        await asyncio.sleep(browser.chance.uniform(0.05, 0.2))


async def browse(url: str, folder: Path, client: int, seed: int, stop: asyncio.Event, tally: Tally) -> None:
    """One browser after the other, until told to stop."""
    chance = random.Random(f"{seed} {client}")
    cookies = aiohttp.CookieJar(unsafe=True)
    browser = Browser(client, chance, cookies)
    async with aiohttp.ClientSession(cookie_jar=cookies, timeout=TIMEOUT) as session:
        with (folder / f"client-{client}.journal").open("a") as journal:
            while not stop.is_set():
                acknowledge(journal, await deliver(session, url, browser, tally))
                tally.acknowledged += BATCH
                await asyncio.sleep(chance.uniform(0.0, 0.1))


def acknowledge(journal: IO[str], ids: list[str]) -> None:
    """Writes down, for good, what the collector said it had stored."""
    journal.write("".join(f"{event_id}\n" for event_id in ids))
    journal.flush()
    os.fsync(journal.fileno())


async def main(url: str, write_key: str, folder: Path, seed: int) -> None:
    stop = asyncio.Event()
    tally = Tally()
    address = f"{url}/v1/collect?site={write_key}"
    async with asyncio.TaskGroup() as clients:
        for client in range(CLIENTS):
            clients.create_task(browse(address, folder, client, seed, stop, tally))
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
    summary = {"acknowledged": tally.acknowledged, "answers": tally.answers, "surprises": tally.surprises[:10]}
    sys.stdout.write(json.dumps(summary))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
