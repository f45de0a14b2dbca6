"""The way into a collector that has no HTTP in it: batches are parsed and recorded on a real SQLite file."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, select

from collector.domain.event import Arrival, Assertion, Event, Receipt, Trust
from collector.domain.explain import (
    apart_document,
    event_document,
    explain_document,
    merge_document,
    profile_document,
)
from collector.domain.site import Site, SiteSettings
from collector.domain.traits import fold_traits
from collector.domain.unmerge import Unmerge, unmerge_document
from collector.domain.visit import Session
from collector.recorder.group import record_group
from collector.recorder.memory import Memory
from collector.store import devices, events, identifiers, profiles, schema, traits
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.history import fetch_sessions_in, fetch_visit
from collector.store.merges import fetch_apart, lift_apart, reverse_merge
from collector.store.people import erase_profile, fetch_explanation, fetch_journal, fetch_timeline
from collector.store.sites import insert_site
from collector.wire.batch import RequestError
from collector.wire.native import parse_batch
from tests.stage import START_MS, Answer, Letter, Undone, View
from tests.unit.world import counting_ids


def add_site(database: Database, name: str, settings: SiteSettings | None = None) -> Site:
    """A site of its own, which shares nothing with the others in the file."""
    site = Site(0, name, f"key-{name}", ("https://shop.example",), settings or SiteSettings())
    site_id = database.transact(insert_site, site, 0)
    return Site(site_id, site.name, site.write_key, site.origins, site.settings)


class StoreTransport:
    """One site in one file. Cookies are plain ids here, because checking their signature is the web's part."""

    def __init__(self, database: Database, site: Site, fresh_id: Callable[[], str] | None = None) -> None:
        self.database = database
        self.site = site
        self.fresh_id = fresh_id or counting_ids()
        self.erasures = Erasures("a secret for tests")
        self.memory = Memory()
        self.now = START_MS  # of the last arrival

    def arrival(self, letter: Letter, trust: Trust = Trust.BROWSER) -> Arrival:
        """What the web would make of a letter."""
        batch = parse_batch(orjson.dumps(letter.body), letter.sent_at, self.site.settings.purchases_assert)
        assert not isinstance(batch, RequestError), batch
        return Arrival(
            self.site,
            letter.sent_at,
            letter.device_cookie or batch.device or self.fresh_id(),
            letter.contact_cookie,
            batch.events,
            batch.indexes,
            batch.rejections,
            trust,
            sent_at=batch.sent_at,
        )

    def record(self, *arrivals: Arrival) -> list[Receipt]:
        """Record a group in one transaction."""
        self.now = now = max(arrival.received_at for arrival in arrivals)
        self.memory.age(now)
        return self.database.transact(record_group, arrivals, now, self.fresh_id, self.erasures, self.memory)

    async def deliver(self, letter: Letter) -> Answer:
        (receipt,) = self.record(self.arrival(letter))
        return Answer(
            receipt.accepted,
            receipt.duplicate,
            receipt.quarantined,
            receipt.suppressed,
            tuple((outcome.event_id or "", outcome.status, outcome.code) for outcome in receipt.outcomes),
            receipt.device_id,
            receipt.contact_id,
        )

    async def assert_from_server(self, uid: str, cid: str | None, email: str | None, at: int) -> None:
        event = Event(
            event_id=self.fresh_id(),
            category="user",
            action="identify",
            uid=uid,
            uid_origin="first",
            seq=0,
            occurred_at=at,
            tracked_at=at,
            visit_id=None,
            page_id=None,
            url=None,
            body=b"{}",
            assertion=Assertion(cid, email),
        )
        self.record(Arrival(self.site, at, None, None, (event,), trust=Trust.SECRET_KEY))

    async def look(self, kind: Literal["cid", "email", "uid"], value: str) -> View | None:
        return self.look_now(kind, value)

    def look_now(self, kind: Literal["cid", "email", "uid"], value: str) -> View | None:
        return self.database.read_now(_look, self.site.site_id, kind, value)

    async def resolve_contact(self, cookie: str) -> str:
        root = self.database.read_now(profiles.fetch_root, self.site.site_id, cookie)
        assert root is not None, "CurrentContact names a profile that does not exist"
        return root

    async def look_at_visit(self, visit_id: str) -> tuple[str, list[tuple[str, bool]]]:
        state, sessions = self.database.read_now(read_visit, self.site.site_id, visit_id)
        return state, [(session.identity_id, session.is_open) for session in sessions]

    async def erase(self, profile_id: str, at: int) -> None:
        self.database.transact(erase_profile, self.site.site_id, profile_id, self.erasures, at)

    async def journal(self) -> list[dict[str, Any]]:
        return [merge_document(merge) for merge in self.database.read_now(fetch_journal, self.site.site_id, 500)]

    async def unmerge(self, merge_id: int, *, dry_run: bool = False) -> Undone:
        return self.unmerge_now(merge_id, dry_run=dry_run)

    def unmerge_now(self, merge_id: int, *, dry_run: bool = False) -> Undone:
        run = self.database.read_now if dry_run else self.database.transact
        done = run(reverse_merge, self.site.site_id, merge_id, self.now, dry_run=dry_run)
        if isinstance(done, Unmerge):
            return Undone({"dry_run": dry_run, **unmerge_document(done)})
        return Undone(None, done.code, done.merges, done.profile_id) if done else Undone(None, "not_found")

    async def lift(self, merge_id: int) -> bool:
        return self.database.transact(lift_apart, self.site.site_id, merge_id, self.now) is not None

    async def kept_apart(self) -> list[dict[str, Any]]:
        return [apart_document(pair) for pair in self.database.read_now(fetch_apart, self.site.site_id, 500)]

    async def read(self, profile_id: str) -> dict[str, Any]:
        return self.database.read_now(read_whole, self.site.site_id, profile_id)

    def forge_contact(self, profile_id: str) -> str:
        """The web lets no unsigned cookie through; what can come through is a name that nobody has (any more)."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, profile_id))


def read_visit(conn: Connection, site_id: int, visit_id: str) -> tuple[str, list[Session]]:
    """The state of a visit, and its sessions in order."""
    visit = fetch_visit(conn, site_id, visit_id)
    assert visit is not None, "no such visit"
    return visit.state.value, fetch_sessions_in(conn, site_id, [visit_id])[visit_id]


def read_whole(conn: Connection, site_id: int, profile_id: str) -> dict[str, Any]:
    """What the API answers about a profile at its three addresses."""
    explanation = fetch_explanation(conn, site_id, profile_id)
    assert explanation is not None, "no such profile"
    return {
        "profile": profile_document(explanation.profile),
        "explain": explain_document(explanation),
        "events": [event_document(row) for row in fetch_timeline(conn, site_id, profile_id, 500) or ()],
    }


def _look(conn: Connection, site_id: int, kind: str, value: str) -> View | None:
    if kind == "uid":
        known = devices.fetch_uids(conn, site_id, [value]).get(value)
        person = profiles.fetch_person(conn, site_id, known.bindings[-1].profile_id) if known else None
    else:
        leaf = identifiers.fetch_identifier(conn, site_id, kind, value)
        person = profiles.fetch_person(conn, site_id, leaf) if leaf else None
    if person is None:
        return None
    leaves = [leaf for leaf, _ in profiles.fetch_cluster(conn, site_id, person.profile_id)]
    counted, claimed = fold_traits(traits.fetch_traits(conn, site_id, leaves))
    rows = events.fetch_events_of(conn, site_id, leaves, 1000)
    spoken = select(schema.bindings.c.uid).where(
        schema.bindings.c.site_id == site_id, schema.bindings.c.profile_id.in_(leaves)
    )
    return View(
        profile_id=person.profile_id,
        cid=person.cid,
        email=person.email,
        uids=frozenset(conn.scalars(spoken)),
        merged=frozenset(leaves) - {person.profile_id},
        events={row["event_id"]: f"{row['category']}/{row['action']}" for row in rows},
        traits={name: orjson.loads(trait.value) for name, trait in counted.items()},
        claimed_traits={trait.name: orjson.loads(trait.value) for trait in claimed},
        claimed_emails=frozenset(
            row["value"] for row in identifiers.fetch_claims(conn, site_id, leaves) if row["kind"] == "email"
        ),
        warnings={row["event_id"]: tuple(row["warnings"].split()) for row in rows if row["warnings"]},
    )
