"""The decision table of recognition, row by row, as scenarios that any transport can play.

P is the profile of the browser at the start, C the owner of CID x, E the owner of an e-mail.
"""

from __future__ import annotations

import hashlib

from tests.scenarios.people import E, F, X, Y, Z, returns_without_contact, somebody
from tests.stage import Stage


async def row_01_new_email_becomes_the_visitors(stage: Stage) -> None:
    p = await somebody(stage)
    before = await p.is_known_as()
    await p.submits(E)
    person = await stage.person(email=E)
    assert (person.profile_id, person.cid, person.email) == (before, None, E)
    assert await p.is_known_as() == before


async def row_02_email_of_an_anonymous_profile_merges_by_age(stage: Stage) -> None:
    older = await somebody(stage, email=E)
    survivor = await older.is_known_as()
    p = await somebody(stage)
    await p.submits(E)
    person = await stage.person(email=E)
    assert person.uids == {older.uid, p.uid}
    assert person.profile_id == survivor, "the older profile survives (R9)"
    assert await p.is_known_as() == await older.is_known_as() == survivor


async def row_03_email_of_a_customer_merges_into_the_customer(stage: Stage) -> None:
    p = stage.browser()
    view = await p.tracks()
    e = await somebody(stage, Z, E)
    customer = await e.is_known_as()
    await p.submits(E)
    person = await stage.person(cid=Z)
    assert person.profile_id == customer, "a customer survives, however young (R9)"
    assert person.uids == {p.uid, e.uid}
    assert view in person.events
    assert await p.is_known_as() == customer


async def row_04_another_new_email_makes_a_new_profile(stage: Stage) -> None:
    p = await somebody(stage, email=E)
    before = await p.is_known_as()
    form = await p.submits(F, city="Graz")
    later = await p.tracks()
    mine, other = await stage.person(email=E), await stage.person(email=F)
    assert mine.profile_id == before != other.profile_id
    assert form in other.events
    assert later in mine.events
    assert form not in mine.events
    assert (other.traits, other.claimed_traits) == ({}, {"city": "Graz"}), "a browser's traits are claims there"
    assert mine.traits == {}
    assert await p.is_known_as() == before


async def row_05_somebody_elses_email_gets_the_event(stage: Stage) -> None:
    e = await somebody(stage, email=F)
    p = await somebody(stage, email=E)
    before = await p.is_known_as()
    form = await p.submits(F, city="Graz")
    later = await p.tracks()
    mine, other = await stage.person(email=E), await stage.person(email=F)
    assert other.uids == {e.uid}
    assert mine.uids == {p.uid}
    assert form in other.events
    assert later in mine.events
    assert (other.traits, other.claimed_traits) == ({}, {"city": "Graz"})
    assert await p.is_known_as() == before


async def row_06_customer_with_another_customers_email_is_refused(stage: Stage) -> None:
    e = await somebody(stage, Z, E)
    p = await somebody(stage, X)
    before = await p.is_known_as()
    form = await p.submits(E)
    mine, other = await stage.person(cid=X), await stage.person(cid=Z)
    assert (mine.email, other.email) == (None, E)
    assert (mine.uids, other.uids) == ({p.uid}, {e.uid})
    assert mine.warnings[form] == ("email_owned_by_other_customer",)
    assert await p.is_known_as() == before


async def row_07_new_cid_makes_a_customer_and_back_fills(stage: Stage) -> None:
    p, first_uid = await returns_without_contact(stage)
    before = await p.is_known_as()
    await p.says(X)
    person = await stage.person(cid=X)
    assert person.uids == {first_uid, p.uid}, "the earlier profile of this browser is back-filled (R7)"
    assert await p.is_known_as() == person.profile_id
    assert before in {person.profile_id, *person.merged}


async def row_08_known_cid_merges_into_the_customer_and_back_fills(stage: Stage) -> None:
    p, first_uid = await returns_without_contact(stage)
    c = await somebody(stage, X)
    customer = await c.is_known_as()
    await p.says(X)
    person = await stage.person(cid=X)
    assert person.profile_id == customer
    assert person.uids == {first_uid, p.uid, c.uid}
    assert await p.is_known_as() == customer


async def row_09_new_cid_with_another_email_is_somebody_else(stage: Stage) -> None:
    p = await somebody(stage, email=E)
    before = await p.is_known_as()
    sign_in = await p.says(X, F)
    later = await p.tracks()
    mine, other = await stage.person(email=E), await stage.person(cid=X)
    assert (mine.profile_id, mine.cid) == (before, None)
    assert (other.email, other.merged) == (F, frozenset())
    assert {sign_in, later} <= other.events.keys(), "the UID speaks for the new person from this event on"
    assert mine.events.keys().isdisjoint({sign_in, later})
    assert await p.is_known_as() == other.profile_id


async def row_10_known_cid_of_another_email_switches(stage: Stage) -> None:
    c = await somebody(stage, X, F)
    p = await somebody(stage, email=E)
    before = await p.is_known_as()
    sign_in = await p.says(X)
    later = await p.tracks()
    mine, other = await stage.person(email=E), await stage.person(cid=X)
    assert (mine.profile_id, mine.cid) == (before, None)
    assert (other.email, other.uids) == (F, {c.uid, p.uid})
    assert {sign_in, later} <= other.events.keys()
    assert await p.is_known_as() == other.profile_id == await c.is_known_as()


