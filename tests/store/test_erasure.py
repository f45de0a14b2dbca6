"""R16: after an erasure nothing of the person is in any table or file, everybody else is as before."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select

from collector.store import schema
from collector.store import sqlite as sqlite_module
from collector.store.consents import Consent
from collector.store.database import Database
from collector.store.erasure import record_consent
from collector.store.migrate import migrate
from collector.store.people import erase_profile, fetch_explanation, find_profile
from collector.store.quarantine import Refused, insert_quarantine
from collector.store.schema import id_bytes
from tests.databases import new_database
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


async def test_a_repeat_is_told_to_be_one_although_it_names_somebody_erased(
    stage: Stage, transport: StoreTransport
) -> None:
    """An operator took the two apart, so what the laptop said is not hers."""
    phone, laptop = stage.browser(), stage.browser()
    await phone.submits(ADA_EMAIL)
    await laptop.says(BOB)
    await laptop.submits(ADA_EMAIL)
    said = laptop.last_letter
    assert said is not None
    [merge] = await transport.journal()
    await transport.unmerge(merge["merge_id"])
    stage.passes(minutes=1)
    await transport.erase(await phone.is_known_as(), stage.now)
    transport.memory.wary = 0  # nobody looks whether it is stored before it is inserted
    answer = await laptop.delivers(said)
    assert (answer.duplicate, answer.suppressed) == (1, 0)


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


async def test_the_device_cookie_of_somebody_erased_is_not_taken_up_again(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await ada_lives(stage)
    old = browser.device_cookie
    erase(transport, stage.now)
    stage.passes(days=1)
    browser.loses("script", "contact")
    await browser.tracks()
    assert browser.last_answer is not None
    assert browser.last_answer.accepted == 1
    assert old is not None
    assert browser.device_cookie not in (None, old)
    anew = browser.device_cookie
    await browser.tracks()
    assert browser.device_cookie == anew


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
    monkeypatch.setattr(sqlite_module, "WRITER_PRAGMAS", (*sqlite_module.WRITER_PRAGMAS, "busy_timeout=10"))
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


@pytest.mark.parametrize("forgets", [True, False], ids=["as it is", "without secure_delete"])
async def test_the_bytes_leave_every_page_although_the_file_is_not_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """Enough people, e-mails in random order and changes for pages to be split, moved and freed."""
    if not forgets:
        pragmas = (*sqlite_module.WRITER_PRAGMAS, "secure_delete=OFF")
        monkeypatch.setattr(sqlite_module, "WRITER_PRAGMAS", pragmas)
    database = Database(new_database(tmp_path))
    path = database.path
    assert path is not None
    transport = StoreTransport(database, add_site(database, "shop"))
    stage, chance = Stage(transport), random.Random(4711)
    people = [(f"{chance.getrandbits(48):012x}-c", f"{chance.getrandbits(48):012x}@shop.example") for _ in range(150)]
    for _ in range(2):
        for cid, email in chance.sample(people, len(people)):
            browser = stage.browser()
            browser.offline = True
            await browser.says(cid, email, city=f"{email} lives in {'x' * chance.randrange(300)}")
            await browser.tracks(title=email, extra={"long": "y" * chance.choice((10, 100, 9_000))})
            await browser.sends()
    database.checkpoint_now()
    gone = chance.sample(people, 40)
    for cid, _ in gone:
        erase(transport, stage.now + 1, cid)
    assert database.scrub_now()
    database.close_now()
    residues = [text for person in gone for text in person if files_holding(path, text)]
    assert (residues == []) == forgets, residues
    left = [email for _, email in people if files_holding(path, email)]
    assert len(left) >= len(people) - len(gone)


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


# ---- where no key leads ----

BOT_EMAIL = "ada.lovelace%40analytical.example"


async def test_events_without_a_profile_that_name_the_person_go_and_others_stay(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await ada_lives(stage)
    stranger = stage.browser()

    def arrives_from_a_bot(event: dict[str, object]) -> None:
        letter = stage.browser().letter([event])
        transport.record(replace(transport.arrival(letter), bot=True))

    theirs = [
        browser.stamp("page", "view"),
        stranger.stamp("page", "view", url=f"https://shop.example/?mail={BOT_EMAIL}"),
        stranger.stamp("mail", "open", extra={"to": [ADA_EMAIL.upper()]}),
        stranger.stamp("page", "view", extra={"cid": ADA}),
    ]
    others = [stranger.stamp("page", "view"), stranger.stamp("mail", "open", extra={"to": BOB_EMAIL})]
    for event in [*theirs, *others]:
        arrives_from_a_bot(event)
    erase(transport, stage.now)
    left = rows_naming(transport.database.read_now(rows_of), *(id_bytes(str(event["event_id"])) for event in theirs))
    assert left == []
    kept = select(schema.events.c.event_id).where(schema.events.c.profile_id.is_(None))
    assert set(transport.database.read_now(lambda conn: list(conn.scalars(kept)))) == {
        event["event_id"] for event in others
    }


async def test_what_others_claimed_of_the_person_goes_with_the_events_that_say_it(
    stage: Stage, transport: StoreTransport
) -> None:
    await ada_lives(stage)
    bob = await bob_lives(stage)
    for _ in range(2):
        claim = await bob.says(BOB, ADA_EMAIL)  # row 12: only a claim
    hint = await bob.informs(ADA_EMAIL)
    before = await stage.person(cid=BOB)
    assert {claim, hint} <= before.events.keys()
    assert before.claimed_emails == {ADA_EMAIL}
    erase(transport, stage.now)
    assert rows_naming(transport.database.read_now(rows_of), ADA.encode(), ADA_EMAIL.encode()) == []
    after = await stage.person(cid=BOB)
    assert (after.claimed_emails, after.email, after.traits) == (frozenset(), BOB_EMAIL, before.traits)
    assert list(after.events.values()) == ["product/view", "user/sign_in"]
    assert transport.database.read_now(fetch_explanation, 1, after.profile_id) is not None


async def test_what_a_collision_gave_somebody_stays_although_the_browser_of_the_person_sent_it(
    stage: Stage, transport: StoreTransport
) -> None:
    """R5d: and Bob once claimed Ada's e-mail, so that his events are looked through."""
    ada = await ada_lives(stage)
    bob = await bob_lives(stage)
    claim = await bob.says(BOB, ADA_EMAIL)
    given = await ada.submits(BOB_EMAIL)
    before = await stage.person(cid=BOB)
    assert {claim, given} <= before.events.keys()
    erase(transport, stage.now + 1)
    assert (await stage.person(cid=BOB)).events.keys() == before.events.keys() - {claim}


