"""One browser and several people, several browsers and one person: resets, switches, back-fill, shared devices."""

from __future__ import annotations

from tests.scenarios.people import E, X, Y
from tests.stage import DAY_MS, SECOND_MS, Browser, Stage


async def three_days_of_the_seed_end_in_one_profile(stage: Stage) -> None:
    p = stage.browser()
    day_1 = await p.tracks()
    uid_1 = p.uid
    p.loses("script", "contact")
    stage.passes(days=2)
    p.arrives()
    day_3 = await p.tracks()
    uid_3 = p.uid
    assert (await stage.person(uid=uid_1)).profile_id != (await stage.person(uid=uid_3)).profile_id
    stage.passes(days=4)
    p.arrives()
    day_7 = await p.says(X, E, action="sign_up")
    person = await stage.person(cid=X)
    assert person == await stage.person(email=E)
    assert person.uids == {uid_1, uid_3}
    assert person.events.keys() == {day_1, day_3, day_7}


async def two_customers_with_a_reset_between_are_two_people(stage: Stage) -> None:
    p = stage.browser()
    events_x = [await p.tracks(), await p.says(X)]
    await p.signs_out()
    events_y = [await p.resets(), await p.tracks(), await p.says(Y)]
    await _are_apart(stage, events_x, events_y)


async def two_customers_without_a_reset_are_two_people(stage: Stage) -> None:
    p = stage.browser()
    events_x = [await p.tracks(), await p.says(X), await p.tracks()]
    events_y = [await p.says(Y), await p.tracks()]
    await _are_apart(stage, events_x, events_y)


async def two_customers_with_the_reset_lost_are_two_people(stage: Stage) -> None:
    p = stage.browser()
    events_x = [await p.tracks(), await p.says(X)]
    p.offline = True
    p.drops(await p.resets())
    p.offline = False
    events_y = [await p.tracks(), await p.says(Y), await p.tracks()]
    await _are_apart(stage, events_x, events_y)


async def two_customers_with_the_reset_reordered_are_two_people(stage: Stage) -> None:
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 2, 5, 0, 3, 1], [4, 1, 0, 3, 2, 5]):
        x, y = f"{X}-{order}", f"{Y}-{order}"
        p = stage.browser()
        p.offline = True
        events_x = [await p.tracks(), await p.says(x), await p.tracks()]
        events_y = [await p.resets(), await p.tracks(), await p.says(y)]
        await p.sends(order, one_by_one=True)
        await _are_apart(stage, events_x, events_y, (x, y))


async def _are_apart(stage: Stage, events_x: list[str], events_y: list[str], cids: tuple[str, str] = (X, Y)) -> None:
    x, y = [await stage.person(cid=cid) for cid in cids]
    assert set(events_x) <= x.events.keys()
    assert set(events_y) <= y.events.keys()
    assert x.events.keys().isdisjoint(y.events)


async def an_anonymous_stretch_after_a_reset_belongs_to_the_next_customer(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X)
    await p.resets()
    browsed = await p.tracks()
    await p.says(Y)
    assert browsed in (await stage.person(cid=Y)).events


async def a_later_reset_keeps_back_fill_out_of_the_earlier_stretch(stage: Stage) -> None:
    p = stage.browser()
    early = await p.tracks()
    await p.resets()
    await p.says(X)
    person = await stage.person(cid=X)
    assert early not in person.events, "that was before the reset: nobody knows who it was (R7)"


async def a_reset_in_the_millisecond_of_a_sign_in_is_another_person(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X)
    stage.now -= SECOND_MS  # the reset happens when the sign-in did
    reset = await p.resets()
    assert reset not in (await stage.person(cid=X)).events
    assert (await stage.person(uid=p.uid)).cid is None


async def late_events_of_before_a_switch_reach_the_earlier_person(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X)
    p.offline = True
    late = [await p.tracks(), await p.tracks()]
    kept, p.outbox = p.outbox, []
    p.offline = False
    await p.says(Y)
    before = await p.is_known_as()
    p.outbox = kept
    await p.sends([1, 0], one_by_one=True)
    x, y = await stage.person(cid=X), await stage.person(cid=Y)
    assert set(late) <= x.events.keys()
    assert set(late).isdisjoint(y.events)
    assert await p.is_known_as() == before == y.profile_id


