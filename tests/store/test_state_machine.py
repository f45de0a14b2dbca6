"""T9: whatever happens to a site, both engines and plain Python agree about who is who, and nothing is lost or doubled.

Browsers that anybody uses, whose events arrive, wait, come again or meet a crash; clocks that jump; operators who erase
people, undo merges and lift what that keeps apart. The model is `tests.unit.long_world`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import event as note
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from collector.domain.event import Event, Receipt, Trust
from collector.store import postgresql as postgresql_module
from collector.store import sqlite as sqlite_module
from collector.store.erasure import Erasures
from tests.databases import new_database
from tests.postgresql import Cluster
from tests.store.lives import Home, Ids, Life
from tests.store.test_identity_properties import assert_sound, rows_of
from tests.unit.histories import HOUR_MS, START_MS, Act, Actor, Loss
from tests.unit.long_world import LongWorld

Homes = dict[str, Home]

BROWSERS = st.integers(0, 2)
CIDS, EMAILS = st.sampled_from(["x", "y", "z"]), st.sampled_from(["e@x.org", "f@x.org"])
LOSSES: list[Loss] = ["script", "device", "contact", "server", "all"]
PAUSES = st.sampled_from([0, 1000, 60_000, HOUR_MS, 13 * HOUR_MS, 30 * HOUR_MS])
JUMPS = st.sampled_from([0, 0, 0, 0, -87_600 * HOUR_MS, -25 * HOUR_MS, -7_777, 61_000, 25 * HOUR_MS, 87_600 * HOUR_MS])
FATES = st.sampled_from(["arrives"] * 14 + ["waits", "waits", "lost before the commit", "lost after the commit"])
ANY = st.integers(0, 10_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """An event, the browser it is from, what happened there, and what is sent beside it."""

    browser: int
    act: Act
    event: Event
    sdk_device: str
    trust: Trust


@dataclass(slots=True)
class Jar:
    """The collector's cookies in one browser, and how wrong its clock is."""

    device: str | None = None
    contact: str | None = None
    clock_off_ms: int = 0