async def test_an_identifier_that_is_somebody_elses_is_not_taken_from_them(
    stage: Stage, transport: StoreTransport
) -> None:
    """Ada only claimed Bob's e-mail: nothing of Bob is erased or suppressed with her."""
    bob = await bob_lives(stage)
    ada = await ada_lives(stage)
    await ada.says(ADA, BOB_EMAIL)
    raw = f'{{"email":"{BOB_EMAIL}"}}'.encode()
    transport.database.transact(insert_quarantine, 1, stage.now, [Refused("too_deep", "", raw)])
    before = await stage.person(cid=BOB)
    bob.offline = True
    await bob.says(BOB, BOB_EMAIL)
    assert erase(transport, stage.now + 1)["quarantine"] == 0
    assert await stage.person(cid=BOB) == before
    assert (await bob.sends()).accepted == 1


async def test_an_earlier_email_is_buried_too(stage: Stage, transport: StoreTransport) -> None:
    browser = await ada_lives(stage)
    uid, later = browser.uid, "ada.king@analytical.example"
    await transport.assert_from_server(uid, ADA, later, stage.now)
    assert (await stage.person(cid=ADA)).email == later
    late = stage.browser()
    late.offline = True
    await late.submits(ADA_EMAIL)
    stage.passes(minutes=1)
    erase(transport, stage.now)
    assert (await late.sends()).suppressed == 1
    assert rows_naming(transport.database.read_now(rows_of), ADA_EMAIL.encode(), later.encode()) == []


