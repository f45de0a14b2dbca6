"""What the last groups left known, so that the next one need not read it again.

These are devices, UIDs with their bindings, user agents, and whether anybody was ever erased.

Valid only as long as nothing but the recorder has changed the database. `revalidate` sees that from SQLite's own
counters, of changes by other connections and by this one; where an engine has none, nothing is remembered. What is
known of visits is only that something was stored, which stays true for as long as a site keeps events, a day at least:
it is remembered on every engine, for half a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from collector.domain.recognition import Device
from collector.store.devices import KnownUid
from collector.store.sqlite import fetch_change_mark

MAX_ENTRIES = 20_000  # of each kind and site: about 15 MB
MAX_AGENTS = 4096
WARY_GROUPS = 100
VISITS_LAST_MS = 12 * 60 * 60 * 1000  # retention deletes a visit a day after its last event came, whoever does it


@dataclass(slots=True)
class KnownVisit:
    """A visit that is stored: its start (ms, `since_at` on the browser's clock), and the leaves that speak in it."""

    started_at: int
    since_at: int
    leaves: set[str | None]

    @property
    def settled_after(self) -> int:
        """No event from then on (ms, on the browser's clock) is the first, though several speak in the visit."""
        return self.since_at + (len(self.leaves) > 1)


@dataclass(slots=True)
class SiteMemory:
    """What is known of one site, by id."""

    uids: dict[str, KnownUid] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)  # texts of user agents
    has_tombstones: bool | None = None  # not looked yet


@dataclass(slots=True)
class Memory:
    """What is known of all sites, as of the moment at which the database stood at `mark`.

    `wary` is for how many more groups the ids of events are looked up before they are inserted. Else they are taken for
    new, as they nearly always are; where one is not, inserting it fails and the group is recorded again, warily.
    """

    sites: dict[int, SiteMemory] = field(default_factory=dict)
    visits: dict[int, dict[str, KnownVisit]] = field(default_factory=dict)  # by site and id
    visits_since: int = 0  # ms
    mark: object = None
    wary: int = WARY_GROUPS

    def forget(self) -> None:
        """A transaction failed: what it left here never happened."""
        self.sites.clear()
        self.visits.clear()
        self.mark = None
        self.wary = WARY_GROUPS

    def age(self, now: int) -> None:
        """Forget what may not be there any more at `now` (ms): what was learned of visits half a day ago."""
        if not 0 <= now - self.visits_since < VISITS_LAST_MS:
            self.visits.clear()
            self.visits_since = now

    def revalidate(self, conn: Connection) -> None:
        """At the beginning of a transaction: forget everything if somebody else changed the database since."""
        if self.mark is None:
            self.sites.clear()
        elif fetch_change_mark(conn) != self.mark:
            self.sites.clear()
            self.visits.clear()

    def stamp(self, conn: Connection) -> None:
        """At the end of a transaction: what is known now is true of this state."""
        self.mark = fetch_change_mark(conn)

    def of(self, site_id: int) -> SiteMemory:
        """What is known of one site; begun afresh when it has grown too large."""
        known = self.sites.setdefault(site_id, SiteMemory())
        if len(known.uids) > MAX_ENTRIES or len(known.devices) > MAX_ENTRIES:
            known = self.sites[site_id] = SiteMemory()
        if len(known.agents) > MAX_AGENTS:
            known.agents.clear()
        return known

    def visits_of(self, site_id: int) -> dict[str, KnownVisit]:
        """What is known of the visits of one site; begun afresh when it has grown too large."""
        known = self.visits.setdefault(site_id, {})
        if len(known) > MAX_ENTRIES:
            known.clear()
        return known