class Site(RuleBasedStateMachine):
    """One site, three times: on SQLite, on PostgreSQL and as a world."""

    homes: ClassVar[Homes]

    def __init__(self) -> None:
        super().__init__()
        self.lives = {name: Life(home) for name, home in self.homes.items()}
        self.world = LongWorld(Ids(), nobody=Erasures("a secret for tests").nobody)
        self.actors = [Actor(number) for number in range(3)]
        self.jars = [Jar() for _ in range(3)]
        self.now = START_MS
        self.sent: list[Sent] = []  # delivered at least once
        self.waiting: list[Sent] = []
        self.acts = 0

    # ---- browsers ----

    @initialize(has_past=st.booleans(), email=EMAILS, cid=CIDS)
    def has_a_past(self, has_past: bool, email: str, cid: str) -> None:
        """Two browsers of one person, and a customer whom they may turn out to be: a merge of several profiles."""
        if has_past:
            for browser in (0, 1):
                self._act(browser, Act("view"), 1000, "arrives")
                self._act(browser, Act("submits", email=email), 1000, "arrives")
            self._act(2, Act("says", cid=cid), 1000, "arrives")

    @rule(browser=BROWSERS, pause=PAUSES, fate=FATES)
    def views(self, browser: int, pause: int, fate: str) -> None:
        self._act(browser, Act("view"), pause, fate)

    @rule(
        browser=BROWSERS, cid=CIDS, email=st.one_of(st.none(), EMAILS), vouched=st.booleans(), pause=PAUSES, fate=FATES
    )
    def says(self, browser: int, cid: str, email: str | None, vouched: bool, pause: int, fate: str) -> None:
        self._act(browser, Act("says", cid=cid, email=email, vouched=vouched), pause, fate)

    @rule(browser=BROWSERS, email=EMAILS, vouched=st.booleans(), pause=PAUSES, fate=FATES)
    def submits(self, browser: int, email: str, vouched: bool, pause: int, fate: str) -> None:
        self._act(browser, Act("submits", email=email, vouched=vouched), pause, fate)

    @rule(browser=BROWSERS, what=st.sampled_from(["resets", "signs_out"]), pause=PAUSES, fate=FATES)
    def leaves(self, browser: int, what: str, pause: int, fate: str) -> None:
        self._act(browser, Act(what), pause, fate)

    @rule(browser=BROWSERS, email=EMAILS, cid=st.one_of(st.none(), CIDS), fate=FATES)
    def somebody_else_sits_down(self, browser: int, email: str, cid: str | None, fate: str) -> None:
        """A browser of which nothing is known, by and by known as somebody: so people merge who are several."""
        self._lose(browser, "all")
        self._act(browser, Act("view"), HOUR_MS, "arrives")
        self._act(browser, Act("submits", email=email), 1000, fate)
        if cid is not None:
            self._act(browser, Act("says", cid=cid), 1000, fate)

    @rule(browser=BROWSERS, loss=st.sampled_from(LOSSES), cid=CIDS, fate=FATES)
    def comes_back_and_says(self, browser: int, loss: Loss, cid: str, fate: str) -> None:
        """R3, R7: with some of its cookies, and before it is known who it is."""
        self._lose(browser, loss)
        self._act(browser, Act("view"), HOUR_MS, "arrives")
        self._act(browser, Act("says", cid=cid), 1000, fate)

    @rule(browser=BROWSERS, loss=st.sampled_from(LOSSES), clock_jumps=JUMPS)
    def meets_with_misfortune(self, browser: int, loss: Loss, clock_jumps: int) -> None:
        if clock_jumps:
            self.jars[browser].clock_off_ms += clock_jumps
        else:
            self._lose(browser, loss)

    def _lose(self, browser: int, loss: Loss) -> None:
        if loss in ("script", "all"):
            self.actors[browser].uid = ""
        jar = self.jars[browser]
        if loss in ("device", "server", "all"):
            jar.device = None
        if loss in ("contact", "server", "all"):
            jar.contact = None

    @precondition(lambda self: self.waiting)
    @rule(which=ANY, fate=FATES)
    def late_event_goes_out(self, which: int, fate: str) -> None:
        self._send(self.waiting.pop(which % len(self.waiting)), fate)

    @precondition(lambda self: self.sent)
    @rule(which=ANY)
    def event_comes_again(self, which: int) -> None:
        self._deliver(self.sent[which % len(self.sent)])

    def _act(self, browser: int, act: Act, pause: int, fate: str) -> None:
        self.now += pause
        actor, jar = self.actors[browser], self.jars[browser]
        actor.now = self.now + jar.clock_off_ms
        actor.act(act)
        self.now = actor.now - jar.clock_off_ms
        tracked = actor.tracked[-1]
        assert tracked.event is not None
        event = replace(tracked.event, occurred_at=self.now)
        if event.assertion is not None:
            self.acts += 1
            event = replace(event, assertion=replace(event.assertion, traits={"mood": self.acts % 3}))
        self._send(Sent(browser, act, event, tracked.sdk_device, tracked.trust), fate)

    def _send(self, sent: Sent, fate: str) -> None:
        if fate == "waits":
            self.waiting.append(sent)
            return
        jar = self.jars[sent.browser]
        if fate == "lost before the commit":
            for life in self.lives.values():
                life.record_nothing(sent.event, jar.device or sent.sdk_device, jar.contact, sent.trust, self.now)
        elif fate == "lost after the commit":
            device, contact = jar.device, jar.contact
            self._deliver(sent)
            jar.device, jar.contact = device, contact
            for life in self.lives.values():
                life.crash()
        self._deliver(sent)

    def _deliver(self, sent: Sent) -> None:
        jar = self.jars[sent.browser]
        device = jar.device or sent.sdk_device
        answers = {
            name: seen(life.record(sent.event, device, jar.contact, sent.trust, self.now))
            for name, life in self.lives.items()
        }
        expected = self.world.receive(sent.event, device, jar.contact, sent.trust)
        assert answers == dict.fromkeys(answers, expected)
        note(expected[0])
        self.sent.append(sent)
        jar.device, jar.contact = expected[1], expected[2] or jar.contact

    # ---- operators ----

    @precondition(lambda self: len(self.world.first_seen) > 4)
    @rule(who=ANY)
    def operator_erases(self, who: int) -> None:
        profiles = sorted(self.world.first_seen)
        profile_id = profiles[who % len(profiles)]
        erased = [life.erase(profile_id, self.now) for life in self.lives.values()]
        assert erased[1:] == erased[:-1]
        self.world.erase(profile_id, self.now)
        note("erased")
        self.people_are_whole()

    @precondition(lambda self: self.world.merged_into)
    @rule(which=ANY, again=st.booleans())
    def operator_undoes_a_merge(self, which: int, again: bool) -> None:
        """And whoever's word it was says the same again: it does not join the two."""
        places = [place for place, merge in enumerate(self.world.journal) if not merge.is_reversed]
        of_several = [place for place in places if self.world.journal[place].followers]
        places = of_several if of_several and which % 4 else places
        place = places[which % len(places)]
        answers = {name: life.unmerge(place, self.now) for name, life in self.lives.items()}
        outcome = self.world.unmerge(self.world.journal[place])
        expected: tuple[str, list[int]] = (outcome, []) if isinstance(outcome, str) else ("merge_has_dependents", [])
        if not isinstance(outcome, str):
            expected[1].extend(self.world.journal.index(merge) for merge in outcome)
        assert answers == dict.fromkeys(answers, expected)
        note(f"unmerge {expected[0]}")
        self.people_are_whole()
        event_id = self.world.journal[place].event_id
        for sent in [sent for sent in self.sent if sent.event.event_id == event_id][:again]:
            self._act(sent.browser, sent.act, 1000, "arrives")

    @precondition(lambda self: any(merge.is_reversed and not merge.is_lifted for merge in self.world.journal))
    @rule(which=ANY)
    def operator_lets_them_join_again(self, which: int) -> None:
        places = [place for place, m in enumerate(self.world.journal) if m.is_reversed and not m.is_lifted]
        place = places[which % len(places)]
        self.world.journal[place].is_lifted = True
        assert [life.lift(place, self.now) for life in self.lives.values()] == [True] * len(self.lives)
        note("lifted")

    # ---- what holds ----

    def people_are_whole(self) -> None:
        """Asked where an operator steps in and at the end: each time costs as much as an event."""
        life = self.lives["sqlite"]
        rows = life.rows()
        expected = rows_of(self.world)
        expected["claims"] |= {(old.leaf, "email", old.email, "replaced") for old in self.world.retired}
        assert {name: rows[name] for name in expected} == expected
        assert_sound(rows)
        assert life.events_stored() == len(expected["events"]), "an event is stored twice"
        assert not {uid for uid, *_ in rows["bindings"]} & self.world.erased_uids

    def teardown(self) -> None:
        self.people_are_whole()
        one, *others = self.lives.values()
        for other in others:
            for look in (Life.rows, Life.reads, Life.events_stored):
                assert look(other) == look(one)