async def test_a_bots_event_of_before_is_suppressed_like_any_other(stage: Stage, transport: StoreTransport) -> None:
    await ada_lives(stage)
    reader = stage.browser()
    letter = reader.letter([reader.stamp("mail", "open", email=ADA_EMAIL)])
    stage.passes(minutes=1)
    erase(transport, stage.now)
    (receipt,) = transport.record(replace(transport.arrival(letter), bot=True))
    assert receipt.suppressed == 1


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"events":[{"email":"\u0061da.lovelace@analytical.example"',
        b'{"events":[{"url":"/?m=' + BOT_EMAIL.encode() + b'"',
        b'{"customer_id":"' + ADA.upper().encode() + b'"}',
    ],
)
async def test_refused_bytes_are_found_however_they_are_written(
    stage: Stage, transport: StoreTransport, raw: bytes
) -> None:
    await ada_lives(stage)
    rows = [Refused("malformed_json", "", raw), Refused("malformed_json", "", b'{"events":[{"email":"a@b.example"')]
    transport.database.transact(insert_quarantine, 1, stage.now, rows)
    assert erase(transport, stage.now)["quarantine"] == 1


async def test_refused_events_of_the_persons_own_browser_go_whatever_is_in_them(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await ada_lives(stage)
    bob = await bob_lives(stage)
    for sender in (browser, bob):
        arrival = transport.arrival(sender.letter([{"event_id": "nonsense"}]))
        transport.record(replace(arrival, contact_id=None))
        transport.record(replace(arrival, device_id=None, contact_id=sender.contact_cookie))
    assert erase(transport, stage.now)["quarantine"] == 2
    query = select(schema.quarantine.c.device_id, schema.quarantine.c.contact_id)
    kept = transport.database.read_now(lambda conn: [tuple(row) for row in conn.execute(query)])
    assert kept == [(bob.device_cookie, None), (None, bob.contact_cookie)]


async def test_a_visit_that_somebody_else_was_in_too_is_told_without_the_person(
    stage: Stage, transport: StoreTransport
) -> None:
    browser = await bob_lives(stage)
    visit = browser.visit
    await browser.signs_out()
    await browser.resets()
    await browser.says(ADA, ADA_EMAIL)
    assert (await transport.look_at_visit(visit))[1] == [(BOB, False), (ADA, True)]
    erase(transport, stage.now)
    assert await transport.look_at_visit(visit) == ("Recognized", [(BOB, False)])


async def test_consent_given_by_an_erased_uid_is_kept_without_it(stage: Stage, transport: StoreTransport) -> None:
    browser = await ada_lives(stage)
    consent = Consent(browser.uid, "granted", stage.now, stage.now)
    transport.database.transact(record_consent, 1, consent, transport.erasures)
    assert erase(transport, stage.now)["consents"] == 1
    other = stage.browser().uid
    for uid in (browser.uid, other):
        again = Consent(uid, "granted", stage.now, stage.now)
        transport.database.transact(record_consent, 1, again, transport.erasures)
    kept = transport.database.read_now(lambda conn: list(conn.scalars(select(schema.consents.c.uid))))
    assert kept == [None, other]


async def test_a_refused_event_of_an_erased_uid_is_not_kept(stage: Stage, transport: StoreTransport) -> None:
    browser, bob = await ada_lives(stage), await bob_lives(stage)
    erase(transport, stage.now)
    stage.passes(days=1)
    for sender, outcome in ((browser, (0, 1)), (bob, (1, 0))):
        await sender.tracks(dims="no object", title=ADA_EMAIL)
        assert sender.last_answer is not None
        assert (sender.last_answer.quarantined, sender.last_answer.suppressed) == outcome
