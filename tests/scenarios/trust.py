"""What is believed, what is repeated or forged, what is forgotten, and what an answer gives away."""

from __future__ import annotations

from tests.scenarios.people import E, F, X, Y, Z, somebody
from tests.stage import Answer, Browser, Stage


async def a_forged_current_contact_is_not_adopted(stage: Stage) -> None:
    victim = await somebody(stage, X, E)
    p = stage.browser()
    p.contact_cookie = stage.transport.forge_contact(await victim.is_known_as())
    await p.tracks()
    person = await stage.person(uid=p.uid)
    assert person.uids == {p.uid}
    assert person.cid is None
    assert await p.is_known_as() == person.profile_id


async def an_erased_visitor_is_suppressed_and_may_start_anew(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X, E)
    p.offline = True
    await p.tracks()
    kept, p.outbox = p.outbox, []
    p.offline = False
    stage.passes(minutes=1)
    await stage.transport.erase(await p.is_known_as(), stage.now)
    p.outbox = kept
    answer = await p.sends()
    assert (answer.accepted, answer.suppressed) == (0, 1)
    assert [(status, code) for _, status, code in answer.results] == [("suppressed", "erased")]
    assert await stage.look(cid=X) is await stage.look(uid=p.uid) is None
    old_contact = p.contact_cookie
    p.loses("script")
    stage.passes(minutes=1)
    await p.says(X, E)
    person = await stage.person(cid=X)
    assert person.uids == {p.uid}, "who honestly returns later starts anew"
    assert p.contact_cookie != old_contact, "an erased profile is never adopted"


async def a_repeated_event_is_a_duplicate(stage: Stage) -> None:
    p = stage.browser()
    event = await p.says(X, E, name="Erin")
    before = await stage.person(cid=X)
    contact = await p.is_known_as()
    assert p.last_letter is not None
    stage.passes(minutes=5)
    answer = await p.delivers(p.last_letter)
    assert (answer.accepted, answer.duplicate) == (0, 1)
    assert [(event_id, status) for event_id, status, _ in answer.results] == [(event, "duplicate")]
    assert await stage.person(cid=X) == before
    assert await p.is_known_as() == contact


async def another_event_under_a_used_id_is_a_conflict(stage: Stage) -> None:
    p = stage.browser()
    p.offline = True
    await p.says(X)
    await p.says(Y)
    first, second = p.outbox
    p.outbox = [first, {**second, "event_id": first["event_id"]}]
    p.offline = False
    answer = await p.sends()
    assert (answer.accepted, answer.quarantined) == (1, 1)
    assert answer.results == ((first["event_id"], "quarantined", "id_conflict"),)
    assert await stage.look(cid=Y) is None, "the first one counts"
    p.outbox = [{**second, "event_id": first["event_id"]}]
    answer = await p.sends()
    assert answer.results == ((first["event_id"], "quarantined", "id_conflict"),), "in a later request as well"
    assert (await stage.person(cid=X)).cid == X


async def an_answer_is_the_same_for_known_and_unknown_emails(stage: Stage) -> None:
    """R17, for every state that a visitor can be in when they type an address."""
    for state, (cid, email) in {
        "anonymous": (None, None),
        "mail": (None, E),
        "customer": (X, None),
        "both": (Y, F),
    }.items():
        seen = []
        for known in ("nobody", "anonymous", "customer"):
            address = f"{state}-{known}@example.org"
            if known != "nobody":
                await somebody(stage, f"{Z}-{state}" if known == "customer" else None, address)
            p = await somebody(stage, cid and f"{cid}-{state}-{known}", email and f"{known}-{email}")
            seen.append(await _what_a_submission_shows(p, address))
        assert seen[0] == seen[1] == seen[2], f"as {state}"


async def _what_a_submission_shows(browser: Browser, address: str) -> tuple[object, ...]:
    cookies = (browser.device_cookie, browser.contact_cookie)
    event = await browser.submits(address)
    answer = browser.last_answer
    assert answer is not None
    await browser.tracks()
    return (*_shape(answer, event), (browser.device_cookie, browser.contact_cookie) == cookies)


def _shape(answer: Answer, event: str) -> tuple[object, ...]:
    counts = (answer.accepted, answer.duplicate, answer.quarantined, answer.suppressed)
    return (counts, [(event_id == event, status, code) for event_id, status, code in answer.results])


async def a_browser_never_joins_two_verified_profiles(stage: Stage) -> None:
    """R14, by customer id and by e-mail."""
    p, q = await somebody(stage), await somebody(stage)
    await stage.transport.assert_from_server(p.uid, X, None, stage.now)
    await stage.transport.assert_from_server(q.uid, None, E, stage.now)
    stage.passes(minutes=1)
    by_email = await p.submits(E)
    assert (await stage.person(cid=X)).warnings[by_email] == ("both_verified",)
    by_cid = await q.says(X)
    customer, other = await stage.person(cid=X), await stage.person(email=E)
    assert customer.warnings[by_cid] == ("both_verified",)
    assert customer.profile_id != other.profile_id
    assert (customer.email, other.cid) == (None, None)
    assert (customer.merged, other.merged) == (set(), set())
    await stage.transport.assert_from_server(p.uid, X, E, stage.now)
    assert (await stage.person(cid=X)).email == E, "a server may"


async def an_unverified_sign_in_is_only_a_claim(stage: Stage) -> None:
    """For a site with `require_verified_identity` (R14)."""
    p = await somebody(stage)
    before = await p.is_known_as()
    event = await p.says(X, E, city="Graz")
    assert await stage.look(cid=X) is await stage.look(email=E) is None
    mine = await stage.person(uid=p.uid)
    assert (mine.cid, mine.email) == (None, None)
    assert event in mine.events
    assert mine.warnings[event] == ("unverified_identity",)
    assert (mine.traits, mine.claimed_traits) == ({}, {"city": "Graz"})
    assert await p.is_known_as() == before


async def a_server_may_still_say_who_it_is(stage: Stage) -> None:
    """For a site with `require_verified_identity` (R14)."""
    p = await somebody(stage)
    await p.says(X)
    await stage.transport.assert_from_server(p.uid, X, E, stage.now)
    person = await stage.person(cid=X)
    assert (person.email, person.uids) == (E, {p.uid})
