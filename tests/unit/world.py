"""A collector in a hundred lines of plain Python: it hears events one by one and carries out what the rules decide.

No storage, no transactions, no HTTP. The same history through this and through a database must end with the same
people; where they differ, one of them misreads the rules.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from collector.domain.decision import Assign, Claim, Merge, NewProfile, Person, Retire, Situation, Step, Switch
from collector.domain.event import Event, Trust
from collector.domain.identifiers import sanitise
from collector.domain.identity import back_fill_late_uid, decide
from collector.domain.recognition import (
    BEGINNING,
    DAY_MS,
    Binding,
    Device,
    Moment,
    born_at,
    epoch_of,
    is_shared,
    is_younger,
    profile_at,
    recognise,
)


def counting_ids() -> Callable[[], str]:
    """Ids in order of creation: the same history gets the same ids, and the older of two profiles the smaller one."""
    numbers = itertools.count(1)
    return lambda: str(uuid.UUID(int=(next(numbers) << 64) | (1 << 127)))


@dataclass
class Uid:
    device_id: str | None
    bindings: list[Binding]


@dataclass
class World:
    """All that is known of one site. `fresh_id` mints profile ids."""

    fresh_id: Callable[[], str]
    require_verified: bool = False
    first_seen: dict[str, int] = field(default_factory=dict)  # of every profile
    merged_into: dict[str, str] = field(default_factory=dict)
    identifiers: dict[tuple[str, str], tuple[str, Trust]] = field(default_factory=dict)
    claims: set[tuple[str, str, str, str]] = field(default_factory=set)
    uids: dict[str, Uid] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    boundaries: dict[str, set[Moment]] = field(default_factory=dict)
    assertions: dict[str, list[tuple[Moment, str, str, str]]] = field(default_factory=dict)  # moment, event, CID, leaf
    events: dict[str, str] = field(default_factory=dict)  # event to leaf

    def hear(
        self, events: tuple[Event, ...], device_id: str, contact_id: str | None, trust: Trust = Trust.BROWSER
    ) -> tuple[str, str]:
        """One request; the (device, contact) that its cookies must name from now on."""
        if device_id not in self.devices:
            known = [self.uids[event.uid].device_id for event in events if event.uid in self.uids]
            device_id = next((other for other in known if other), device_id)
        for event in events:
            if event.event_id not in self.events:
                self.events[event.event_id] = self._hear(event, device_id, contact_id, trust)
        youngest = self.devices[device_id].youngest_uid
        assert youngest is not None
        return device_id, self.uids[youngest].bindings[-1].profile_id

    def root(self, profile_id: str) -> str:
        return self.merged_into.get(profile_id, profile_id)

    def owner(self, kind: str, value: str) -> str | None:
        """The root that an identifier names."""
        held = self.identifiers.get((kind, value))
        return self.root(held[0]) if held else None

    def person(self, profile_id: str) -> Person:
        root = self.root(profile_id)
        cluster = [leaf for leaf in self.first_seen if self.root(leaf) == root]
        held = {key: given for key, given in self.identifiers.items() if given[0] in cluster}
        values = dict(held.keys())
        uids = [uid for uid, known in self.uids.items() if any(b.profile_id in cluster for b in known.bindings)]
        return Person(
            root,
            min(self.first_seen[leaf] for leaf in cluster),
            values.get("cid"),
            values.get("email"),
            verified=any(trust > Trust.BROWSER for _, trust in held.values()),
            merges=len(cluster) - 1,
            uids=len(uids),
        )

    def _hear(self, event: Event, device_id: str, contact_id: str | None, trust: Trust) -> str:
        assert event.uid is not None, "the world knows only browsers"
        if event.uid not in self.uids:
            self._greet(event, event.uid, device_id, contact_id)
        leaf = profile_at(self.uids[event.uid].bindings, Moment(event.tracked_at, event.seq))
        if event.assertion is not None and not event.assertion.hint:
            leaf = self._believe(event, event.uid, leaf, trust)
        self.first_seen[leaf] = min(self.first_seen[leaf], event.occurred_at)
        return leaf

    def _greet(self, event: Event, uid: str, device_id: str, contact_id: str | None) -> None:
        contact_id = contact_id if contact_id in self.first_seen else None
        found = recognise(uid, event.uid_origin, self.devices.get(device_id), contact_id, self.fresh_id())
        if found.is_new:
            self.first_seen[found.profile_id] = event.occurred_at
        self.uids[uid] = Uid(device_id, [Binding(BEGINNING, found.profile_id)])
        device = self.devices.setdefault(device_id, Device(device_id))
        if is_younger(uid, device):
            self.devices[device_id] = replace(device, youngest_uid=uid, youngest_born_at=born_at(uid))
        if event.uid_origin == "reset":
            self.boundaries.setdefault(device_id, set()).add(Moment(born_at(uid), 0))
        self._back_fill_on_arrival(device_id, uid)

    def _believe(self, event: Event, uid: str, leaf: str, trust: Trust) -> str:
        assert event.assertion is not None
        claimed = sanitise(event.assertion).assertion
        if claimed.cid is None and claimed.email is None:
            return leaf
        owner = {
            kind: self.owner(kind, value) if value else None
            for kind, value in (("cid", claimed.cid), ("email", claimed.email))
        }
        moment, device_id = Moment(event.tracked_at, event.seq), self.uids[uid].device_id
        assert device_id is not None
        situation = Situation(
            leaf=leaf,
            current=self.person(leaf),
            owner_of_cid=self.person(owner["cid"]) if owner["cid"] else None,
            owner_of_email=self.person(owner["email"]) if owner["email"] else None,
            candidates=tuple(self._candidates(device_id, leaf, moment, claimed.cid)) if claimed.cid else (),
            trust=trust,
            require_verified=self.require_verified,
            leaf_of_cid=self.identifiers.get(("cid", claimed.cid or ""), (None,))[0],
            leaf_of_email=self.identifiers.get(("email", claimed.email or ""), (None,))[0],
        )
        decision = decide(situation, claimed.cid, claimed.email, event.occurred_at, iter(self.fresh_id, ""))
        for step in decision.steps:
            self._carry_out(step, event, uid, trust)
        if claimed.cid is not None and "R14" not in decision.rules:
            made = self.assertions.setdefault(device_id, [])
            made.append((moment, event.event_id, claimed.cid, decision.leaf))
            made.sort()
        return decision.leaf

    def _candidates(self, device_id: str, leaf: str, moment: Moment, cid: str) -> Iterator[Person]:
        """R7: roots with a UID born on this device, in this epoch, before the assertion."""
        made = [
            (at, other) for (at, _), _, other, _ in self.assertions.get(device_id, []) if at > moment.at - 2 * DAY_MS
        ]
        if is_shared(sorted([*made, (moment.at, cid)]), moment.at):
            return
        start, _ = epoch_of(moment, sorted(self.boundaries.get(device_id, ())))
        leaves = {
            profile_at(known.bindings, moment)
            for uid, known in self.uids.items()
            if known.device_id == device_id and start.at <= born_at(uid) < moment.at
        }
        for root in sorted({self.root(other) for other in leaves} - {self.root(leaf)}):
            yield self.person(root)

    def _back_fill_on_arrival(self, device_id: str, uid: str) -> None:
        """R7 for a UID that was born before an assertion in its epoch and is first seen after it."""
        birth = born_at(uid)
        _, end = epoch_of(Moment(birth, 0), sorted(self.boundaries.get(device_id, ())))
        made = self.assertions.get(device_id, [])
        later = [asserted for asserted in made if asserted[0].at > birth and (end is None or asserted[0] < end)]
        if not later or is_shared([(moment.at, cid) for moment, _, cid, _ in made], later[0][0].at):
            return
        _, event_id, cid, leaf = later[0]
        customer = self.person(leaf)
        merge = back_fill_late_uid(self.person(self.uids[uid].bindings[0].profile_id), customer)
        if merge and customer.cid == cid:
            self._merge(merge, event_id)

    def _carry_out(self, step: Step, event: Event, uid: str, trust: Trust) -> None:
        match step:
            case NewProfile(profile_id):
                self.first_seen[profile_id] = event.occurred_at
            case Assign(kind, value, profile_id, _):
                assert (kind, value) not in self.identifiers, f"{kind} {value} is somebody's already"
                self.identifiers[kind, value] = (profile_id, trust)
            case Retire(email):
                leaf, _ = self.identifiers.pop(("email", email))
                self.claims.add((leaf, "email", email, "replaced"))
            case Merge():
                self._merge(step, event.event_id)
            case Claim(kind, value, profile_id, reason):
                self.claims.add((profile_id, kind, value, reason))
            case Switch(profile_id, _):
                moment, known = Moment(event.tracked_at, event.seq), self.uids[uid]
                if all(binding.since != moment for binding in known.bindings):
                    known.bindings.append(Binding(moment, profile_id))
                    known.bindings.sort()
                self.boundaries.setdefault(known.device_id or "", set()).add(moment)

    def _merge(self, merge: Merge, event_id: str) -> None:
        assert merge.winner not in self.merged_into, "a winner must be a root"
        assert merge.loser not in self.merged_into, "a loser must be a root"
        assert merge.winner != merge.loser, "nobody merges into themselves"
        for leaf, root in self.merged_into.items():
            if root == merge.loser:
                self.merged_into[leaf] = merge.winner
        self.merged_into[merge.loser] = merge.winner