async def late_events_of_an_older_uid_do_not_move_current_contact(stage: Stage) -> None:
    for is_known in (True, False):
        p = stage.browser()
        if is_known:
            await p.tracks()
        p.offline = True
        late = await p.tracks()
        kept, p.outbox = p.outbox, []
        p.offline = False
        await p.resets()
        before = await p.is_known_as()
        p.outbox = kept
        await p.sends()
        assert await p.is_known_as() == before
        assert late not in (await stage.person(uid=p.uid)).events


async def a_uid_first_seen_after_the_assertion_is_back_filled(stage: Stage) -> None:
    p = stage.browser()
    p.offline = True
    early = await p.tracks()
    uid = p.uid
    kept, p.outbox = p.outbox, []
    assert p.script is not None
    device = p.script.device
    p.loses("script")
    p.offline = False
    stage.passes(days=1)
    assert p.uid != uid
    p.script.device = device
    await p.says(X)
    p.outbox = kept
    await p.sends()
    person = await stage.person(cid=X)
    assert early in person.events
    assert person.uids == {uid, p.uid}


async def a_shared_device_is_not_back_filled_but_its_current_uid_merges(stage: Stage) -> None:
    for customers, is_shared in ((3, False), (4, True)):
        p = stage.browser()
        for number in range(customers):
            await p.says(f"{X}-{customers}-{number}")
        p.loses("script", "contact")
        browsed = await p.tracks()
        p.loses("script", "contact")
        signed_in = await p.says(f"{X}-{customers}-{number}")
        person = await stage.person(cid=f"{X}-{customers}-{number}")
        assert signed_in in person.events, "the current UID still merges (R13)"
        assert (browsed in person.events) is not is_shared, f"{customers} customers in a day"


async def a_shared_device_is_an_ordinary_one_a_day_later(stage: Stage) -> None:
    p = stage.browser()
    for number in range(4):
        await p.says(f"{X}-{number}")
    stage.passes(days=1)
    p.loses("script", "contact")
    browsed = await p.tracks()
    p.loses("script", "contact")
    await p.says(f"{X}-3")
    assert browsed in (await stage.person(cid=f"{X}-3")).events


async def the_fourth_customer_of_a_day_is_not_back_filled(stage: Stage) -> None:
    p = stage.browser()
    for number in range(3):
        await p.says(f"{X}-{number}")
        await p.resets()
    browsed = await p.tracks()
    p.loses("script", "contact")
    await p.says(f"{X}-3")
    assert browsed not in (await stage.person(cid=f"{X}-3")).events, "the device holds four CIDs by then (R13)"


async def a_server_that_knows_the_new_uid_first_takes_nothing_from_the_reset(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X)
    p.offline = True
    await p.resets()
    await stage.transport.assert_from_server(p.uid, Y, None, stage.now)
    p.offline = False
    browsed = await p.tracks()
    x, y = await stage.person(cid=X), await stage.person(cid=Y)
    assert browsed in y.events
    assert x.events.keys().isdisjoint(y.events)
    assert await p.is_known_as() == y.profile_id != x.profile_id
    assert await stage.transport.look_at_visit(p.visit) == ("Anonymous", [(X, False)])


async def a_wrong_clock_does_not_confuse_who_was_when(stage: Stage) -> None:
    for years in (-10, 10):
        p = Browser(stage, clock_off_ms=years * 365 * DAY_MS)
        x, y = f"{X}{years}", f"{Y}{years}"
        events_x = [await p.tracks(), await p.says(x), await p.tracks()]
        events_y = [await p.says(y), await p.tracks()]
        await _are_apart(stage, events_x, events_y, (x, y))
        await p.resets()
        browsed = await p.tracks()
        assert browsed not in (await stage.person(cid=y)).events


async def a_chain_of_returns_ends_in_one_profile(stage: Stage) -> None:
    """Phone and laptop, known by mail on one and by account on the other, meet when the second says both."""
    phone, laptop = stage.browser(), stage.browser()
    await phone.submits(E)
    await laptop.says(X)
    assert (await stage.person(cid=X)).profile_id != (await stage.person(email=E)).profile_id
    await laptop.says(X, E)
    person = await stage.person(cid=X)
    assert person == await stage.person(email=E)
    assert person.uids == {phone.uid, laptop.uid}
    assert await phone.is_known_as() == await laptop.is_known_as() == person.profile_id
