"""Random histories of browsers for the properties: who did what, with which cookies, and in which order it arrived.

A history is a list of acts per browser. Acting it out yields events, as stamped when they were tracked; how they are
delivered is another choice. Cookies are plain ids. Times and ids are drawn up by counting, so that a history reads well
and the same history always yields the same events.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import strategies as st

from collector.domain.event import Assertion, Event, Trust, UidOrigin
from collector.domain.recognition import born_at

START_MS = 1_772_442_000_000
HOUR_MS = 3_600_000
SILENCE_MS = HOUR_MS // 2  # after which the SDK begins another visit

Loss = Literal["script", "device", "contact", "server", "all"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens in a browser. `what` is view, says, submits, resets, signs_out or loses; what is `vouched`
    for by the site's server is believed more than what a browser says.
    """

    what: str
    cid: str | None = None
    email: str | None = None
    loss: Loss | None = None
    after_ms: int = 1000
    vouched: bool = False

    def __repr__(self) -> str:
        said = [self.what, self.cid, self.email, self.loss, self.vouched and "vouched", f"+{self.after_ms // 1000}s"]
        return f"<{' '.join(str(value) for value in said if value)}>"


@dataclass(frozen=True, slots=True)
class Tracked:
    """An event and the first-party device id that the SDK sends beside it; or cookies that go (`loss`)."""

    event: Event | None
    sdk_device: str
    loss: Loss | None = None
    trust: Trust = Trust.BROWSER


@dataclass(slots=True)
class Actor:
    """A browser while it acts: what its script cookie holds."""

    number: int
    now: int = START_MS
    made: int = 0
    device: str = ""
    uid: str = ""
    origin: UidOrigin = "first"
    seq: int = 0
    visit: str = ""
    tracked: list[Tracked] = field(default_factory=list)

    def act(self, act: Act) -> None:
        self.now += act.after_ms
        if act.what == "loses":
            if act.loss in ("script", "all"):
                self.uid = ""
            self.tracked.append(Tracked(None, self.device, act.loss))
            return
        if not self.uid:
            self.uid, self.origin, self.seq, self.device = self._mint(), "first", 0, self._mint()
        if act.what == "resets":
            self.now += self.now == born_at(self.uid)
            self.uid, self.origin = self._mint(), "reset"
        if not self.visit or act.after_ms > SILENCE_MS:
            self.visit = self._mint()
        self.seq += 1
        trust = Trust.SIGNED_TOKEN if act.vouched else Trust.BROWSER
        self.tracked.append(Tracked(self._event(act), self.device, trust=trust))

    def _event(self, act: Act) -> Event:
        category, action = {
            "view": ("product", "view"),
            "says": ("user", "sign_in"),
            "submits": ("form", "submit"),
            "resets": ("user", "reset_anonymous_uid"),
            "signs_out": ("user", "sign_out"),
        }[act.what]
        return Event(
            event_id=self._mint(),
            category=category,
            action=action,
            uid=self.uid,
            uid_origin=self.origin,
            seq=self.seq,
            occurred_at=self.now,
            tracked_at=self.now,
            visit_id=self.visit,
            page_id=None,
            url=None,
            body=b"{}",
            assertion=Assertion(act.cid, act.email) if act.cid or act.email else None,
        )

    def _mint(self) -> str:
        self.made += 1
        return str(uuid.UUID(int=(self.now << 80) | (7 << 76) | (2 << 62) | (self.number << 32) | self.made))


def act_out(acts: Sequence[Act], number: int) -> list[Tracked]:
    """What the browser of that number tracks; no two browsers share an id."""
    actor = Actor(number, now=START_MS + number)
    for act in acts:
        actor.act(act)
    return actor.tracked


PAUSES = st.sampled_from([0, 1000, 60_000, HOUR_MS, 13 * HOUR_MS, 30 * HOUR_MS])


def anybodys_acts() -> st.SearchStrategy[list[Act]]:
    """A browser on which anybody may claim to be anybody."""
    cids, emails = st.sampled_from(["v", "w", "x", "y", "z"]), st.sampled_from(["e@x.org", "f@x.org", "g@x.org"])
    act = st.one_of(
        st.builds(Act, st.just("view"), after_ms=PAUSES),
        st.builds(Act, st.just("says"), cid=cids, after_ms=PAUSES),
        st.builds(Act, st.just("says"), cid=cids, email=emails, after_ms=PAUSES, vouched=st.booleans()),
        st.builds(Act, st.just("submits"), email=emails, after_ms=PAUSES, vouched=st.booleans()),
        st.builds(Act, st.sampled_from(["resets", "signs_out"]), after_ms=PAUSES),
        st.builds(
            Act,
            st.just("loses"),
            loss=st.sampled_from(["script", "device", "contact", "server", "all"]),
            after_ms=PAUSES,
        ),
    )
    return st.lists(act, min_size=1, max_size=9)


@st.composite
def honest_acts(draw: st.DrawFn, one_uid_per_stretch: bool) -> list[Act]:
    """A browser whose stretches between resets belong to one of three people each, who never claim to be another.

    With `one_uid_per_stretch` only cookies of the server get lost, so that no second UID is born before a reset.
    """
    losses: list[Loss] = ["device", "contact", "server"]
    if not one_uid_per_stretch:
        losses += ["script", "script"]
    acts: list[Act] = []
    for stretch in range(draw(st.integers(1, 3))):
        person = draw(st.sampled_from(["x", "y", "z"]))
        cid, email = person, f"{person}@x.org"
        if stretch:
            acts.append(Act("resets", after_ms=draw(PAUSES)))
        own = st.one_of(
            st.builds(Act, st.sampled_from(["view", "view", "signs_out"]), after_ms=PAUSES),
            st.builds(Act, st.just("says"), cid=st.just(cid), email=st.sampled_from([None, email]), after_ms=PAUSES),
            st.builds(Act, st.just("submits"), email=st.just(email), after_ms=PAUSES),
            st.builds(Act, st.just("loses"), loss=st.sampled_from(losses), after_ms=PAUSES),
        )
        acts += draw(st.lists(own, min_size=0, max_size=4))
    return acts
