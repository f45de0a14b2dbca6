"""Replays from the quarantine: what is stored as if it arrived when it did, what stays, and that nothing gets lost."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace
from sqlalchemy import RowMapping, select

from collector.domain.event import EventCode, Rejection, Trust
from collector.domain.quarantine import Quarantined, Replayed
from collector.domain.site import SiteSettings
from collector.recorder.replay import replay, replay_alone
from collector.store import schema
from collector.store.people import erase_profile
from collector.store.quarantine import EVERYTHING, Refused, fetch_quarantine, fetch_quarantined, insert_quarantine
from collector.wire import native
from tests.stage import Browser, Stage
from tests.store_transport import StoreTransport, add_site

DAY_MS = 86_400_000
EMAIL = "ada.lovelace@analytical.example"


def kept(transport: StoreTransport) -> list[Quarantined]:
    """The rows of the quarantine, newest first, with what was sent."""
    rows = transport.database.read_now(fetch_quarantine, transport.site.site_id, EVERYTHING, 100)
    found = [transport.database.read_now(fetch_quarantined, transport.site.site_id, row.quarantine_id) for row in rows]
    return [row for row in found if row is not None]


def again(transport: StoreTransport, quarantine_id: int, at: int, corrected: bytes | None = None) -> Replayed | None:
    return transport.database.transact(
        replay, transport.site, quarantine_id, at, transport.fresh_id, transport.erasures, corrected
    )


def stored(transport: StoreTransport, event_id: str) -> RowMapping:
    query = select(schema.events).where(schema.events.c.event_id == event_id)
    return transport.database.read_now(lambda conn: conn.execute(query).mappings().one())


def count(transport: StoreTransport) -> int:
    return transport.database.read_now(lambda conn: len(conn.execute(select(schema.events.c.row_id)).all()))


async def refused_event(browser: Browser, **fields: Any) -> str:
    """An event of which `dims` is no object: refused; its id."""
    return await browser.tracks("product", "view", **{"dims": "red"} | fields)


def corrected(row: Quarantined, **fields: Any) -> bytes:
    assert row.raw is not None
    return orjson.dumps(orjson.loads(row.raw) | fields)


async def test_a_corrected_event_is_stored_as_if_it_arrived_when_it_did(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    await browser.says("ada-4711", EMAIL)
    event_id = await refused_event(browser)
    (row,) = kept(transport)
    assert (row.event_id, row.code, row.field, row.tries) == (event_id, "invalid_field", "dims", 0)
    received_at = stage.now
    stage.passes(days=3)
    done = again(transport, row.quarantine_id, stage.now, corrected(row, dims={"colour": "red"}))
    assert done == Replayed(row.quarantine_id, "stored")
    assert kept(transport) == []
    event = stored(transport, event_id)
    assert (event["received_at"], event["occurred_at"], event["warnings"]) == (received_at, received_at, None)
    assert orjson.loads(event["body"]) == {"dims": {"colour": "red"}}
    assert (await stage.person(cid="ada-4711")).events[event_id] == "product/view"


async def test_the_clock_of_its_device_is_judged_by_when_it_was_sent(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser(clock_off_ms=400 * DAY_MS)
    event_id = await refused_event(browser)
    occurred_at = stage.now
    (row,) = kept(transport)
    assert row.sent_at == occurred_at + 400 * DAY_MS
    stage.passes(days=3)
    again(transport, row.quarantine_id, stage.now, corrected(row, dims=None))
    event = stored(transport, event_id)
    assert (event["occurred_at"], event["tracked_at"]) == (occurred_at, occurred_at + 400 * DAY_MS)
    assert event["warnings"] == "clock_skew"


async def test_the_browser_is_the_one_that_sent_it(stage: Stage, transport: StoreTransport) -> None:
    """A UID seen for the first time joins the profile that its browser's cookie names (R3), in a replay too."""
    browser = stage.browser()
    await browser.says("ada-4711", EMAIL)
    browser.loses("script")
    event_id = await refused_event(browser)
    (row,) = kept(transport)
    again(transport, row.quarantine_id, stage.now, corrected(row, dims=None))
    assert event_id in (await stage.person(cid="ada-4711")).events


