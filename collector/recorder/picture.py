"""What one transaction knows and wants to save: rows loaded for the group, and rows not yet written.

Rows of the many plain events are collected here and written in one go; before a rule needs to look something up, what
it looks at is flushed, so that it sees the group's own past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from collector.domain.event import Event, Trust
from collector.domain.recognition import Binding, Device
from collector.domain.site import Site
from collector.domain.traits import Trait
from collector.recorder.memory import KnownVisit
from collector.store import devices, events, marks, profiles, quarantine, traits, visits
from collector.store.devices import KnownUid, NewBinding, NewUid
from collector.store.erasure import Erasures
from collector.store.events import EventRow, Notes, SharedIds, StoredEvent
from collector.store.locks import can_meet, lock_roots
from collector.store.quarantine import Refused
from collector.store.visits import VisitSpan


@dataclass(slots=True)
class Picture:
    """The state of one site inside one transaction. `fresh_id` mints ids, `now` is ms UTC.

    `uids`, `devices` and `agents` are those of the recorder's memory: all that is known of the site, not only what this
    transaction touches.
    """

    conn: Connection
    site: Site
    now: int
    fresh_id: Callable[[], str]
    erasures: Erasures
    uids: dict[str, KnownUid]
    devices: dict[str, Device]
    has_tombstones: bool = True  # False: nobody was ever erased
    visits: dict[str, KnownVisit] = field(default_factory=dict)  # what the recorder remembers of them
    agents: set[str] = field(default_factory=set)  # user agents that are stored, as far as the recorder remembers
    live_contacts: set[str] = field(default_factory=set)
    erased_uids: set[str] = field(default_factory=set)
    reborn: dict[str, str] = field(default_factory=dict)  # devices that were erased, to the ids they get instead
    stored: dict[str, StoredEvent] = field(default_factory=dict)  # before this group
    arrived: dict[str, Event] = field(default_factory=dict)  # in this group
    event_rows: list[EventRow] = field(default_factory=list)
    event_notes: dict[int, Notes] = field(default_factory=dict)  # by place among the rows
    shared_ids: SharedIds = field(default_factory=SharedIds)
    new_profiles: list[tuple[str, int]] = field(default_factory=list)
    new_uids: list[NewUid] = field(default_factory=list)
    new_bindings: list[NewBinding] = field(default_factory=list)
    changed_devices: dict[str, Device] = field(default_factory=dict)
    spans: dict[str, VisitSpan] = field(default_factory=dict)
    speakers: list[tuple[str, str]] = field(default_factory=list)  # (visit, leaf) that may be new
    unsaved: set[str] = field(default_factory=set)  # visits whose start is not in the database yet
    # Visits that may be new, or begin earlier than they did: who speaks first, None where that is to be looked up.
    beginning: dict[str, str | None] = field(default_factory=dict)
    widened: dict[str, None] = field(default_factory=dict)  # visits that begin earlier than they did
    spoken: dict[str, list[str]] = field(default_factory=dict)  # by leaf, visits in which it may not have spoken before
    traits: dict[tuple[str, str, Trust, bool], Trait] = field(default_factory=dict)  # by leaf and all of their key
    identities: dict[str, tuple[int, int]] = field(default_factory=dict)  # when they were named, first and last
    joined: set[str] = field(default_factory=set)  # roots that others were merged into
    named: dict[str, int] = field(default_factory=dict)  # roots that may have become customers, and since when
    said: dict[str, list[tuple[int, int]]] = field(
        default_factory=dict
    )  # by device, when (ours, its own) who was there
    newborn: set[str] = field(default_factory=set)  # profiles that this transaction made
    refused: dict[int, list[Refused]] = field(default_factory=dict)  # by time of arrival
    names: set[tuple[str, str]] = field(default_factory=set)  # (kind, value) whose meaning nobody else can change
    arrived_at: int = 0  # of the request whose events are being decided, ms
    user_agent: str = ""  # of its sender
    is_real: bool = True  # False: nothing will be saved, so nobody has to be kept away
    held: set[str] = field(default_factory=set)  # roots that nobody else can change before this transaction ends

    def bind(self, binding: NewBinding, device_id: str | None) -> None:
        """From this moment on the UID speaks for another profile; a binding at the same moment stays as it is."""
        known = self.uids.get(binding.uid)
        if known and any(bound.since == binding.since for bound in known.bindings):
            return
        bound = (*known.bindings, Binding(binding.since, binding.profile_id)) if known else ()
        first = (Binding(binding.since, binding.profile_id),)
        self.uids[binding.uid] = KnownUid(
            binding.uid, known.device_id if known else device_id, tuple(sorted(bound)) or first
        )
        self.new_bindings.append(binding)

    def name(self, root: str, occurred_at: int) -> None:
        """This person may be known to be a customer from then on."""
        self.named[root] = min(occurred_at, self.named.get(root, occurred_at))

    def note_trait(self, leaf: str, trait: Trait) -> None:
        """What an event says of a leaf; of two values the later one counts (R10)."""
        key = (leaf, trait.name, trait.trust, trait.is_claim)
        before = self.traits.get(key)
        if before is None or before.rank < trait.rank:
            self.traits[key] = trait

    def note_identity(self, identity_id: str, occurred_at: int) -> None:
        """A sign-in or a hint named this identity."""
        first, last = self.identities.get(identity_id, (occurred_at, occurred_at))
        self.identities[identity_id] = (min(first, occurred_at), max(last, occurred_at))

    def change_device(self, device: Device) -> None:
        """Remember a device as it is now."""
        self.devices[device.device_id] = device
        self.changed_devices[device.device_id] = device

    def hold(self, roots: Iterable[str]) -> bool:
        """Keep others from changing these people. True if that was not so before: what is known of them may be old."""
        missing = set(roots) - self.held if self.is_real and can_meet(self.conn) else set()
        if missing:
            lock_roots(self.conn, self.site.site_id, missing)
            self.held |= missing
        return bool(missing)

    def widen_visit(self, event: Event, device_id: str | None, leaf: str | None) -> None:
        """Let the visit of `event`, if it has one, cover it; `leaf` spoke."""
        visit_id = event.visit_id
        if visit_id is None:
            return
        occurred_at, tracked_at = event.occurred_at, event.tracked_at
        span = self.spans.get(visit_id)
        known = self.visits.get(visit_id)
        if known is None or tracked_at < known.settled_after or leaf not in known.leaves:
            self._begin_visit(visit_id, known, leaf, event)
        if span is None:
            agent = self.user_agent if known is None else ""
            self.spans[visit_id] = VisitSpan(
                visit_id, device_id, occurred_at, occurred_at, tracked_at, self.arrived_at, agent
            )
            return
        span.cover(occurred_at, tracked_at)
        if span.device_id is None:
            span.device_id = device_id

    def _begin_visit(self, visit_id: str, known: KnownVisit | None, leaf: str | None, event: Event) -> None:
        if known is None:
            known = self.visits[visit_id] = KnownVisit(event.occurred_at, event.tracked_at, set())
            self.beginning[visit_id] = leaf
            self.unsaved.add(visit_id)
        elif event.tracked_at <= known.since_at:
            self.beginning[visit_id] = None  # in one millisecond the browser's counter says which event came first
            if event.tracked_at < known.since_at:
                known.since_at = event.tracked_at
                self.beginning[visit_id] = leaf
                self.widened[visit_id] = None
                self.unsaved.add(visit_id)
        if leaf is not None and leaf not in known.leaves:
            self.speakers.append((visit_id, leaf))
            self.spoken.setdefault(leaf, []).append(visit_id)
        known.leaves.add(leaf)

    def flush(self) -> None:
        """Write everything collected so far."""
        conn, site_id = self.conn, self.site.site_id
        self.flush_people()
        self.flush_visits()
        traits.upsert_traits(conn, site_id, [(key[0], trait) for key, trait in self.traits.items()])
        self.traits.clear()
        marks.upsert_identities(conn, site_id, self.identities, self.now)
        self.identities.clear()
        events.insert_events(conn, self.event_rows, self.event_notes)
        self.event_rows.clear()
        self.event_notes.clear()
        for received_at, rows in self.refused.items():
            quarantine.insert_quarantine(conn, site_id, received_at, rows)
        self.refused.clear()

    def flush_people(self) -> None:
        """Write what the rules look up: profiles, devices, UIDs and bindings."""
        conn, site_id = self.conn, self.site.site_id
        profiles.insert_profiles(conn, site_id, self.new_profiles)
        self.newborn.update(profile_id for profile_id, _ in self.new_profiles)
        if self.new_profiles and can_meet(conn):
            self.held.update(profile_id for profile_id, _ in self.new_profiles)
        devices.upsert_devices(conn, site_id, list(self.changed_devices.values()))
        devices.insert_uids(conn, site_id, self.new_uids)
        devices.insert_bindings(conn, site_id, self.new_bindings)
        self.new_profiles.clear()
        self.changed_devices.clear()
        self.new_uids.clear()
        self.new_bindings.clear()

    def flush_visits(self) -> None:
        """Write the spans of visits, and who spoke in them."""
        self._save_spans(self.spans.values())
        self.spans.clear()
        visits.insert_visit_profiles(self.conn, self.site.site_id, self.speakers)
        self.speakers.clear()

    def flush_visit(self, visit_id: str | None) -> None:
        """Write the span of one visit."""
        span = None if visit_id is None else self.spans.pop(visit_id, None)
        if span is not None:
            self._save_spans([span])

    def _save_spans(self, spans: Iterable[VisitSpan]) -> None:
        whole, ends = [], []
        for span in spans:
            known = self.visits[span.visit_id]
            if span.visit_id in self.unsaved or span.started_at < known.started_at or can_meet(self.conn):
                known.started_at = min(known.started_at, span.started_at)
                self.unsaved.discard(span.visit_id)
                whole.append(span)
            else:
                ends.append((self.shared_ids[span.visit_id], span.last_event_at))
        agents = {span.user_agent for span in whole} - self.agents
        visits.insert_user_agents(self.conn, self.site.site_id, agents - {""})
        self.agents |= agents
        visits.upsert_visits(self.conn, self.site.site_id, whole)
        visits.prolong_visits(self.conn, self.site.site_id, ends)