def seen(receipt: Receipt) -> tuple[str, str | None, str | None]:
    """What a receipt says of its one event, and its cookies."""
    fate = "duplicate" if receipt.duplicate else "suppressed" if receipt.suppressed else "stored"
    assert receipt.accepted + receipt.duplicate + receipt.suppressed == 1
    return fate, receipt.device_id, receipt.contact_id


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster) -> Iterator[Homes]:
    """One database on each engine that does not wait for the disk."""
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # it has much to say about each lost connection
    urls = {
        "sqlite": new_database(tmp_path_factory.mktemp("lives")),
        "postgresql": postgresql.url(postgresql.new_database()),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_module, "WRITER_PRAGMAS", (*sqlite_module.WRITER_PRAGMAS, "synchronous=OFF"))
        patch.setattr(postgresql_module, "SYNCHRONOUS_COMMIT", "off")
        homes = {name: Home(url) for name, url in urls.items()}
        yield homes
        for home in homes.values():
            home.database.close_now()
    logging.getLogger("sqlalchemy.pool").setLevel(logging.NOTSET)


@pytest.mark.parametrize(("examples", "steps"), [(100, 30), pytest.param(3000, 60, marks=pytest.mark.soak)])
def test_both_engines_and_the_rules_agree_whatever_happens(homes: Homes, examples: int, steps: int) -> None:
    machine = type("Site", (Site,), {"homes": homes})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))
