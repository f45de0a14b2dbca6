"""R16: after an erasure nothing of the person is in any table or file, everybody else is as before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from collector.store import database as database_module
from collector.store import schema
from collector.store.database import Database
from collector.store.migrate import migrate
from collector.store.people import erase_profile, find_profile
from collector.store.quarantine import Refused, insert_quarantine
from collector.store.schema import id_bytes
from tests.stage import Browser, Stage
from tests.store.engines import only_on_sqlite
from tests.store_transport import StoreTransport, add_site

ADA, ADA_EMAIL = "customer-ada-4711", "ada.lovelace@analytical.example"
BOB, BOB_EMAIL = "customer-bob-4712", "bob.babbage@difference.example"

Row = tuple[object, ...]


def rows_of(conn: Connection) -> dict[str, list[Row]]:
    """Every row of every table as the driver gives it: ids are bytes."""
    tables = schema.metadata.sorted_tables
    return {table.name: [tuple(row) for row in conn.exec_driver_sql(f"SELECT * FROM {table.name}")] for table in tables}


def rows_naming(rows: dict[str, list[Row]], *needles: bytes) -> list[tuple[str, Row]]:
    """The rows in which any of `needles` occurs, in any case."""

    def text_of(value: object) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()

    return [
        (table, row)
        for table, its_rows in rows.items()
        for row in its_rows
        for needle in needles
        if any(needle.lower() in text_of(value).lower() for value in row)
    ]


def traces_of(transport: StoreTransport, uids: set[str]) -> list[bytes]:
    """What may not be found any more: identifiers, UIDs and the profiles that they speak for."""
    bound = select(schema.bindings.c.profile_id).where(schema.bindings.c.uid.in_(uids))
    leaves = transport.database.read_now(lambda conn: list(conn.scalars(bound)))
    return [ADA.encode(), ADA_EMAIL.encode(), *(id_bytes(value) for value in [*uids, *leaves])]


async def ada_lives(stage: Stage) -> Browser:
    """Ada is anonymous, loses her cookie, signs up, claims another e-mail, submits a form, and has a second browser."""
    browser = stage.browser()
    await browser.tracks()
    browser.loses("script", "contact")
    await browser.tracks(title=f"Hello {ADA_EMAIL.upper()}")
    await browser.says(ADA, ADA_EMAIL, action="sign_up", first_name="Ada")
    await browser.says(ADA, "ada.claims@analytical.example")
    phone = stage.browser()
    await phone.tracks()
    await phone.submits(ADA_EMAIL, city="London")
    await phone.signs_out()
    return browser


async def bob_lives(stage: Stage, browser: Browser | None = None) -> Browser:
    browser = browser or stage.browser()
    await browser.says(BOB, BOB_EMAIL, city="Totnes")
    await browser.tracks()
    return browser


def erase(transport: StoreTransport, at: int, cid: str = ADA) -> dict[str, int]:
    """Erase whoever has `cid`; the counts."""
    site_id = transport.site.site_id
    profile_id = transport.database.read_now(find_profile, site_id, "cid", cid)
    assert profile_id is not None
    erased = transport.database.transact(erase_profile, site_id, profile_id, transport.erasures, at)
    assert erased is not None
    return erased


async def test_no_row_of_the_person_remains_in_any_table(stage: Stage, transport: StoreTransport) -> None:
    browser = await ada_lives(stage)
    await bob_lives(stage)
    uids = set((await stage.person(cid=ADA)).uids)
    assert len(uids) == 3
    raw = f'{{"email":"{ADA_EMAIL.upper()}"}}'.encode()
    transport.database.transact(insert_quarantine, 1, stage.now, [Refused("too_deep", "", raw)])
    traces = traces_of(transport, uids)
    assert {table for table, _ in rows_naming(transport.database.read_now(rows_of), *traces)} >= {
        "bindings", "claims", "devices", "events", "identifiers", "merges", "profiles", "quarantine", "sessions",
        "traits", "uids", "user_identifications",
    }  # fmt: skip

    erased = erase(transport, stage.now)

    assert rows_naming(transport.database.read_now(rows_of), *traces) == []
    assert erased["profiles"] == 3
    assert erased["quarantine"] == 1
    assert await stage.look(uid=browser.uid) is None


async def test_everybody_else_is_as_before(stage: Stage, transport: StoreTransport) -> None:
    await bob_lives(stage)
    before = transport.database.read_now(rows_of)
    await ada_lives(stage)
    erase(transport, stage.now)
    after = transport.database.read_now(rows_of)
    assert after.pop("tombstones")
    assert before.pop("tombstones") == []
    assert after == before


async def test_whoever_shares_the_uid_keeps_it_and_does_not_inherit_what_comes_late(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await ada_lives(stage)
    late = browser.letter([browser.stamp("product", "view")])
    await bob_lives(stage, browser)
    erase(transport, stage.now)
    bob = await stage.person(cid=BOB)
    seen = await browser.tracks("page", "view")
    await browser.delivers(late)
    assert browser.last_answer is not None
    assert browser.last_answer.accepted == 1
    assert set((await stage.person(cid=BOB)).events) == {*bob.events, seen}


async def test_whoever_shares_the_device_keeps_it(stage: Stage, transport: StoreTransport) -> None:
    browser = await ada_lives(stage)
    await browser.resets()
    await bob_lives(stage, browser)
    bob = await stage.person(cid=BOB)
    erased = erase(transport, stage.now)
    assert await stage.person(cid=BOB) == bob
    assert erased["devices"] == 1  # the phone
    await browser.tracks("page", "view")
    assert browser.last_answer is not None
    assert browser.last_answer.accepted == 1
    assert await browser.is_known_as() == bob.profile_id


async def test_an_old_event_that_is_sent_again_is_suppressed(stage: Stage, transport: StoreTransport) -> None:
    browser = await ada_lives(stage)
    letter = browser.last_letter
    assert letter is not None
    late = stage.browser()
    late.offline = True
    await late.says(ADA, ADA_EMAIL)  # occurs before the erasure, arrives after it
    stage.passes(minutes=1)
    erase(transport, stage.now)
    assert (await browser.delivers(letter)).suppressed == 1
    assert (await late.sends()).suppressed == 1
    assert await stage.look(cid=ADA) is None
    needles = (ADA.encode(), ADA_EMAIL.encode())
    assert rows_naming(transport.database.read_now(rows_of), *needles) == []


async def test_an_erased_uid_stays_silent_and_an_honest_return_starts_anew(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await ada_lives(stage)
    before = await stage.person(cid=ADA)
    erase(transport, stage.now)
    stage.passes(days=1)
    await browser.tracks()
    assert browser.last_answer is not None
    assert browser.last_answer.suppressed == 1
    newcomer = stage.browser()
    await newcomer.says(ADA, ADA_EMAIL)
    anew = await stage.person(cid=ADA)
    assert anew.profile_id != before.profile_id
    assert list(anew.events.values()) == ["user/sign_in"]


async def test_erasing_somebody_unknown_changes_nothing(stage: Stage, transport: StoreTransport) -> None:
    await bob_lives(stage)
    before = transport.database.read_now(rows_of)
    nobody = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert transport.database.transact(erase_profile, 1, nobody, transport.erasures, stage.now) is None
    assert transport.database.read_now(rows_of) == before


async def test_a_site_erases_its_own_people_only(stage: Stage, transport: StoreTransport) -> None:
    other = Stage(StoreTransport(transport.database, add_site(transport.database, "other"), transport.fresh_id))
    await ada_lives(other)
    kept = await other.person(cid=ADA)
    await ada_lives(stage)
    erase(transport, stage.now)
    assert await other.person(cid=ADA) == kept


# ---- bytes in files ----


def files_holding(path: Path, needle: str) -> list[str]:
    """The files of the database in which `needle` occurs, in any case."""
    return sorted(
        file.name for file in path.parent.glob(f"{path.name}*") if needle.lower().encode() in file.read_bytes().lower()
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StoreTransport]:
    """A database that waits for readers no longer than 10 ms."""
    monkeypatch.setattr(database_module, "WRITER_PRAGMAS", (*database_module.WRITER_PRAGMAS, "busy_timeout=10"))
    database = Database(f"sqlite:///{tmp_path / 'impatient.db'}")
    migrate(database)
    yield StoreTransport(database, add_site(database, "shop"))
    database.close_now()


@only_on_sqlite
async def test_the_bytes_leave_the_file_and_its_log(stage: Stage, transport: StoreTransport) -> None:
    path = transport.database.path
    await ada_lives(stage)
    await bob_lives(stage)
    assert f"{path.name}-wal" in files_holding(path, ADA_EMAIL)
    erase(transport, stage.now)
    assert files_holding(path, ADA_EMAIL) != [], "without a scrub the bytes remain"
    assert transport.database.scrub_now()
    assert [name for trace in (ADA, ADA_EMAIL, "ada.claims@") for name in files_holding(path, trace)] == []
    assert files_holding(path, BOB_EMAIL) == [path.name]
    await stage.person(cid=BOB)


async def test_a_reader_that_will_not_end_is_reported_and_the_next_scrub_finishes(impatient: StoreTransport) -> None:
    stage = Stage(impatient)
    await ada_lives(stage)
    path = impatient.database.path
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone()[0] > 0
    erase(impatient, stage.now)
    assert not impatient.database.scrub_now()
    reader.close()
    assert impatient.database.scrub_now()
    assert files_holding(path, ADA_EMAIL) == []


@only_on_sqlite
async def test_recording_goes_on_after_a_scrub_by_another_process(stage: Stage, transport: StoreTransport) -> None:
    browser = await bob_lives(stage)
    await ada_lives(stage)
    command = Database(f"sqlite:///{transport.database.path}")
    command.transact(erase_profile, 1, (await stage.person(cid=ADA)).profile_id, transport.erasures, stage.now)
    assert command.scrub_now()
    command.close_now()
    await browser.tracks("cart", "add")
    assert "cart/add" in (await stage.person(cid=BOB)).events.values()
    assert files_holding(transport.database.path, ADA_EMAIL) == []
