"""A world that lives longer: operators undo merges and erase people in it (R12, R16), and events come again.

Everything it does beyond `World` is written from spec/identity.md, without the code that does the same in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec.structs import replace as changed

from collector.domain.decision import Merge, Person, Retire, Step
from collector.domain.event import Event, Trust
from collector.domain.identifiers import sanitise
from tests.unit.world import World

Fate = Literal["stored", "duplicate", "suppressed"]


@dataclass(slots=True)
class Journalled:
    """One merge: `followers` moved with the loser."""

    winner: str
    loser: str
    followers: list[str]
    rule: str
    event_id: str
    is_reversed: bool = False
    is_lifted: bool = False


@dataclass(frozen=True, slots=True)
class Retired:
    """An e-mail that an event took from a leaf (R5e)."""

    leaf: str
    email: str
    trust: Trust
    event_id: str


@dataclass
class LongWorld(World):
    """`nobody` names, by UID, the profile that stands in for whoever was erased from a UID of several people."""

    nobody: Callable[[str], str] = str
    journal: list[Journalled] = field(default_factory=list)
    retired: list[Retired] = field(default_factory=list)
    erased_uids: set[str] = field(default_factory=set)
    erased_devices: set[str] = field(default_factory=set)
    erased_at: dict[tuple[str, str], int] = field(default_factory=dict)  # CIDs and e-mails

    def receive(
        self, event: Event, device_id: str, contact_id: str | None, trust: Trust
    ) -> tuple[Fate, str, str | None]:
        """What becomes of an event, and the (device, contact) of its cookies; no contact leaves that cookie alone."""
        assert event.uid is not None
        fate: Fate = "stored"
        if event.event_id in self.events:
            fate = "duplicate"
        elif event.uid in self.erased_uids or self._is_about_the_erased(event):
            fate = "suppressed"
        known, given = self.uids.get(event.uid), device_id
        if known is None and device_id in self.erased_devices and device_id not in self.devices:
            device_id = self.fresh_id()  # R3: never adopted
        home = known.device_id if device_id not in self.devices and known is not None else device_id
        assert home is not None
        if fate == "stored":
            self.events[event.event_id] = self._hear(event, home, contact_id, trust)
        youngest = self.devices[home].youngest_uid if home in self.devices else None
        speaker = self.uids.get(youngest or event.uid)
        return (fate, home, speaker.bindings[-1].profile_id) if speaker else (fate, given, None)

    def _is_about_the_erased(self, event: Event) -> bool:
        if event.assertion is None:
            return False
        said = sanitise(event.assertion).assertion
        return any(event.occurred_at < self.erased_at.get(key, 0) for key in (("cid", said.cid), ("email", said.email)))

    def _greet(self, event: Event, uid: str, device_id: str, contact_id: str | None) -> None:
        youngest = self.devices[device_id].youngest_uid if device_id in self.devices else None
        if youngest and contact_id in self.first_seen:
            here = self.person(self.uids[youngest].bindings[-1].profile_id)
            if self.root(str(contact_id)) in here.apart:
                contact_id = None
        super()._greet(event, uid, device_id, contact_id)

    def person(self, profile_id: str) -> Person:
        person = super().person(profile_id)
        pairs = [(merge.winner, merge.loser) for merge in self.journal if merge.is_reversed and not merge.is_lifted]
        pairs = [(self.root(a), self.root(b)) for a, b in pairs]
        others = {b if a == person.profile_id else a for a, b in pairs if person.profile_id in (a, b)}
        return replace(person, apart=frozenset(others - {person.profile_id}))

    def _carry_out(self, step: Step, event: Event, uid: str, trust: Trust) -> None:
        if isinstance(step, Retire):
            leaf, given = self.identifiers.pop(("email", step.email))
            self.retired.append(Retired(leaf, step.email, given, event.event_id))
        else:
            super()._carry_out(step, event, uid, trust)

    def _merge(self, merge: Merge, event_id: str) -> None:
        followers = [leaf for leaf, root in self.merged_into.items() if root == merge.loser]
        super()._merge(merge, event_id)
        self.journal.append(Journalled(merge.winner, merge.loser, followers, merge.rule, event_id))

    def unmerge(self, merge: Journalled) -> list[Journalled] | str:
        """R12: the merges that are to be undone before, newest first, or else what is in the way, "" for nothing."""
        if merge.is_reversed:
            return "already_reversed"
        resting = [merge]
        for later in self.journal[self.journal.index(merge) + 1 :]:
            lies_on = self.events.get(later.event_id)
            rests = any(later.loser == base.winner or lies_on in (base.loser, *base.followers) for base in resting)
            if rests and not later.is_reversed and self.root(later.winner) == self.root(merge.winner):
                resting.append(later)
        if len(resting) > 1:
            return resting[:0:-1]
        moved = {merge.loser, *merge.followers}
        stayed = {leaf for leaf in self.first_seen if self.root(leaf) == self.root(merge.winner)} - moved
        back = []
        for old in self.retired if merge.rule != "R7" else ():
            half = moved if old.leaf in moved else stayed
            if old.event_id != merge.event_id or old.leaf not in half:
                continue
            if any(kind == "email" and leaf in half for (kind, _), (leaf, _) in self.identifiers.items()):
                continue
            if ("email", old.email) in self.identifiers:
                return "identifier_taken"
            back.append(old)
        del self.merged_into[merge.loser]
        self.merged_into.update(dict.fromkeys(merge.followers, merge.loser))
        for old in back:
            self.identifiers["email", old.email] = (old.leaf, old.trust)
            self.retired.remove(old)
        merge.is_reversed = True
        return ""

    def erase(self, profile_id: str, at: int) -> None:
        """R16 for the person that a profile belongs to."""
        leaves = {leaf for leaf in self.first_seen if self.root(leaf) == self.root(profile_id)}
        named = self._bury(leaves, at)
        gone = self._silence(leaves, at)
        self.erased_uids |= gone
        self.events = {event_id: leaf for event_id, leaf in self.events.items() if leaf not in leaves}
        self.identifiers = {key: given for key, given in self.identifiers.items() if given[0] not in leaves}
        self.retired = [old for old in self.retired if old.leaf not in leaves]
        self.claims = {said for said in self.claims if said[0] not in leaves and said[1:3] not in named}
        self.journal = [merge for merge in self.journal if not leaves & {merge.winner, merge.loser}]
        values = {value for _, value in named}
        for device_id, made in self.assertions.items():
            self.assertions[device_id] = [said for said in made if said[2] not in values and said[3] not in leaves]
        for leaf in leaves:
            del self.first_seen[leaf]
            self.merged_into.pop(leaf, None)

    def _bury(self, leaves: set[str], at: int) -> set[tuple[str, str]]:
        """Tombstones for what named these; what named them or was claimed by them, and is nobody else's."""
        held = {key for key, (leaf, _) in self.identifiers.items() if leaf in leaves}
        others = self.identifiers.keys() - held
        buried = held | ({("email", old.email) for old in self.retired if old.leaf in leaves} - others)
        self.erased_at |= dict.fromkeys(buried, at)
        return buried | ({(kind, value) for leaf, kind, value, _ in self.claims if leaf in leaves} - others)

    def _silence(self, leaves: set[str], at: int) -> set[str]:
        """Take the UIDs of these people away; where others speak through one too, it is nobody's in between."""
        gone = set()
        for uid, known in list(self.uids.items()):
            speakers = {binding.profile_id for binding in known.bindings}
            if not speakers & leaves:
                continue
            if speakers <= leaves:
                gone.add(uid)
                continue
            nobody = self.nobody(uid)
            self.first_seen.setdefault(nobody, at)
            bound = [b._replace(profile_id=nobody) if b.profile_id in leaves else b for b in known.bindings]
            known.bindings = [binding for binding in bound if binding.profile_id not in leaves]
        used = {self.uids.pop(uid).device_id for uid in gone}
        for device_id in used - {known.device_id for known in self.uids.values()}:
            assert device_id is not None
            self.devices.pop(device_id)
            self.erased_devices.add(device_id)
            self.boundaries.pop(device_id, None)
        for device_id, device in self.devices.items():
            if device.youngest_uid in gone:
                self.devices[device_id] = changed(device, youngest_uid=None)
        return gone
