"""What counts as saying who one is, and what is kept of it."""

from __future__ import annotations

from tests.scenarios.people import E, X, Y, somebody
from tests.stage import Stage


async def identifying_twice_a_day_changes_nothing_but_traits(stage: Stage) -> None:
    p = stage.browser()
    await p.says(X, E, action="identify", name="Erin")
    before = await stage.person(cid=X)
    stage.passes(minutes=200)
    again = await p.says(X, E, action="identify", name="Erin M.")
    person = await stage.person(cid=X)
    assert (person.profile_id, person.uids, person.merged) == (before.profile_id, before.uids, before.merged)
    assert person.traits == {"name": "Erin M."}
    assert person.warnings == {}
    assert again in person.events
    assert await stage.transport.look_at_visit(p.visit) == ("Authenticated", [(X, True)]), "no second session"


async def the_latest_trait_counts_in_any_order_of_arrival(stage: Stage) -> None:
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        p = stage.browser()
        p.offline = True
        await p.says(f"{X}-{order}", city="Linz")
        await p.says(f"{X}-{order}", city="Wels")
        await p.says(f"{X}-{order}", city="Graz")
        await p.sends(order, one_by_one=True)
        assert (await stage.person(cid=f"{X}-{order}")).traits == {"city": "Graz"}


async def an_event_that_merely_carries_a_customer_asserts_nothing(stage: Stage) -> None:
    p = stage.browser()
    bought = await p.tracks("product", "purchase", dims={"customers": {"customer_id": X, "email": E}})
    assert await stage.look(cid=X) is await stage.look(email=E) is None
    assert bought in (await stage.person(uid=p.uid)).events


async def two_different_ids_in_one_event_assert_nothing(stage: Stage) -> None:
    p = stage.browser()
    event = await p.tracks("user", "sign_in", dims={"customers": {"customer_id": X}}, extra={"identify_id": Y})
    assert await stage.look(cid=X) is await stage.look(cid=Y) is None
    assert (await stage.person(uid=p.uid)).warnings[event] == ("conflicting_identifiers",)


async def an_inexact_identification_asserts_nothing(stage: Stage) -> None:
    p = stage.browser()
    extra = {"identify_id": X, "identify_type": "probable"}
    await p.tracks("user", "identify", dims={"customers": {"customer_id": X, "email": E}}, extra=extra)
    assert await stage.look(cid=X) is await stage.look(email=E) is None


async def an_identify_id_alone_is_a_customer_id(stage: Stage) -> None:
    p = stage.browser()
    await p.tracks("user", "identify", extra={"identify_id": X, "identify_type": "exact"})
    assert (await stage.person(cid=X)).uids == {p.uid}


async def emails_are_one_however_they_are_spelled(stage: Stage) -> None:
    p, q = stage.browser(), stage.browser()
    await p.submits(" Erin@MÜLLER.example ")
    await q.submits("erin@xn--mller-kva.example")
    assert (await stage.person(uid=p.uid)).uids == {p.uid, q.uid}


async def an_invalid_email_neither_collides_nor_clears(stage: Stage) -> None:
    p = await somebody(stage, X, E)
    form = await p.submits("nobody-at-nowhere")
    person = await stage.person(cid=X)
    assert person.email == E
    assert form in person.events
    assert person.warnings[form] == ("invalid_email",)


async def traits_of_a_hint_count_for_the_customer_it_names_alone(stage: Stage) -> None:
    p = await somebody(stage, X)
    await p.informs(X, city="Graz")
    await p.informs(Y, city="Wels", name="Yvonne")
    person = await stage.person(cid=X)
    assert person.traits == {"city": "Graz"}
    assert person.claimed_traits == {"city": "Wels", "name": "Yvonne"}
    assert await stage.look(cid=Y) is None
