"""Undoing a merge (R12): exactly, with what depends on it named, and lasting until an operator lifts it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.scenarios.people import E, F, X, Y, somebody
from tests.stage import Browser, Letter, Stage


@dataclass(frozen=True, slots=True)
class _Way:
    """One rule that joins two people: the UID of each, and what a browser says to be joined, now and again."""

    rule: str
    one: str
    other: str
    says: Callable[[], Awaitable[str]]


async def _by_customer_id(stage: Stage) -> _Way:
    customer, p = await somebody(stage, "x1"), await somebody(stage)
    return _Way("R4b", p.uid, customer.uid, lambda: p.says("x1"))


async def _by_email(stage: Stage) -> _Way:
    owner, p = await somebody(stage, email="e2@example.com"), await somebody(stage)
    return _Way("R5b", p.uid, owner.uid, lambda: p.submits("e2@example.com"))


async def _by_email_of_a_customer(stage: Stage) -> _Way:
    customer, p = await somebody(stage, "x3", "e3@example.com"), await somebody(stage)
    return _Way("R5b", p.uid, customer.uid, lambda: p.submits("e3@example.com"))


async def _by_back_fill(stage: Stage) -> _Way:
    p = await somebody(stage)
    earlier = p.uid
    p.loses("script", "contact")
    await p.tracks()
    await p.says("x4")
    back_filled, *_ = await stage.transport.journal()
    await stage.transport.unmerge(back_filled["merge_id"])
    await stage.transport.lift(back_filled["merge_id"])
    return _Way("R7", earlier, p.uid, lambda: p.says("x4"))


async def _by_server(stage: Stage) -> _Way:
    p, owner = await somebody(stage, "x5", "e5@example.com"), await somebody(stage, email="f5@example.com")

    async def server_says() -> str:
        stage.passes(minutes=1)
        await stage.transport.assert_from_server(p.uid, "x5", "f5@example.com", stage.now)
        events = (await stage.person(cid="x5")).events
        return next(event_id for event_id, name in events.items() if name == "user/identify")

    return _Way("R5e", p.uid, owner.uid, server_says)


_WAYS = (_by_customer_id, _by_email, _by_email_of_a_customer, _by_back_fill, _by_server)


async def _roots(stage: Stage, way: _Way) -> tuple[str, str]:
    one, other = await stage.person(uid=way.one), await stage.person(uid=way.other)
    return one.profile_id, other.profile_id


async def _standing(stage: Stage) -> list[int]:
    return [merge["merge_id"] for merge in await stage.transport.journal() if merge["reversed_at"] is None]


async def _reads(stage: Stage, roots: tuple[str, str], event_ids: set[str]) -> list[dict[str, Any]]:
    """All that can be read of two people, without the journal, and but for these events, their times and visits."""
    reads = [await stage.transport.read(root) for root in roots]
    for read in reads:
        del read["explain"]["merges"], read["explain"]["apart"]
        del read["profile"]["first_seen_at"], read["profile"]["last_seen_at"]
        read["profile"].pop("visit", None)  # of what was said there, which nothing undoes
        read["events"] = [event for event in read["events"] if event["event_id"] not in event_ids]
    return reads


async def _plays(stage: Stage, arrange: Callable[[Stage], Awaitable[_Way]]) -> tuple[_Way, int]:
    """Two people are joined, and parted again, which a dry run has announced: how, and by which merge."""
    way = await arrange(stage)
    roots = await _roots(stage, way)
    assert roots[0] != roots[1]
    earlier = await _standing(stage)
    before = await _reads(stage, roots, set())
    evidence = {await way.says()}
    joined = await _roots(stage, way)
    assert joined[0] == joined[1], f"{way.rule} joins"
    merge = (await stage.transport.journal())[0]
    assert (merge["rule"], {merge["winner"], merge["loser"]}) == (way.rule, set(roots))
    announced = await stage.transport.unmerge(merge["merge_id"], dry_run=True)
    assert await _roots(stage, way) == joined, "a dry run changes nothing"
    done = await stage.transport.unmerge(merge["merge_id"])
    assert done.document is not None
    assert announced.document == {**done.document, "dry_run": True}
    assert {half["profile_id"] for half in done.document["people"]} == set(roots)
    assert await _roots(stage, way) == roots
    assert await _reads(stage, roots, evidence) == before, f"{way.rule} is undone exactly"
    assert await _standing(stage) == earlier
    return way, merge["merge_id"]


async def a_merge_that_is_undone_stays_undone(stage: Stage) -> None:
    for arrange in _WAYS:
        way, merge_id = await _plays(stage, arrange)
        standing = await _standing(stage)
        await way.says()
        assert await _standing(stage) == standing, f"{way.rule} joins nobody"
        (pair,) = [pair for pair in await stage.transport.kept_apart() if pair["merge_id"] == merge_id]
        assert pair["people"][0] != pair["people"][1]


async def a_pair_that_is_lifted_is_joined_by_the_next_event_that_says_so(stage: Stage) -> None:
    for arrange in _WAYS:
        way, merge_id = await _plays(stage, arrange)
        assert await stage.transport.lift(merge_id)
        assert not await stage.transport.lift(merge_id), "lifting it again finds nothing"
        one, other = await _roots(stage, way)
        assert one != other, "lifting alone joins nobody"
        await way.says()
        one, other = await _roots(stage, way)
        assert one == other, f"{way.rule} joins again"
        assert (await stage.transport.journal())[0]["merge_id"] > merge_id


async def kept_apart_by_customer_id_is_a_switch_of_person(stage: Stage) -> None:
    customer, p = await somebody(stage, X), await somebody(stage)
    await p.says(X)
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    before = await stage.person(uid=p.uid)
    again, later = await p.says(X), await p.tracks()
    x = await stage.person(cid=X)
    assert {again, later} <= x.events.keys()
    assert x.warnings[again] == ("kept_apart",)
    assert await p.is_known_as() == x.profile_id == await customer.is_known_as()
    assert (await stage.transport.read(before.profile_id))["profile"]["cid"] is None
    assert not before.events.keys() & x.events.keys(), "what came before stays with the other person"


async def kept_apart_by_email_is_a_claim(stage: Stage) -> None:
    owner, p = await somebody(stage, email=E), await somebody(stage)
    await p.submits(E)
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    again = await p.submits(E)
    person = await stage.person(uid=p.uid)
    assert (person.email, person.claimed_emails, person.warnings) == (None, {E}, {again: ("kept_apart",)})
    assert (await stage.person(email=E)).uids == {owner.uid}


async def a_cookie_that_names_the_leaf_follows_it(stage: Stage) -> None:
    customer, p = await somebody(stage, X), await somebody(stage)
    alone, cookie = await p.is_known_as(), p.contact_cookie
    await p.says(X)
    assert await p.is_known_as() == await customer.is_known_as()
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    assert await p.is_known_as() == alone, "without a new cookie"
    tracked = await p.tracks()
    assert p.contact_cookie == cookie
    assert tracked in (await stage.person(uid=p.uid)).events
    p.loses("script")
    await p.tracks()
    assert (await stage.person(uid=p.uid)).profile_id == alone, "a new UID joins the leaf, not the customer"


async def whoever_switched_to_a_customer_follows_the_customer_id(stage: Stage) -> None:
    """The one who became the customer had been merged into an older profile, and that was wrong."""
    older, p = await somebody(stage, email=E), await somebody(stage)
    await p.submits(E)
    (merge_id,) = await _standing(stage)
    await p.says(X)
    q = await somebody(stage, Y)
    switched = await q.says(X)
    assert (await stage.person(cid=X)).email == E
    assert (await stage.transport.unmerge(merge_id)).code is None
    x, e = await stage.person(cid=X), await stage.person(email=E)
    assert (x.uids, e.uids) == ({p.uid, q.uid}, {older.uid})
    assert await q.is_known_as() == x.profile_id
    assert switched in x.events


async def what_collided_with_an_email_follows_the_email(stage: Stage) -> None:
    older, p = await somebody(stage, email=E), await somebody(stage)
    await p.submits(E)
    (merge_id,) = await _standing(stage)
    await stage.transport.assert_from_server(p.uid, None, "grace@example.com", stage.now)
    r = await somebody(stage, email=F)
    collided = await r.submits("grace@example.com")
    assert (await stage.transport.unmerge(merge_id)).code is None
    grace = await stage.person(email="grace@example.com")
    assert grace.uids == {p.uid}
    assert collided in grace.events
    assert collided not in (await stage.person(uid=older.uid)).events


async def a_visit_is_what_it_was(stage: Stage) -> None:
    await somebody(stage, X)
    p = await somebody(stage)
    await p.says(X)
    before = await stage.transport.look_at_visit(p.visit)
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    assert await stage.transport.look_at_visit(p.visit) == before == ("Authenticated", [(X, True)])
    await p.signs_out()
    assert await stage.transport.look_at_visit(p.visit) == ("Recognized", [(X, False)])


async def a_stale_cookie_does_not_join_a_browser_to_whom_it_is_kept_apart_from(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X)
    stale = p.contact_cookie
    p.loses("script", "contact")
    await p.tracks()
    guest = p.uid
    await p.says(X)
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    for joins in (False, True):
        if joins:
            await stage.transport.lift(merge_id)
        p.loses("script")
        p.contact_cookie = stale
        await p.tracks()
        x = await stage.person(cid=X)
        assert (p.uid in x.uids) is joins
        assert guest not in x.uids


async def a_uid_that_a_server_knew_first_is_not_back_filled_to_whom_it_is_kept_apart_from(stage: Stage) -> None:
    """R7 on arrival: the server named the UID before its browser did, and an operator undid what joined the two."""
    for lifted in (False, True):
        x, e = f"{X}-{lifted}", f"{lifted}.{E}"
        p = stage.browser()
        p.offline = True
        await p.tracks()
        late, script = p.outbox, p.script
        uid = p.uid
        p.outbox, p.offline = [], False
        await stage.transport.assert_from_server(uid, None, e, stage.now)
        p.loses("script")
        await p.says(x)
        await p.submits(e)
        merge_id, *_ = await _standing(stage)
        assert uid in (await stage.person(cid=x)).uids
        await stage.transport.unmerge(merge_id)
        if lifted:
            await stage.transport.lift(merge_id)
        p.outbox, (p.script, kept) = late, (script, p.script)
        await p.sends()
        p.script = kept
        assert (uid in (await stage.person(cid=x)).uids) is lifted


async def a_merge_that_others_rest_on_names_them(stage: Stage) -> None:
    await somebody(stage, X)
    owner, p = await somebody(stage, email=E), await somebody(stage)
    await p.says(X)
    await p.submits(E)  # said by the one who was merged: this evidence lies on the loser
    second, first = await _standing(stage)
    refused = await stage.transport.unmerge(first)
    assert (refused.code, refused.merges) == ("merge_has_dependents", (second,))
    assert (await stage.transport.unmerge(first, dry_run=True)) == refused
    assert await _standing(stage) == [second, first]
    for merge_id in (*refused.merges, first):
        assert (await stage.transport.unmerge(merge_id)).code is None
    assert (await stage.person(email=E)).uids == {owner.uid}
    assert (await stage.person(uid=p.uid)).cid is None


async def a_back_fill_rests_on_the_merge_of_whoever_asserted_also_when_it_comes_late(stage: Stage) -> None:
    await somebody(stage, X)
    for comes_late in (False, True):
        p = stage.browser()
        p.offline = comes_late
        await p.tracks()
        early, p.outbox, script = p.outbox, [], p.script
        p.offline = False
        p.loses("script", "contact")
        assert script is not None
        p._script().device = script.device
        await p.tracks()
        await p.says(X)
        if comes_late:
            p.outbox = early
            await p.sends()
        second, first, *_ = await _standing(stage)
        newest = (await stage.transport.journal())[0]
        assert (newest["merge_id"], newest["rule"]) == (second, "R7")
        refused = await stage.transport.unmerge(first)
        assert (refused.code, refused.merges) == ("merge_has_dependents", (second,))


async def a_uid_that_comes_late_is_not_back_filled_by_a_merge_that_was_undone(stage: Stage) -> None:
    customer = await somebody(stage, X)
    p = stage.browser()
    p.offline = True
    await p.tracks()
    early, p.outbox, script = p.outbox, [], p.script
    p.offline = False
    p.loses("script", "contact")
    assert script is not None
    p._script().device = script.device
    await p.tracks()
    await p.says(X)
    (merge_id,) = await _standing(stage)
    await stage.transport.unmerge(merge_id)
    p.outbox = early
    await p.sends()
    assert await _standing(stage) == []
    assert (await stage.person(cid=X)).uids == {customer.uid}
    assert (await stage.person(uid=script.uid)).uids == {script.uid}


async def a_merge_whose_winner_lost_later_names_that_one(stage: Stage) -> None:
    older, p = await somebody(stage, email=E), await somebody(stage)
    await p.submits(E)
    q = await somebody(stage, X)
    await older.says(X)
    await q.tracks()
    second, first = await _standing(stage)
    refused = await stage.transport.unmerge(first)
    assert (refused.code, refused.merges) == ("merge_has_dependents", (second,))
    assert (await stage.transport.unmerge(second)).code is None
    assert (await stage.person(uid=p.uid)).profile_id == (await stage.person(uid=older.uid)).profile_id
    assert (await stage.transport.unmerge(first)).code is None
    assert len({(await stage.person(uid=b.uid)).profile_id for b in (older, p, q)}) == 3


async def a_merge_that_has_nothing_to_do_with_it_stays(stage: Stage) -> None:
    customer, p, q = await somebody(stage, X), await somebody(stage), await somebody(stage)
    await p.says(X)
    await q.says(X)
    second, first = await _standing(stage)
    assert (await stage.transport.unmerge(first)).code is None
    assert await _standing(stage) == [second]
    assert (await stage.person(cid=X)).uids == {customer.uid, q.uid}


async def what_is_undone_already_or_was_never_merged_is_refused(stage: Stage) -> None:
    await somebody(stage, X)
    p = await somebody(stage)
    await p.says(X)
    (merge_id,) = await _standing(stage)
    assert not await stage.transport.lift(merge_id), "it holds, so it keeps nobody apart"
    assert (await stage.transport.unmerge(merge_id)).code is None
    for dry_run in (False, True):
        assert (await stage.transport.unmerge(merge_id, dry_run=dry_run)).code == "already_reversed"
        assert (await stage.transport.unmerge(merge_id + 1, dry_run=dry_run)).code == "not_found"
    assert not await stage.transport.lift(merge_id + 1)


async def _email_replaced_by_a_merge(stage: Stage) -> tuple[Browser, Browser, int]:
    p, owner = await somebody(stage, X, E), await somebody(stage, email=F)
    await stage.transport.assert_from_server(p.uid, X, F, stage.now)
    (merge_id,) = await _standing(stage)
    assert (await stage.person(cid=X)).email == F
    assert await stage.look(email=E) is None
    return p, owner, merge_id


async def an_email_that_the_merge_replaced_comes_back(stage: Stage) -> None:
    p, owner, merge_id = await _email_replaced_by_a_merge(stage)
    done = await stage.transport.unmerge(merge_id)
    x = await stage.person(cid=X)
    assert done.document is not None
    assert [back["value"] for back in done.document["restored"]] == [E]
    assert (x.email, x.claimed_emails, x.uids) == (E, set(), {p.uid})
    assert (await stage.person(email=F)).uids == {owner.uid}
    explained = (await stage.transport.read(x.profile_id))["explain"]
    assert [held["rule"] for held in explained["identifiers"] if held["kind"] == "email"] == ["R5a"]
    assert explained["history"] == []


async def an_email_that_somebody_else_got_meanwhile_forbids_it(stage: Stage) -> None:
    _, _, merge_id = await _email_replaced_by_a_merge(stage)
    thief = await somebody(stage, email=E)
    refused = await stage.transport.unmerge(merge_id)
    assert (refused.code, refused.profile_id) == ("identifier_taken", (await stage.person(uid=thief.uid)).profile_id)
    assert await _standing(stage) == [merge_id]
    assert (await stage.person(cid=X)).email == F


async def an_email_that_a_back_fill_did_not_replace_does_not_come_back_with_it(stage: Stage) -> None:
    """The back-fill rests on an event that replaced an e-mail, but came later, when that was history."""
    for somebody_has_it in (False, True):
        x, e = f"{X}-{somebody_has_it}", f"{somebody_has_it}.{E}"
        p = await somebody(stage, x, e)
        late = await _unsent_by_another_uid(p)
        stage.passes(minutes=10)
        await stage.transport.assert_from_server(p.uid, x, f"new.{e}", stage.now)
        q = await somebody(stage, x)
        await stage.transport.assert_from_server(q.uid, x, f"of.q.{e}", stage.now)
        joined, *_ = await _standing(stage)
        assert (await stage.transport.unmerge(joined)).code is None
        if somebody_has_it:
            await somebody(stage, email=e)
        before = (await stage.person(cid=x)).email, await stage.look(email=e)
        assert before[0] is None, "the last e-mail of x went with q"
        await p.delivers(late)
        back_filled, *_ = await stage.transport.journal()
        assert (back_filled["rule"], back_filled["reversed_at"]) == ("R7", None)
        done = await stage.transport.unmerge(back_filled["merge_id"])
        assert done.document is not None, done
        assert done.document["restored"] == []
        assert ((await stage.person(cid=x)).email, await stage.look(email=e)) == before


async def _unsent_by_another_uid(p: Browser) -> Letter:
    """What the browser tracks under another UID and does not get through, before it has the UID of before again."""
    script = p.script
    assert script is not None
    p.loses("script", "contact")
    p.offline = True
    p._script().device = script.device
    await p.tracks()
    late, p.outbox, p.offline = p.letter(p.outbox), [], False
    p.script = script
    return late


async def an_email_that_has_a_successor_remains_history(stage: Stage) -> None:
    p, owner, merge_id = await _email_replaced_by_a_merge(stage)
    await stage.transport.assert_from_server(p.uid, X, "grace@example.com", stage.now + 1)
    assert (await stage.transport.unmerge(merge_id)).code is None
    x = await stage.person(cid=X)
    assert (x.email, x.claimed_emails) == ("grace@example.com", {E})
    other = await stage.person(uid=owner.uid)
    assert (other.email, other.claimed_emails) == (None, {F})
    history = (await stage.transport.read(x.profile_id))["explain"]["history"]
    assert [(old["value"], old["rule"], old["trust"], old["replaced"]["trust"]) for old in history] == [
        (E, "R5a", "browser", "secret_key")
    ]