async def test_a_late_assertion_is_believed_as_it_was_sent(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    await browser.tracks()
    said = {"dims": {"customers": {"customer_id": "c-1"}}, "seq": -1}
    letter = browser.letter([browser.stamp("user", "identify", **said)])
    transport.record(transport.arrival(letter, Trust.SECRET_KEY))
    (row,) = kept(transport)
    assert (row.trust, row.field) == (Trust.SECRET_KEY, "seq")
    again(transport, row.quarantine_id, stage.now, corrected(row, seq=9))
    person = await stage.person(cid="c-1")
    assert len(person.events) == 2
    held = select(schema.identifiers.c.trust).where(schema.identifiers.c.value == "c-1")
    assert transport.database.read_now(lambda conn: conn.scalar(held)) == Trust.SECRET_KEY


async def test_a_bot_stays_a_bot(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    letter = browser.letter([browser.stamp("product", "view", dims=1)])
    transport.record(replace(transport.arrival(letter), bot=True))
    (row,) = kept(transport)
    again(transport, row.quarantine_id, stage.now, corrected(row, dims=None))
    event = stored(transport, letter.body["events"][0]["event_id"])
    assert (event["bot"], event["profile_id"]) == (True, None)


async def test_after_a_raised_limit_the_event_itself_is_enough(
    stage: Stage, transport: StoreTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = stage.browser()
    event_id = await browser.tracks(extra={"text": "x" * 40_000})
    (row,) = kept(transport)
    assert row.code == "event_too_large"
    assert again(transport, row.quarantine_id, stage.now) == Replayed(row.quarantine_id, "quarantined", row.code)
    monkeypatch.setattr(native, "MAX_EVENT_BYTES", 64 * 1024)
    assert again(transport, row.quarantine_id, stage.now) == Replayed(row.quarantine_id, "stored")
    assert len(orjson.loads(stored(transport, event_id)["body"])["extra"]["text"]) == 40_000


async def test_an_event_that_is_refused_again_stays_with_its_new_reason(
    stage: Stage, transport: StoreTransport
) -> None:
    await refused_event(stage.browser())
    (row,) = kept(transport)
    done = again(transport, row.quarantine_id, stage.now, corrected(row, dims={}, uid="nonsense"))
    assert done == Replayed(row.quarantine_id, "quarantined", "malformed_id", "uid")
    (now,) = kept(transport)
    assert (now.quarantine_id, now.code, now.field, now.tries) == (row.quarantine_id, "malformed_id", "uid", 1)
    assert now.raw == row.raw, "what came is the evidence"
    assert again(transport, row.quarantine_id, stage.now) == Replayed(
        row.quarantine_id, "quarantined", row.code, "dims"
    )
    assert kept(transport)[0].tries == 2
    assert count(transport) == 0


async def test_an_event_that_is_stored_by_now_is_a_duplicate_and_gone(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    event_id = await refused_event(browser)
    (row,) = kept(transport)
    fixed = corrected(row, dims=None)
    await browser.delivers(browser.letter([orjson.loads(fixed)]))
    assert again(transport, row.quarantine_id, stage.now, fixed) == Replayed(
        row.quarantine_id, "duplicate", "duplicate"
    )
    assert kept(transport) == []
    assert stored(transport, event_id)["event_id"] == event_id


async def test_a_conflict_stays_a_conflict_until_it_gets_an_id_of_its_own(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    event_id = await browser.tracks()
    await browser.tracks(event_id=event_id, title="another")
    (row,) = kept(transport)
    assert row.code == "id_conflict"
    conflict = Replayed(row.quarantine_id, "quarantined", "id_conflict", "event_id")
    assert again(transport, row.quarantine_id, stage.now) == conflict
    assert [(one.quarantine_id, one.tries) for one in kept(transport)] == [(row.quarantine_id, 1)]
    fresh = transport.fresh_id()
    done = again(transport, row.quarantine_id, stage.now, corrected(row, event_id=fresh))
    assert done == Replayed(row.quarantine_id, "stored")
    assert stored(transport, fresh)["tracked_at"] == orjson.loads(row.raw or b"")["at"]


async def test_what_the_database_refuses_stays_and_says_so(stage: Stage, transport: StoreTransport) -> None:
    def refuse(conn: Any) -> None:
        conn.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON events WHEN new.action = 'no' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    if transport.database.read_now(lambda conn: conn.dialect.name) != "sqlite":
        pytest.skip("the trigger is SQLite's")
    transport.database.transact(refuse)
    await stage.browser().tracks("product", "no", dims=1)
    (row,) = kept(transport)
    database, site = transport.database, transport.site
    done = await replay_alone(
        database, site, row.quarantine_id, stage.now, transport.fresh_id, transport.erasures, corrected(row, dims=None)
    )
    assert done == Replayed(row.quarantine_id, "quarantined", "storage_rejected")
    assert [(one.code, one.tries) for one in kept(transport)] == [("storage_rejected", 1)]
    assert count(transport) == 0


@pytest.mark.parametrize("site_settings", [SiteSettings(purchases_assert=True)])
async def test_the_settings_of_now_count(stage: Stage, transport: StoreTransport) -> None:
    await stage.browser().tracks("order", "paid", dims={"customers": {"customer_id": "c-9"}}, seq="first")
    (row,) = kept(transport)
    again(transport, row.quarantine_id, stage.now, corrected(row, seq=1))
    await stage.person(cid="c-9")


async def test_an_erased_person_does_not_come_back_by_a_replay(stage: Stage, transport: StoreTransport) -> None:
    """The row is put there after the erasure, as one that came while the erasure ran."""
    browser = stage.browser()
    await browser.says("ada-4711", EMAIL)
    await refused_event(browser)
    (row,) = kept(transport)
    person = await stage.person(cid="ada-4711")
    stage.passes(minutes=1)
    transport.database.transact(erase_profile, 1, person.profile_id, transport.erasures, stage.now)
    assert kept(transport) == [], "erased like everything else"
    somebody = {"customers": {"email": EMAIL}}
    for raw in (
        row.raw or b"",
        corrected(row, dims=None),
        corrected(row, dims=somebody, category="user", action="identify", uid=None),
    ):
        refused = Refused(row.code, row.field, raw, row.event_id, row.sent_at, row.device_id)
        transport.database.transact(insert_quarantine, 1, row.received_at, [refused])
        (late,) = kept(transport)
        assert again(transport, late.quarantine_id, stage.now) == Replayed(late.quarantine_id, "suppressed", "erased")
        assert kept(transport) == []
    assert count(transport) == 0


async def test_a_request_that_was_no_json_becomes_its_events_once_it_is_corrected(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = stage.browser()
    good, bad = browser.stamp("product", "view"), browser.stamp("cart", "add", dims=7)
    refused = Refused("malformed_json", "", b'{"events":[', device_id=transport.fresh_id())
    transport.database.transact(insert_quarantine, 1, stage.now, [refused])
    (row,) = kept(transport)
    assert again(transport, row.quarantine_id, stage.now) == Replayed(row.quarantine_id, "unreadable", "malformed_json")
    assert kept(transport) == [row]
    body = orjson.dumps({"sent_at": stage.now, "events": [good, bad]})
    done = again(transport, row.quarantine_id, stage.now + DAY_MS, body)
    assert done is not None
    assert dict(done.counts) == {"stored": 1, "duplicate": 0, "suppressed": 0, "quarantined": 1}
    assert stored(transport, good["event_id"])["received_at"] == stage.now
    (now,) = kept(transport)
    assert (now.code, now.event_id, now.device_id) == ("invalid_field", bad["event_id"], row.device_id)
    assert now.quarantine_id > row.quarantine_id


@pytest.mark.parametrize("raw", [b'{"a":1},{"b":2}', b'{"event_id":"', b"7", b"", b"null]}", b"\xff"])
async def test_a_piece_of_text_does_not_become_several_events(transport: StoreTransport, raw: bytes) -> None:
    transport.database.transact(insert_quarantine, 1, 1_000, [Refused("event_too_large", "", raw)])
    (row,) = kept(transport)
    assert again(transport, row.quarantine_id, 2_000) == Replayed(row.quarantine_id, "unreadable", "malformed_json")
    assert kept(transport) == [row]


async def test_ids_of_rows_are_never_used_again_and_other_sites_rows_are_not_touched(
    stage: Stage, transport: StoreTransport
) -> None:
    await refused_event(stage.browser())
    (row,) = kept(transport)
    other = StoreTransport(transport.database, add_site(transport.database, "other"), transport.fresh_id)
    assert again(other, row.quarantine_id, stage.now, corrected(row, dims=None)) is None
    again(transport, row.quarantine_id, stage.now, corrected(row, dims=None))
    assert again(transport, row.quarantine_id, stage.now) is None
    await refused_event(stage.browser())
    assert kept(transport)[0].quarantine_id > row.quarantine_id


async def test_a_rejection_keeps_what_recording_it_later_needs(stage: Stage, transport: StoreTransport) -> None:
    browser = stage.browser()
    await browser.tracks()
    arrival = transport.arrival(browser.letter([browser.stamp("product", "view")]))
    rejection = Rejection(1, EventCode.INVALID_FIELD, "dims", b"{}")
    arrival = replace(arrival, contact_id=browser.contact_cookie, rejections=(rejection,), sent_at=17)
    transport.record(arrival)
    (row,) = kept(transport)
    assert (row.device_id, row.contact_id, row.sent_at) == (arrival.device_id, browser.contact_cookie, 17)