async def row_11_another_cid_switches_and_relabels_nothing(stage: Stage) -> None:
    for x_is_known in (False, True):
        x, y = f"{X}-{x_is_known}", f"{Y}-{x_is_known}"
        if x_is_known:
            await somebody(stage, x)
        p = stage.browser()
        early = await p.tracks()
        await p.says(y)
        sign_in = await p.says(x)
        later = await p.tracks()
        old, new = await stage.person(cid=y), await stage.person(cid=x)
        assert old.profile_id != new.profile_id
        assert early in old.events
        assert {sign_in, later} <= new.events.keys()
        assert old.events.keys().isdisjoint({sign_in, later})
        assert await p.is_known_as() == new.profile_id


async def row_12_browser_cannot_change_a_customers_email(stage: Stage) -> None:
    for f_is_known in (False, True):
        name = "known" if f_is_known else "new"
        x, e, f = f"{X}-{name}", f"{name}-{E}", f"{name}-{F}"
        if f_is_known:
            await somebody(stage, Z, f)
        p = await somebody(stage, x, e)
        before = await p.is_known_as()
        sign_in = await p.says(x, f, city="Graz")
        mine = await stage.person(cid=x)
        assert (mine.profile_id, mine.email) == (before, e)
        assert mine.claimed_emails == {f}
        assert mine.warnings[sign_in] == ("email_change_unverified",)
        assert mine.traits == {"city": "Graz"}, "event, session and traits stay with P"
        other = await stage.look(email=f)
        assert other is None or other.cid == Z
        assert await p.is_known_as() == before


async def row_13_server_changes_the_email(stage: Stage) -> None:
    p = await somebody(stage, X, E)
    await stage.transport.assert_from_server(p.uid, X, F, stage.now)
    person = await stage.person(cid=X)
    assert person.email == F
    assert E in person.claimed_emails, "the old address is history"
    assert await stage.look(email=E) is None, "and resolves no longer"
    assert await p.is_known_as() == person.profile_id


async def row_14_server_brings_in_the_anonymous_owner_of_the_email(stage: Stage) -> None:
    owner = await somebody(stage, email=F)
    p = await somebody(stage, X, E)
    customer = await p.is_known_as()
    await stage.transport.assert_from_server(p.uid, X, F, stage.now)
    person = await stage.person(cid=X)
    assert (person.profile_id, person.email) == (customer, F)
    assert person.uids == {p.uid, owner.uid}
    assert await stage.look(email=E) is None
    assert await p.is_known_as() == await owner.is_known_as() == customer


async def row_15_server_cannot_take_another_customers_email(stage: Stage) -> None:
    owner = await somebody(stage, Z, F)
    p = await somebody(stage, X, E)
    before = await p.is_known_as()
    await stage.transport.assert_from_server(p.uid, X, F, stage.now)
    mine, other = await stage.person(cid=X), await stage.person(cid=Z)
    assert (mine.email, other.email) == (E, F)
    assert (mine.uids, other.uids) == ({p.uid}, {owner.uid})
    assert [codes for codes in mine.warnings.values() if "email_owned_by_other_customer" in codes]
    assert await p.is_known_as() == before


async def row_16_placeholder_cid_is_dropped(stage: Stage) -> None:
    for blocked in ("undefined", "5e543256c480ac577d30f76f9120eb74", hashlib.sha256(b"NULL").hexdigest().upper()):
        people = [stage.browser(), stage.browser()]
        for browser in people:
            await browser.tracks()
            before = await browser.is_known_as()
            event = await browser.says(blocked)
            person = await stage.person(uid=browser.uid)
            assert (person.cid, person.uids) == (None, {browser.uid})
            assert event in person.events, "the event is stored"
            assert person.warnings[event] == ("blocked_identifier",)
            assert browser.last_answer is not None
            assert (event, "warned", "blocked_identifier") in browser.last_answer.results
            assert await browser.is_known_as() == before
        assert await stage.look(cid=blocked) is None


async def row_17_reset_begins_another_person(stage: Stage) -> None:
    p = await somebody(stage, X, E)
    before, uid, device = await p.is_known_as(), p.uid, p.device_cookie
    assert await stage.transport.look_at_visit(p.visit) == ("Authenticated", [(X, True)])
    reset = await p.resets()
    assert await stage.transport.look_at_visit(p.visit) == ("Anonymous", [(X, False)])
    old, new = await stage.person(cid=X), await stage.person(uid=p.uid)
    assert p.uid != uid
    assert p.device_cookie == device, "the device is kept"
    assert (new.cid, new.email, new.uids) == (None, None, {p.uid})
    assert (old.profile_id, old.uids) == (before, {uid})
    assert reset in new.events
    assert await p.is_known_as() == new.profile_id


async def row_18_sign_out_keeps_the_person(stage: Stage) -> None:
    p = await somebody(stage, X, E)
    before, uid = await p.is_known_as(), p.uid
    await p.signs_out()
    later = await p.tracks()
    assert await stage.transport.look_at_visit(p.visit) == ("Recognized", [(X, False)])
    assert p.uid == uid
    assert later in (await stage.person(cid=X)).events
    assert await p.is_known_as() == before


async def row_19_user_info_is_only_a_hint(stage: Stage) -> None:
    owner = await somebody(stage, email=E)
    p = await somebody(stage)
    before = await p.is_known_as()
    hint = await p.informs(E)
    assert await stage.transport.look_at_visit(p.visit) == ("Recognized", [])
    mine, other = await stage.person(uid=p.uid), await stage.person(email=E)
    assert (mine.profile_id, mine.email) == (before, None)
    assert hint in mine.events
    assert other.uids == {owner.uid}
    assert await p.is_known_as() == before
