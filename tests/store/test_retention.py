"""What is older than a site keeps it goes, in slices; what is newer, and who people are, stays as it was."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select

from collector.domain.event import Arrival, Trust
from collector.domain.retention import KEPT_UNTIL
from collector.domain.site import Site, SiteSettings
from collector.store import schema
from collector.store.consents import Consent, insert_consent
from collector.store.database import Database
from collector.store.events import fetch_last_row_id
from collector.store.retention import begin_purge, claim_purge, purge_slice
from tests.stage import DAY_MS, Browser, Stage, mint_uuid7
from tests.store.engines import only_on_sqlite
from tests.store.purging import count, fetch_rows, purge, slices, what_is_left
from tests.store_transport import StoreTransport, add_site

MONTH = SiteSettings(retention_days=30)


@pytest.fixture
def site_settings() -> SiteSettings:
    return MONTH


def assert_left(database: Database, site: Site, expected: dict[str, list[dict[str, object]]], context: object) -> None:
    found = fetch_rows(database, site.site_id)
    for table, rows in expected.items():
        assert sorted(map(repr, found[table])) == sorted(map(repr, rows)), (table, context)


async def act(stage: Stage, browsers: list[Browser], transport: StoreTransport) -> None:
    """One thing that somebody does."""
    chance, browser = stage.chance, stage.chance.choice(browsers)
    if chance.random() < 0.3:
        browser.arrives()
    if browser.outbox and chance.random() < 0.3:
        browser.offline = False
        await browser.sends()
    if chance.random() < 0.6:
        await speak(chance, browser, transport, chance.choice(["ada", "bob", "carol"]))
    elif chance.random() < 0.1:
        browser.offline = True
    elif chance.random() < 0.2:
        browser.loses(*chance.choice([(), ("script",), ("contact",), ("device", "script")]))
    else:
        await browser.tracks()


async def speak(chance: random.Random, browser: Browser, transport: StoreTransport, person: str) -> None:
    """Something about a person is said."""
    match chance.randrange(7):
        case 0 | 1:
            await browser.says(person, f"{person}@example.com" if chance.random() < 0.7 else None, first_name=person)
        case 2:
            await browser.submits(f"{person}@example.com", first_name=person)
        case 3:
            await browser.informs(person)
        case 4:
            await browser.resets()
        case 5:
            await browser.signs_out()
        case _:
            uid = chance.choice([browser.uid, mint_uuid7(browser.clock, chance)])
            said = chance.choice([(person, None), (None, f"{person}@example.com")])
            await transport.assert_from_server(uid, *said, browser.stage.now)


@pytest.mark.parametrize("seed", range(12))
async def test_exactly_what_is_old_goes_whatever_happened(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    kept = chance.choice([1, 3, 10])
    here = StoreTransport(database, add_site(database, "here", SiteSettings(retention_days=kept)))
    there = StoreTransport(database, add_site(database, "there", SiteSettings(retention_days=2)))
    stages = Stage(here, seed), Stage(there, seed + 100)
    casts = [[stage.browser() for _ in range(5)] for stage in stages]
    for _ in range(120):
        stage, cast = chance.choice(list(zip(stages, casts, strict=True)))
        stages[0].now = stages[1].now = max(each.now for each in stages) + chance.randrange(DAY_MS // 4)
        await act(stage, cast, stage.transport)
    now = max(stage.now for stage in stages)
    beside = fetch_rows(database, there.site.site_id)
    expected = what_is_left(fetch_rows(database, here.site.site_id), now - kept * DAY_MS)
    counted = count(database, here.site, now, chance.randrange(1, 40))
    for _ in itertools.islice(slices(database, here.site, now, chance.randrange(1, 10)), chance.randrange(8)):
        pass  # cut off there, and begun again
    again = count(database, here.site, now)
    gone = purge(database, here.site, now, chance.randrange(1, 40))
    assert gone == again, f"seed {seed}"
    assert counted["events"] >= gone["events"]
    assert_left(database, here.site, expected, f"seed {seed}")
    assert fetch_rows(database, there.site.site_id) == beside
    assert purge(database, here.site, now) == Counter()
    for cast, stage in zip(casts, stages, strict=True):
        for browser in cast:  # everybody can come back
            browser.offline = False
            await browser.tracks()
            assert (await stage.look(uid=browser.uid)) is not None


async def test_a_dry_run_counts_what_then_goes_and_changes_nothing(stage: Stage, transport: StoreTransport) -> None:
    for _ in range(3):
        browser = stage.browser()
        await browser.tracks()
        await browser.informs("ada")
    await transport.assert_from_server(mint_uuid7(stage.now, stage.chance), None, "bob@example.com", stage.now)
    transport.database.transact(
        insert_consent, transport.site.site_id, Consent(browser.uid, "granted", stage.now, stage.now)
    )
    stage.passes(days=31)
    before = fetch_rows(transport.database, transport.site.site_id)
    counted = count(transport.database, transport.site, stage.now)
    assert fetch_rows(transport.database, transport.site.site_id) == before
    assert counted == purge(transport.database, transport.site, stage.now)
    assert counted["events"] == 7
    assert (counted["visits"], counted["identities"], counted["profiles"], counted["consents"]) == (3, 2, 3, 1)


async def test_a_site_that_keeps_everything_is_left_alone(database: Database) -> None:
    transport = StoreTransport(database, add_site(database, "for ever"))
    stage = Stage(transport)
    await stage.browser().tracks()
    stage.passes(days=30_000)
    assert database.transact(begin_purge, transport.site, stage.now) is None


async def test_a_returning_customer_is_recognised_by_uid_and_by_cookie(stage: Stage) -> None:
    browser, other = stage.browser(), stage.browser()
    await browser.tracks()
    await browser.says("ada", "ada@example.com", first_name="Ada")
    await other.says("ada")
    ada = await stage.person(cid="ada")
    stage.passes(days=40)
    purge_now(stage)
    assert (await stage.person(cid="ada")).events == {}
    browser.arrives()
    await browser.tracks()
    other.loses("script")
    other.arrives()
    await other.tracks()
    back = await stage.person(uid=browser.uid)
    assert (back.profile_id, back.traits, len(back.events)) == (ada.profile_id, {"first_name": "Ada"}, 2)
    assert (await stage.transport.look_at_visit(browser.visit))[0] == "WM-Recognized"


def purge_now(stage: Stage) -> Counter[str]:
    transport = stage.transport
    assert isinstance(transport, StoreTransport)
    return purge(transport.database, transport.site, stage.now)


async def test_an_anonymous_visitor_who_stayed_away_is_unknown_and_greeted_anew(stage: Stage) -> None:
    browser = stage.browser()
    await browser.tracks()
    before = await stage.person(uid=browser.uid)
    stage.passes(days=31)
    purge_now(stage)
    assert await stage.look(uid=browser.uid) is None
    browser.arrives()
    await browser.tracks()
    after = await stage.person(uid=browser.uid)
    assert after.profile_id != before.profile_id
    assert await browser.is_known_as() == after.profile_id
    await browser.says("ada")
    assert (await stage.person(cid="ada")).profile_id == after.profile_id


async def test_a_uid_that_comes_late_is_still_back_filled_by_an_assertion_that_went(stage: Stage) -> None:
    browser = stage.browser()
    await browser.tracks()
    browser.loses("script", "contact")
    early = browser.stamp("product", "view")  # of a second UID, and kept until much later
    browser.loses("script")
    await browser.says("ada")
    stage.passes(days=40)
    purge_now(stage)
    browser.outbox = [early]
    await browser.sends()
    assert early["uid"] in (await stage.person(cid="ada")).uids


async def test_a_person_is_erased_after_a_purge_and_stays_erased(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    await browser.tracks()
    await browser.says("ada", "ada@example.com", first_name="Ada")
    stage.passes(days=31)
    purge_now(stage)
    await transport.erase((await stage.person(cid="ada")).profile_id, stage.now)
    rows = fetch_rows(transport.database, transport.site.site_id)
    assert not {table for table, found in rows.items() if found} - {"tombstones"}
    await browser.tracks()
    assert browser.last_answer is not None
    assert browser.last_answer.suppressed == 1


async def test_a_late_event_of_a_visit_that_went_begins_it_anew(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    await browser.says("ada")
    stage.passes(days=31)
    purge_now(stage)
    await browser.tracks()
    rows = fetch_rows(transport.database, transport.site.site_id)
    assert [row["visit_id"] for row in rows["visits"]] == [browser.visit]
    assert [row["visit_id"] for row in rows["visit_profiles"]] == [browser.visit]


async def test_a_visit_stays_as_long_as_an_event_of_it_that_came_late(stage: Stage) -> None:
    browser = stage.browser()
    await browser.tracks()
    late = browser.stamp("product", "view")
    stage.passes(days=10)
    browser.outbox = [late]
    await browser.sends()
    stage.passes(days=21)
    assert purge_now(stage) == Counter(events=1)
    assert list((await stage.person(uid=browser.uid)).events) == [late["event_id"]]


async def test_a_visit_stays_until_its_last_event_is_old_by_the_clock_of_its_browser_too(stage: Stage) -> None:
    browser = stage.browser()
    ahead = browser.stamp("product", "view")
    ahead["at"] += 4 * 60_000
    browser.outbox = [ahead]
    await browser.sends()
    stage.passes(days=30, minutes=2)
    assert purge_now(stage) == Counter(events=1)
    stage.passes(minutes=3)
    assert purge_now(stage)["visits"] == 1


async def test_an_anonymous_profile_stays_that_an_operator_keeps_apart(stage: Stage, transport: StoreTransport) -> None:
    phone, laptop = stage.browser(), stage.browser()
    await phone.says("ada")
    await laptop.tracks()
    await laptop.says("ada")
    (merge,) = await transport.journal()
    await transport.unmerge(merge["merge_id"])
    apart = (await stage.person(uid=laptop.uid)).profile_id
    stage.passes(days=31)
    purge_now(stage)
    assert (await stage.person(uid=laptop.uid)).profile_id == apart
    await laptop.says("ada")
    assert apart not in (await stage.person(cid="ada")).merged


async def test_an_anonymous_profile_stays_as_long_as_an_event_of_it_that_a_server_sent(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    await browser.tracks()
    known = await stage.person(uid=browser.uid)
    stage.passes(days=10)
    told = browser.stamp("order", "paid")
    del told["visit"]
    transport.record(transport.arrival(browser.letter([told]), Trust.SECRET_KEY))
    stage.passes(days=21)
    assert count(transport.database, transport.site, stage.now) == purge_now(stage)
    assert (await stage.person(uid=browser.uid)).profile_id == known.profile_id
    stage.passes(days=10)
    assert purge_now(stage)["profiles"] == 1


async def test_late_events_of_somebody_erased_do_not_become_those_of_the_next_on_the_uid(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    await browser.says("ada")
    first, second = (browser.stamp("product", "view") for _ in range(2))
    await browser.says("bob")
    await transport.erase((await stage.person(cid="ada")).profile_id, stage.now)
    await browser.delivers(browser.letter([first]))
    stage.passes(days=31)
    assert count(transport.database, transport.site, stage.now) == purge_now(stage)
    assert (await stage.person(uid=browser.uid)).cid == "bob"
    await browser.delivers(browser.letter([second]))
    bob = await stage.person(cid="bob")
    assert second["event_id"] not in bob.events


async def test_the_id_of_an_event_that_went_can_be_stored_again(stage: Stage) -> None:
    browser = stage.browser()
    await browser.tracks()
    letter = browser.last_letter
    assert letter is not None
    assert (await browser.delivers(letter)).duplicate == 1
    stage.passes(days=31)
    purge_now(stage)
    assert (await browser.delivers(letter)).accepted == 1


async def test_a_visit_stays_as_long_as_an_interaction_about_it_is_young(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    await browser.says("ada")
    stage.passes(days=31)
    told = {
        "site_id": transport.site.site_id,
        "interaction_id": mint_uuid7(stage.now, stage.chance),
        "visit_id": browser.visit,
        "created_at": stage.now - DAY_MS,
        "state": "Authenticated",
        "identification": "identified",
        "confidence": 100,
        "body": "{}",
    }
    transport.database.transact(lambda conn: conn.execute(insert(schema.interactions), told))
    assert count(transport.database, transport.site, stage.now) == purge_now(stage) == Counter(events=1)
    stage.passes(days=30)
    gone = purge_now(stage)
    assert (gone["visits"], gone["interactions"], gone["sessions"]) == (1, 1, 1)


async def test_where_a_site_has_got_is_not_read_again(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    for _ in range(5):
        await browser.tracks()
    last = transport.database.read_now(fetch_last_row_id)
    stage.passes(days=31)
    await browser.tracks()
    purge_now(stage)
    place = transport.database.transact(begin_purge, transport.site, stage.now)
    assert place is not None
    assert place.after == last


@only_on_sqlite
@pytest.mark.parametrize("more", [2, 9])
async def test_row_ids_that_sqlite_gives_again_are_not_passed_over(
    stage: Stage, transport: StoreTransport, more: int
) -> None:
    browser = stage.browser()
    for _ in range(5):
        await browser.tracks()
    stage.passes(days=31)
    purge_now(stage)
    for _ in range(more):
        await browser.tracks()
    assert transport.database.read_now(fetch_last_row_id) == more
    stage.passes(days=31)
    assert purge_now(stage)["events"] == more


async def test_each_slice_is_small_and_groups_commit_between_slices(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    for _ in range(20):
        await browser.tracks()
    stage.passes(days=31)
    database, seen = transport.database, []
    newcomer = stage.browser()
    for gone in slices(database, transport.site, stage.now, 4):
        await newcomer.tracks()  # a group of its own: nothing is open between two slices
        seen.append(gone["events"])
        stored = database.read_now(lambda conn: len(conn.execute(select(schema.events.c.row_id)).all()))
        assert stored == 20 - sum(seen) + len(seen)
    assert seen[:6] == [4, 4, 4, 4, 4, 0]


async def test_a_slice_that_fails_leaves_everything_as_it_was(stage: Stage, transport: StoreTransport) -> None:
    await stage.browser().says("ada")
    stage.passes(days=31)
    database, before = transport.database, fetch_rows(transport.database, transport.site.site_id)
    place = database.transact(begin_purge, transport.site, stage.now)

    def cut_off(conn: object) -> None:
        purge_slice(conn, place, 10)  # type: ignore[arg-type]
        raise KeyError

    with pytest.raises(KeyError):
        database.transact(cut_off)
    assert fetch_rows(database, transport.site.site_id) == before
    assert purge_now(stage)["events"] == 1


async def test_events_of_nobody_go_too(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    browser.offline = True
    await browser.tracks()
    bot = transport.arrival(browser.letter(browser.outbox))
    transport.record(Arrival(bot.site, bot.received_at, bot.device_id, None, bot.events, bot.indexes, bot=True))
    stage.passes(days=31)
    assert purge_now(stage) == Counter(events=1)


async def test_merges_are_explained_and_undone_after_a_purge(stage: Stage, transport: StoreTransport) -> None:
    phone, laptop = stage.browser(), stage.browser()
    await phone.says("ada")
    await laptop.tracks()
    await laptop.says("ada")
    (merge,) = await transport.journal()
    stage.passes(days=31)
    purge_now(stage)
    assert (await transport.read((await stage.person(cid="ada")).profile_id))["explain"]
    assert (await transport.unmerge(merge["merge_id"])).document
    assert (await stage.person(uid=phone.uid)).profile_id != (await stage.person(uid=laptop.uid)).profile_id


def test_one_collector_of_several_purges_within_the_hour(database: Database) -> None:
    assert database.transact(claim_purge, 10_000_000, 1000)
    assert not database.transact(claim_purge, 10_000_500, 1000)
    assert database.transact(claim_purge, 10_001_000, 1000)
    assert database.transact(claim_purge, 5_000, 1000)  # the clock was set back


def test_it_is_said_of_every_table_how_long_its_rows_are_kept() -> None:
    assert set(KEPT_UNTIL) == {table.name for table in schema.metadata.sorted_tables}


@only_on_sqlite
async def test_no_statement_of_a_purge_reads_a_whole_table_or_site(stage: Stage, transport: StoreTransport) -> None:
    for _ in range(2):
        await stage.browser().says("ada")
        await stage.browser().tracks()
    await transport.assert_from_server(mint_uuid7(stage.now, stage.chance), None, "bob@example.com", stage.now)
    stage.passes(days=31)
    plans: dict[str, list[str]] = {}

    def explain(_conn: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "DELETE", "UPDATE")):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans[statement] = [row[3] for row in cursor.fetchall()]

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        counted = count(transport.database, transport.site, stage.now)
        assert purge_now(stage) == counted
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert len(plans) > 20
    poor = {
        statement: plan
        for statement, plan in plans.items()
        for step in plan
        if (step.startswith("SCAN") and "CONSTANT" not in step) or step.endswith("(site_id=?)")
    }
    assert not poor, "\n\n".join(f"{statement}\n{plan}" for statement, plan in poor.items())
