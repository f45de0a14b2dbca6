"""Interactions and agents' answers on both engines: an answer lasts, merges nothing, and goes with whom it names."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from collector.domain.interaction import Identification, Interaction, Said
from collector.recorder.group import record_group
from collector.recorder.memory import Memory
from collector.store import schema
from collector.store.database import Database
from collector.store.devices import fetch_assertions
from collector.store.identifiers import fetch_merges
from collector.store.interactions import (
    Refused,
    decide_interaction,
    fetch_interaction,
    fetch_interactions,
    insert_interaction,
)
from collector.store.marks import fold_again
from collector.store.people import erase_profile, find_profile
from collector.store.standing import fetch_current, fetch_last_standing, fetch_profile_standing
from tests.stage import Browser, Stage, mint_uuid7
from tests.store.engines import only_on_sqlite
from tests.store.test_erasure import rows_naming, rows_of
from tests.store.test_unmerging_properties import every_read
from tests.store_transport import StoreTransport, add_site

AGENT = Identification.AGENT_DECIDES
CALL = "0190c0de-0000-7000-8000-000000000001"
sites = itertools.count(1)


def report(transport: StoreTransport, visit: str, now: int, number: int = 1, **said: Any) -> Interaction:
    interaction_id = f"{CALL[:-4]}{number:04}"
    stored = transport.database.transact(
        insert_interaction, transport.site.site_id, interaction_id, Said(visit, **said), AGENT, now
    )
    assert stored is not None
    return stored


def decide(transport: StoreTransport, answer: str | None, now: int, number: int = 1) -> Interaction:
    answers = () if answer is None else (answer,)
    interaction_id = f"{CALL[:-4]}{number:04}"
    decided = transport.database.transact(decide_interaction, transport.site.site_id, interaction_id, answers, now)
    assert decided is not None
    return decided


def visit_rows(conn: Connection, site_id: int) -> dict[str, list[tuple[Any, ...]]]:
    """Visits, sessions, contacts and identities, without when we heard of them.

    And without the leaf of a contact: an answer is kept with whom had spoken last by then, as far as we had heard.
    """
    found = {}
    for table in (schema.visits, schema.sessions, schema.contacts, schema.identities):
        hidden = {"arrived_at", "site_id"} | ({"profile_id"} if table is schema.contacts else set())
        columns = [column for column in table.columns if column.name not in hidden]
        rows = conn.execute(select(*columns).where(table.c.site_id == site_id))
        found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


def standing_of(transport: StoreTransport, visit: str) -> tuple[str, str | None]:
    columns = (schema.visits.c.state, schema.visits.c.identity_id)
    mine = (schema.visits.c.site_id == transport.site.site_id, schema.visits.c.visit_id == visit)
    row = transport.database.read_now(lambda conn: conn.execute(select(*columns).where(*mine)).one())
    return row[0], row[1]


async def comes_back(stage: Stage, cid: str = "ada", email: str | None = None) -> Browser:
    """A customer who signed in, and is there again next day without signing in."""
    browser = stage.browser()
    await browser.says(cid, email)
    stage.passes(days=1)
    browser.arrives()
    await browser.tracks("page", "view", title="Tea")
    return browser


ACTS = {
    "tracks": lambda p: p.tracks(),
    "x signs in": lambda p: p.says("x"),
    "y signs in": lambda p: p.says("y"),
    "x is hinted at": lambda p: p.informs("x"),
    "y is hinted at": lambda p: p.informs("y"),
    "signs out": lambda p: p.signs_out(),
    "resets": lambda p: p.resets(),
}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(list(ACTS)), min_size=1, max_size=6), st.data())
async def test_an_answer_commutes_with_late_events(
    quick_database: Database, acts: list[str], data: st.DataObject
) -> None:
    in_time = data.draw(st.integers(1, len(acts)), "events before the interaction")
    decided_after = data.draw(st.integers(in_time, len(acts)), "events that occurred before the answer")
    answer = data.draw(st.sampled_from([None, "x", "y", "z"]), "answer")
    ends = []
    for late in (False, True):
        transport = StoreTransport(quick_database, add_site(quick_database, f"interactions-{next(sites)}"))
        stage = Stage(transport)
        browser = Browser(stage, offline=True)
        times = []
        for act in acts:
            await ACTS[act](browser)
            times.append(stage.now)
        decided_at = times[decided_after - 1] + 500
        stage.passes(minutes=1)
        outbox, browser.outbox = browser.outbox, []
        await browser.delivers(browser.letter(outbox[:in_time]))
        report(transport, browser.visit, decided_at - 1, identification=AGENT)
        if late:
            decide(transport, answer, decided_at)
        for event in outbox[in_time:]:
            await browser.delivers(browser.letter([event]))
        if not late:
            decide(transport, answer, decided_at)
        ends.append(quick_database.read_now(visit_rows, transport.site.site_id))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("answer", "after"),
    [("ada", ("Recognized", "ada")), (None, ("Anonymous", None)), ("bob", ("Recognized", "bob"))],
)
async def test_the_visit_follows_the_answer_and_nobody_is_merged(
    stage: Stage, transport: StoreTransport, answer: str | None, after: tuple[str, str | None]
) -> None:
    other = stage.browser()
    await other.says("bob", "bob@example.com")
    browser = await comes_back(stage)
    site_id = transport.site.site_id
    before = transport.database.read_now(every_read, site_id, without=())
    device = browser.device_cookie or ""
    asserted = transport.database.read_now(fetch_assertions, site_id, device, 0)
    assert standing_of(transport, browser.visit) == ("WM-Recognized", "ada")
    reported = report(transport, browser.visit, stage.now)
    assert (reported.identification, reported.identity_id, reported.is_pending) == (AGENT, "ada", True)
    decided = decide(transport, answer, stage.now + 5)
    assert (decided.decided_at, decided.decided_identity_id) == (stage.now + 5, answer)
    assert not decided.is_pending
    assert standing_of(transport, browser.visit) == after
    now = transport.database.read_now(every_read, site_id, without=())
    for part in ("whole", "uids", "found"):
        assert now[part] == before[part], "an answer changed what is known of people"
    assert transport.database.read_now(fetch_assertions, site_id, device, 0) == asserted, "R7 and R13 see no answer"
    assert transport.database.read_now(fetch_merges, site_id, None, 10) == []
    await browser.tracks()
    await browser.informs("ada")
    assert standing_of(transport, browser.visit) == after, "a hint does not outweigh an agent"


async def test_a_second_answer_takes_the_place_of_the_first(stage: Stage, transport: StoreTransport) -> None:
    browser = await comes_back(stage)
    report(transport, browser.visit, stage.now)
    rows = transport.database.read_now(visit_rows, transport.site.site_id)
    for answer in ("bob", None, "carol", "ada"):
        decide(transport, answer, stage.now)
    assert standing_of(transport, browser.visit) == ("Recognized", "ada")
    contacts = transport.database.read_now(visit_rows, transport.site.site_id)["contacts"]
    assert len(contacts) == len(rows["contacts"]) + 1, "only what was said last counts"


async def test_the_last_of_two_agents_counts(stage: Stage, transport: StoreTransport) -> None:
    browser = await comes_back(stage)
    report(transport, browser.visit, stage.now, 1)
    report(transport, browser.visit, stage.now, 2)
    decide(transport, None, stage.now + 20, 2)
    decide(transport, "ada", stage.now + 10, 1)
    assert standing_of(transport, browser.visit) == ("Anonymous", None)
    decide(transport, "ada", stage.now + 30, 1)
    assert standing_of(transport, browser.visit) == ("Recognized", "ada")


async def test_another_name_of_the_same_person_confirms_them(stage: Stage, transport: StoreTransport) -> None:
    browser = await comes_back(stage, "ada", "ada@example.com")
    report(transport, browser.visit, stage.now)
    assert decide(transport, "ada@example.com", stage.now).decided_identity_id == "ada"
    assert standing_of(transport, browser.visit) == ("Recognized", "ada")


async def test_an_answer_outlasts_undoing_the_merge_behind_the_assumption(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    await browser.tracks()
    browser.loses("script", "contact")
    await browser.says("ada")
    stage.passes(days=1)
    browser.arrives()
    await browser.tracks()
    report(transport, browser.visit, stage.now)
    decide(transport, "ada", stage.now)
    (merge,) = await transport.journal()
    assert (await transport.unmerge(merge["merge_id"])).document is not None
    assert standing_of(transport, browser.visit) == ("Recognized", "ada")


async def test_an_interaction_may_be_called_by_the_id_of_an_event(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    sign_in = await browser.says("ada")
    await browser.signs_out()
    site_id, said = transport.site.site_id, Said(browser.visit)
    transport.database.transact(insert_interaction, site_id, sign_in, said, AGENT, stage.now)
    for answers in (("bob",), ()):
        transport.database.transact(decide_interaction, site_id, sign_in, answers, stage.now)
    assert await transport.look_at_visit(browser.visit) == ("Anonymous", [("ada", False)])


async def test_a_repeat_is_stored_once_and_another_content_refused(stage: Stage, transport: StoreTransport) -> None:
    browser = await comes_back(stage)
    first = report(transport, browser.visit, stage.now, kind="call", value=3, data={"queue": "vip"})
    await browser.says("ada")
    again = report(transport, browser.visit, stage.now + 1, kind="call", value=3.0, data={"queue": "vip"})
    assert again == first, "also when the state of the visit is another one by now"
    for other in ({"kind": "chat"}, {"kind": "call", "value": 4, "data": {"queue": "vip"}}, {}):
        with pytest.raises(Refused, match="id_conflict"):
            report(transport, browser.visit, stage.now, **other)
    assert transport.database.read_now(fetch_interactions, transport.site.site_id, 10) == [first]


async def test_lists_page_by_page_are_all_there_newest_first(stage: Stage, transport: StoreTransport) -> None:
    browser, other = await comes_back(stage), await comes_back(stage, "bob")
    made = [report(transport, b.visit, stage.now + n // 2, n) for n, b in enumerate([browser, other] * 4)]
    decide(transport, "ada", stage.now, 2)
    report(transport, other.visit, stage.now + 9, 99, identification=Identification.NONE)
    stored = [fetch_or_fail(transport, each.interaction_id) for each in made]

    def paged(size: int, **narrowed: Any) -> list[str]:
        found: list[Interaction] = []
        before = None
        while True:
            page = transport.database.read_now(fetch_interactions, transport.site.site_id, size, before, **narrowed)
            found += page
            if not page:
                return [each.interaction_id for each in found]
            before = (page[-1].created_at, page[-1].interaction_id)

    order = sorted(stored, key=lambda each: (each.created_at, each.interaction_id), reverse=True)
    for size in (1, 3, 50):
        assert paged(size)[1:] == [each.interaction_id for each in order]
        mine = [each.interaction_id for each in order if each.said.visit_id == browser.visit]
        assert paged(size, visit_id=browser.visit) == mine
        assert paged(size, pending=True) == [each.interaction_id for each in order if each.is_pending]


def fetch_or_fail(transport: StoreTransport, interaction_id: str) -> Interaction:
    found = transport.database.read_now(fetch_interaction, transport.site.site_id, interaction_id)
    assert found is not None
    return found


async def test_erasing_somebody_takes_what_agents_and_servers_said_of_them(
    stage: Stage, transport: StoreTransport
) -> None:
    ada = await comes_back(stage, "customer-ada-4711", "ada@analytical.example")
    bob = await comes_back(stage, "customer-bob-4712")
    report(transport, ada.visit, stage.now, 1)
    decide(transport, "customer-ada-4711", stage.now, 1)
    for number in (2, 4):
        report(transport, bob.visit, stage.now, number)
    decide(transport, "customer-ada-4711", stage.now, 2)
    report(transport, bob.visit, stage.now, 3, data={"callback": "ADA@analytical.example"})
    decide(transport, "customer-bob-4712", stage.now, 4)
    site_id = transport.site.site_id
    needles = (b"customer-ada-4711", b"ada@analytical.example")
    assert {table for table, _ in rows_naming(transport.database.read_now(rows_of), *needles)} >= {
        "interactions",
        "identities",
        "contacts",
        "user_identifications",
    }
    profile_id = transport.database.read_now(find_profile, site_id, "cid", "customer-ada-4711")
    erased = transport.database.transact(erase_profile, site_id, profile_id, transport.erasures, stage.now)
    assert erased["interactions"] == 3
    assert rows_naming(transport.database.read_now(rows_of), *needles) == []
    (left,) = transport.database.read_now(fetch_interactions, site_id, 10)
    assert left.decided_identity_id == "customer-bob-4712"
    assert standing_of(transport, bob.visit) == ("Recognized", "customer-bob-4712")


async def test_agents_and_visitors_at_the_same_time_end_in_what_all_of_them_said(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await comes_back(stage)
    database, site_id, visit = transport.database, transport.site.site_id, browser.visit
    calls = [report(transport, visit, stage.now, number).interaction_id for number in range(4)]
    browser.offline = True
    for act in ("bob", "x", "y"):
        await browser.informs(act)
    arrivals = [transport.arrival(browser.letter([event])) for event in browser.outbox]
    ids = transport.fresh_id
    answers = [(calls[n], said, stage.now + n) for n, said in enumerate([("ada",), (), ("bob",), ("carol",)])]
    await asyncio.gather(
        *(database.write(record_group, [each], stage.now, ids, transport.erasures, Memory()) for each in arrivals),
        *(database.write(decide_interaction, site_id, call, said, at) for call, said, at in answers),
    )
    assert standing_of(transport, visit) == ("Recognized", "carol")
    stored = database.read_now(visit_rows, site_id)
    database.transact(fold_again, site_id, visit)
    assert database.read_now(visit_rows, site_id) == stored
    assert {each.decided_identity_id for each in database.read_now(fetch_interactions, site_id, 9)} == {
        "ada", None, "bob", "carol",
    }  # fmt: skip


# ---- where somebody is ----


async def test_the_visit_that_goes_on_is_the_last_of_the_device_in_which_the_person_spoke(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await comes_back(stage)
    site_id = transport.site.site_id

    def current(uid: str, minutes: int = 0) -> tuple[str, float] | None:
        now = stage.now + minutes * 60_000
        found = transport.database.read_now(fetch_current, site_id, uid, now)
        return None if found is None else (found.standing.visit.visit_id, found.standing.confidence)

    assert current(browser.uid) == (browser.visit, 0.9)
    assert current(browser.uid, minutes=29) is not None
    assert current(browser.uid, minutes=30) is None, "silence ends a visit"
    first, uid = browser.visit, browser.uid
    await browser.resets()
    assert current(browser.uid) == (first, 0.0)
    stage.passes(minutes=1)
    browser.arrives()
    await browser.tracks()
    assert current(browser.uid) == (browser.visit, 0.0)
    assert current(uid) is None, "the next visit of the device ended the one in which they spoke"
    assert current(CALL) is None


@pytest.mark.parametrize(
    ("days", "other", "confidence"), [(1, None, 0.9), (31, None, 0.7), (1, "before", 0.54), (100, "before", 0.7)]
)
async def test_confidence_rests_on_who_signed_in_on_the_device(
    stage: Stage, transport: StoreTransport, days: int, other: str | None, confidence: float
) -> None:
    browser = stage.browser()
    if other:
        await browser.says("bob")
        await browser.resets()
        stage.passes(minutes=5)
    await browser.says("ada")
    stage.passes(days=days)
    browser.arrives()
    await browser.tracks()
    found = transport.database.read_now(fetch_current, transport.site.site_id, browser.uid, stage.now)
    assert found is not None
    assert (found.standing.visit.state, found.standing.confidence) == ("WM-Recognized", confidence)
    assert found.standing.needs_agent_validation


async def test_a_customer_known_from_elsewhere_is_less_certain(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    await browser.tracks()
    await transport.assert_from_server(browser.uid, "ada", None, stage.now)
    stage.passes(days=1)
    browser.arrives()
    await browser.tracks()
    found = transport.database.read_now(fetch_current, transport.site.site_id, browser.uid, stage.now)
    assert found is not None
    assert (found.standing.visit.state, found.standing.confidence) == ("WM-Recognized", 0.9)


async def test_a_profile_has_the_last_visit_of_all_its_leaves(stage: Stage, transport: StoreTransport) -> None:
    laptop, phone = stage.browser(), stage.browser()
    await laptop.says("ada")
    stage.passes(days=1)
    await phone.says("ada")
    await phone.signs_out()
    site_id = transport.site.site_id
    profile_id = transport.database.read_now(find_profile, site_id, "cid", "ada")
    found = transport.database.read_now(fetch_profile_standing, site_id, profile_id)
    assert found is not None
    assert found[1] is not None
    assert (found[1].visit.visit_id, found[1].confidence) == (phone.visit, 0.8)
    await laptop.tracks()
    found = transport.database.read_now(fetch_profile_standing, site_id, profile_id)
    assert found is not None
    assert found[1] is not None
    assert (found[1].visit.visit_id, found[1].confidence) == (laptop.visit, 1.0)


async def test_a_profile_that_only_a_server_named_is_in_no_visit(stage: Stage, transport: StoreTransport) -> None:
    uid = mint_uuid7(stage.now, stage.chance)
    await transport.assert_from_server(uid, "ada", None, stage.now)
    site_id = transport.site.site_id
    profile_id = transport.database.read_now(find_profile, site_id, "cid", "ada")
    found = transport.database.read_now(fetch_profile_standing, site_id, profile_id)
    assert found is not None
    assert found[1] is None
    assert transport.database.read_now(fetch_current, site_id, uid, stage.now) is None
    assert transport.database.read_now(fetch_profile_standing, site_id, CALL) is None


@only_on_sqlite  # the plans that PostgreSQL makes depend on how much is stored
async def test_every_look_up_is_served_by_an_index(
    stage: Stage, transport: StoreTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await comes_back(stage)
    report(transport, browser.visit, stage.now)
    site_id, plans = transport.site.site_id, {}

    def explain(conn: Connection) -> None:
        from sqlalchemy import event  # noqa: PLC0415

        from collector.store import prepared  # noqa: PLC0415

        def note(conn: Connection, text: str, values: Any) -> None:
            if text not in plans and not text.startswith("EXPLAIN"):
                rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                plans[text] = [row[3] for row in rows]

        execute = prepared._execute
        monkeypatch.setattr(
            prepared, "_execute", lambda c, text, values: (note(c, text, values), execute(c, text, values))[1]
        )
        event.listen(conn, "before_cursor_execute", lambda c, _cursor, text, values, *_: note(c, text, values))
        assert fetch_current(conn, site_id, browser.uid, stage.now) is not None
        profile_id = find_profile(conn, site_id, "cid", "ada")
        assert profile_id is not None
        assert fetch_last_standing(conn, site_id, [profile_id]) is not None
        for narrowed in ({}, {"visit_id": browser.visit}, {"pending": True}):
            for before in (None, (stage.now, CALL)):
                fetch_interactions(conn, site_id, 10, before, **narrowed)

    transport.database.transact(explain)
    assert len(plans) > 10
    poor = [f"{text}\n{plan}" for text, plan in plans.items() if any(_is_poor(step) for step in plan)]
    assert not poor, "\n".join(poor)
    pending = [plan for text, plan in plans.items() if "agent_decides" in text]
    assert all("interactions_pending" in step for plan in pending for step in plan), pending
    assert ["SEARCH interactions USING INDEX interactions_by_time (site_id=?)"] in plans.values(), "without sorting"


def _is_poor(step: str) -> bool:
    """Whether a step reads a whole table, or a whole site otherwise than in the order that lets it stop."""
    is_list = "interactions_by_time" in step or "interactions_pending" in step
    return step.startswith("SCAN") or (step.endswith("(site_id=?)") and not is_list)
