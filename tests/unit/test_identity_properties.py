"""What holds for every history (spec/identity.md, Properties), on the rules alone.

`partition` is the heart of it: the people, each as the UIDs, CIDs and e-mails that lead to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.domain.event import Event
from collector.domain.identifiers import sanitise
from tests.unit.histories import Act, Tracked, act_out, anybodys_acts, honest_acts
from tests.unit.world import World, counting_ids

Partition = frozenset[frozenset[str]]


@dataclass
class Jar:
    """The HttpOnly cookies of one browser."""

    device: str | None = None
    contact: str | None = None

    def lose(self, loss: str) -> None:
        if loss in ("device", "server", "all"):
            self.device = None
        if loss in ("contact", "server", "all"):
            self.contact = None


@dataclass
class Post:
    """Delivers what browsers tracked, with the cookies of the moment of delivery."""

    world: World = field(default_factory=lambda: World(counting_ids()))
    jars: dict[int, Jar] = field(default_factory=dict)

    def deliver(self, number: int, tracked: Tracked) -> None:
        jar = self.jars.setdefault(number, Jar())
        if tracked.loss is not None:
            jar.lose(tracked.loss)
        if tracked.event is not None:
            device = jar.device or tracked.sdk_device
            jar.device, jar.contact = self.world.hear((tracked.event,), device, jar.contact, tracked.trust)


def people(world: World) -> Partition:
    """Every person as the set of what leads to them."""
    clusters: dict[str, set[str]] = {}
    for uid, known in world.uids.items():
        for binding in known.bindings:
            clusters.setdefault(world.root(binding.profile_id), set()).add(uid)
    for (kind, value), (leaf, _) in world.identifiers.items():
        clusters.setdefault(world.root(leaf), set()).add(f"{kind} {value}")
    return frozenset(frozenset(cluster) for cluster in clusters.values())


def snapshot(world: World) -> tuple[object, ...]:
    """All that could change."""
    bindings = {uid: tuple(known.bindings) for uid, known in world.uids.items()}
    return (
        dict(world.merged_into),
        dict(world.first_seen),
        dict(world.identifiers),
        dict(world.events),
        dict(world.devices),
        {device: set(moments) for device, moments in world.boundaries.items()},
        {device: list(made) for device, made in world.assertions.items()},
        set(world.claims),
        bindings,
    )


def assert_sound(world: World) -> None:
    """No person holds two CIDs or two e-mails; depth 1, no cycles; every event belongs to a profile that exists."""
    held = [(world.root(leaf), kind) for (kind, _), (leaf, _) in world.identifiers.items()]
    assert len(held) == len(set(held)), "a person holds two identifiers of one kind"
    assert not set(world.merged_into) & set(world.merged_into.values()), "a merge points at a merged profile"
    assert set(world.events.values()) <= world.first_seen.keys()
    assert {
        binding.profile_id for known in world.uids.values() for binding in known.bindings
    } <= world.first_seen.keys()


def deliveries(browsers: Sequence[Sequence[Tracked]]) -> list[tuple[int, Tracked]]:
    return [(number, tracked) for number, browser in enumerate(browsers) for tracked in browser]


def play(order: Iterable[tuple[int, Tracked]]) -> World:
    post = Post()
    for number, tracked in order:
        post.deliver(number, tracked)
    return post.world


def expected_people(events: Iterable[Event]) -> Partition:
    """Who should be one where each stretch used one UID: UIDs and what they said, connected by what they share."""
    groups: list[set[str]] = []
    for event in events:
        said = sanitise(event.assertion).assertion if event.assertion else None
        linked = {event.uid or ""}
        linked |= {f"cid {said.cid}"} if said and said.cid else set()
        linked |= {f"email {said.email}"} if said and said.email else set()
        touched = [group for group in groups if group & linked]
        groups = [group for group in groups if group not in touched] + [linked.union(*touched)]
    return frozenset(frozenset(group) for group in groups)


three_browsers = st.lists(anybodys_acts(), min_size=1, max_size=3)


@settings(max_examples=500)
@given(st.data(), three_browsers)
def test_people_stay_sound_whatever_is_claimed_and_however_it_arrives(
    data: st.DataObject, acts: list[list[Act]]
) -> None:
    sent = deliveries([act_out(browser, number) for number, browser in enumerate(acts)])
    order = data.draw(st.permutations(sent), "order of delivery")
    post = Post()
    for number, tracked in order:
        post.deliver(number, tracked)
        assert_sound(post.world)


@settings(max_examples=500)
@given(st.data(), three_browsers)
def test_repeating_what_was_delivered_changes_nothing(data: st.DataObject, acts: list[list[Act]]) -> None:
    sent = deliveries([act_out(browser, number) for number, browser in enumerate(acts)])
    order = data.draw(st.permutations(sent), "order of delivery")
    post = Post()
    for number, tracked in order:
        post.deliver(number, tracked)
    before = snapshot(post.world)
    for number, tracked in data.draw(st.permutations(order), "order of repeats"):
        post.deliver(number, replace(tracked, loss=None))
        assert snapshot(post.world) == before


@settings(max_examples=200)
@given(st.data(), st.lists(honest_acts(one_uid_per_stretch=False), min_size=2, max_size=3))
def test_honest_people_are_the_same_for_every_interleaving_of_devices(
    data: st.DataObject, acts: list[list[Act]]
) -> None:
    browsers = [act_out(browser, number) for number, browser in enumerate(acts)]
    one_after_the_other = play(deliveries(browsers))
    turns = data.draw(st.permutations([number for number, _ in deliveries(browsers)]), "whose turn it is")
    waiting = [iter(browser) for browser in browsers]
    interleaved = play((number, next(waiting[number])) for number in turns)
    assert people(interleaved) == people(one_after_the_other)
    assert_sound(interleaved)


@settings(max_examples=200)
@given(st.data(), st.lists(honest_acts(one_uid_per_stretch=True), min_size=1, max_size=3))
def test_honest_people_with_one_uid_per_stretch_are_the_same_for_every_order(
    data: st.DataObject, acts: list[list[Act]]
) -> None:
    sent = deliveries([act_out(browser, number) for number, browser in enumerate(acts)])
    resets = [tracked for tracked in sent if tracked[1].event and tracked[1].event.action == "reset_anonymous_uid"]
    lost = data.draw(st.sets(st.sampled_from(range(len(resets)))) if resets else st.just(set()), "lost resets")
    arriving = [tracked for tracked in sent if tracked not in [resets[place] for place in lost]]
    repeated = data.draw(st.lists(st.sampled_from(arriving), max_size=4)) if arriving else []
    order = data.draw(st.permutations(arriving + repeated), "order of delivery")
    world = play(order)
    assert people(world) == expected_people(tracked.event for _, tracked in arriving if tracked.event)
    assert_sound(world)
