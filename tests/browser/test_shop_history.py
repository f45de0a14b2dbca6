"""Somebody shops for a while and keeps a diary; the History API has to tell the same story, entity by entity."""

from __future__ import annotations

from itertools import pairwise

import pytest

from collector import app
from tests.browser.diary import Diary, Entry, pages_of
from tests.browser.ground import Plan
from tests.browser.shop_story import (
    ADA_ID,
    BACKEND,
    GRACE_ID,
    SERVER,
    Clock,
    Historian,
    Story,
    ada_opens_the_browser_again,
    ada_shops_and_grace_comes_after_her,
    an_hour_later_ada_is_on_the_phone,
    keys,
    stands,
    stored,
)
from tests.browser.test_shop_people import ADA, GRACE, cookie
from tests.browser.whole import Json, OpenTown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of collectors that are opened after this."""
    clock = Clock()
    monkeypatch.setattr(app, "now_ms", clock.now)
    return clock


def same(told: Json, entry: Entry) -> None:
    """An event is what the diary says."""
    assert (told["eventName"], told["url"]) == (entry.name, entry.url)
    assert told["eventType"] == ("SYSTEM" if entry.is_system else "BUSINESS")
    assert entry.earliest <= told["timestamp"] <= entry.latest, entry


async def check_visits(story: Story) -> None:
    """Three visits on one device; of each when it began and ended and why, and who is in it."""
    visits = (await story.reader.reads("/visits"))[::-1]
    story.visits = [visit["visitId"] for visit in visits]
    assert [(visit["state"], visit["endReason"]) for visit in visits] == [
        ("Recognized", "silence"),
        ("Recognized", "closed"),
        ("Authenticated", None),
    ]
    (story.device,) = {visit["globalVisitID"] for visit in visits}
    assert story.device in await cookie(story.diary.page, "GlobalVisit")
    (agent_id,) = {visit["userAgentID"] for visit in visits}
    agent = await story.reader.reads(f"/useragents/{agent_id}")
    assert agent["userAgent"] == await story.diary.page.evaluate("navigator.userAgent")
    for visit, entries in zip(visits, story.diary.visits, strict=True):
        assert entries[0].earliest <= visit["startDate"] <= entries[0].latest
        if visit["endReason"] is None:
            assert visit["endDate"] == 0
        else:
            assert entries[-1].earliest <= visit["endDate"] <= entries[-1].latest


async def check_pages(story: Story) -> None:
    """Every page that was entered, again if it was entered again, and how long it was looked at."""
    for number, (visit_id, entries) in enumerate(zip(story.visits, story.diary.visits, strict=True)):
        pages = await story.reader.reads(f"/visits/{visit_id}/pages")
        entered = pages_of(entries)
        assert [(page["url"], page["title"], page["referrer"]) for page in pages] == [
            (entry.url, entry.title, entry.referrer) for entry in entered
        ]
        exits = {entry.page: entry for entry in entries if entry.name == "PageExited"}
        for page, entry in zip(pages, entered, strict=True):
            assert (page["visitID"], page["globalVisitID"]) == (visit_id, story.device)
            assert (page["sessionID"], page["identityId"]) == (story.session_id(entry), entry.who), entry
            assert entry.earliest <= page["enterDate"] <= entry.latest
            left = exits.get(entry.page)
            if left is None:
                assert (page["exitDate"], page["duration"]) == (0, 0), "the page that is open"
                continue
            assert left.earliest <= page["exitDate"] <= left.latest
            assert 0 < page["duration"] <= page["exitDate"] - page["enterDate"] + 1  # two clocks, both rounded
        assert len(exits) == len(pages) - (number == len(story.visits) - 1)
        embedded, _ = await story.reader.ask("GET", f"{BACKEND}/visits/{visit_id}")
        assert embedded["pages"] == pages
        plain, _ = await story.reader.ask("GET", f"{SERVER}/visits/{visit_id}")
        assert plain == embedded | {"pageIds": None, "pages": None}


async def check_events(story: Story) -> None:
    """What was done, one after the other, and on which page."""
    for visit_id, entries in zip(story.visits, story.diary.visits, strict=True):
        pages = [page["pageID"] for page in await story.reader.reads(f"/visits/{visit_id}/pages")]
        begun, *events = await story.reader.reads(f"/visits/{visit_id}/events")
        assert (begun["eventID"], begun["eventName"], begun["eventType"]) == (visit_id, "VisitStarted", "SYSTEM")
        assert begun["timestamp"] == events[0]["timestamp"]
        assert [event["eventName"] for event in events] == [entry.name for entry in entries]
        for event, entry in zip(events, entries, strict=True):
            same(event, entry)
            assert (event["visitID"], event["pageID"]) == (visit_id, pages[entry.page])
            assert event["globalVisitID"] == story.device
        business = await story.reader.reads(f"/visits/{visit_id}/events", eventType="BUSINESS")
        assert business == [event for event in events if event["eventType"] == "BUSINESS"]


async def check_sessions(story: Story) -> None:
    """Who was signed in, from when to when, and what they did meanwhile."""
    told = [each for visit_id in story.visits for each in await story.reader.reads(f"/visits/{visit_id}/sessions")]
    story.sessions = [session["sessionID"] for session in told]
    assert [session["identityId"] for session in told] == story.diary.sessions == [ADA_ID, GRACE_ID, ADA_ID]
    for number, session in enumerate(told):
        assert await story.reader.reads(f"/sessions/{session['sessionID']}") == session
        inside = [entry for _, entry in story.all() if entry.session == number]
        events = await story.reader.reads(f"/sessions/{session['sessionID']}/events")
        assert [event["eventName"] for event in events] == [entry.name for entry in inside]
        for event, entry in zip(events, inside, strict=True):
            same(event, entry)
        assert (session["sessionID"], session["startDate"]) == (events[0]["eventID"], events[0]["timestamp"])
        pages = await story.reader.reads(f"/sessions/{session['sessionID']}/pages")
        assert [(page["url"], page["sessionID"]) for page in pages] == [
            (entry.url, session["sessionID"]) for entry in pages_of(inside)
        ]
        out = [
            entry for before, (_, entry) in pairwise(story.all()) if before[1] == inside[-1] and entry.name == "SignOut"
        ]
        if out:
            assert out[0].earliest <= session["endDate"] <= out[0].latest
            assert session["duration"] == session["endDate"] - session["startDate"]
        else:
            assert (session["endDate"], session["duration"]) == (0, 0), "the session that is open"
    active = (await story.reader.reads("/visits"))[0]["activeSessionId"]
    assert active == story.sessions[-1]


async def check_identities(story: Story) -> None:
    """Who was there: two customers, and an address that only the agent named."""
    identities = {each["identityId"]: each for each in await story.reader.reads("/identities")}
    assert {key: each["name"] for key, each in identities.items()} == {
        ADA_ID: "Ada Lovelace",
        GRACE_ID: "Grace Hopper",
        ADA: "Ada Lovelace",
    }
    assert all(each["visitScope"] == [story.device] for each in identities.values())
    there = [
        {each["identityId"] for each in await story.reader.reads(f"/visits/{visit_id}/identities")}
        for visit_id in story.visits
    ]
    assert there == [{ADA_ID, GRACE_ID}, {ADA}, {ADA_ID}]
    # In the second visit it was Grace's UID that spoke, and the agent called Ada by her address.
    for identity_id, seen in {ADA_ID: (2, 0), GRACE_ID: (2, 1, 0), ADA: (2, 1, 0)}.items():
        assert await story.reader.reads(f"/identities/{identity_id}") == identities[identity_id]
        events = await story.reader.reads(f"/identities/{identity_id}/events")
        who = ADA_ID if identity_id == ADA else identity_id
        done = [entry for _, entry in story.all() if entry.counts_for == who]
        assert [event["eventName"] for event in events[::-1]] == [entry.name for entry in done]
        for event, entry in zip(events[::-1], done, strict=True):
            same(event, entry)
        sessions = await story.reader.reads(f"/identities/{identity_id}/sessions")
        assert [each["sessionID"] for each in sessions[::-1]] == [
            session for session, whose in zip(story.sessions, story.diary.sessions, strict=True) if whose == who
        ]
        visits = await story.reader.reads(f"/identities/{identity_id}/visits")
        assert [each["visitId"] for each in visits] == [story.visits[number] for number in seen]


async def check_contacts(story: Story) -> None:
    """Which identity was in which visit and session."""
    contacts = await story.reader.reads("/contacts")
    assert [(each["identityId"], each["sessionId"], each["visitId"]) for each in contacts[::-1]] == [
        (ADA_ID, story.sessions[0], story.visits[0]),
        (GRACE_ID, story.sessions[1], story.visits[0]),
        (ADA, None, story.visits[1]),
        (ADA_ID, story.sessions[2], story.visits[2]),
    ]
    assert await story.reader.reads("/contacts", identityId=GRACE_ID) == [contacts[2]]


async def check_identifications(story: Story) -> None:
    """All system events with whom they are about, and those alone that name somebody."""
    system = (await story.reader.reads("/useridentifications"))[::-1]
    begun = [event for event in system if event["eventName"] == "VisitStarted"]
    assert [event["eventID"] for event in begun] == story.visits
    told = [event for event in system if event["eventName"] != "VisitStarted"]
    done = [entry for _, entry in story.all() if entry.is_system]
    assert [(event["eventName"], event["url"]) for event in told] == [(entry.name, entry.url) for entry in done]
    for event, entry in zip(told, done, strict=True):
        same(event, entry)
        assert (event["identityId"], event["sessionId"]) == (entry.who, story.session_id(entry)), entry
    naming = await story.reader.reads("/useridentifications", identified="true")
    assert naming[::-1] == [event for event in told if event["eventName"] == "SignIn"]


async def check_what_is_masked(story: Story) -> None:
    """Without `pii:read` the same story, without addresses and names."""
    hidden = {each["identityId"]: each["name"] for each in await story.masked.reads("/identities")}
    assert hidden == {ADA_ID: "***", GRACE_ID: "***", "a***@example.com": "***"}
    paths = [
        "/visits",
        "/contacts",
        "/useridentifications",
        f"/identities/{ADA}/visits",
        f"/identities/{ADA_ID}/events",
    ]
    paths += [f"/visits/{visit_id}/{name}" for visit_id in story.visits for name in ("pages", "events", "identities")]
    for path in paths:
        seen, shown = await story.reader.reads(path), await story.masked.reads(path)
        assert [keys_of(each) for each in shown] == [keys_of(each) for each in seen], path
        assert not any(word in str(shown) for word in (ADA, GRACE, "Lovelace", "Hopper")), path


def keys_of(told: Json) -> Json:
    """The ids and times of an entity, which nobody masks."""
    return {key: value for key, value in told.items() if key.endswith(("ID", "Date", "imestamp")) or key == "visitId"}


async def test_the_history_tells_what_the_visitor_wrote_down(open_town: OpenTown, clock: Clock) -> None:
    town = await open_town(Plan())
    reader, masked = (Historian(town, secret) for secret in await keys(town))
    context = await town.browser.new_context()
    town.contexts.append(context)
    story = Story(town, Diary(await context.new_page(), ADA_ID), reader, masked)
    await ada_shops_and_grace_comes_after_her(story.diary, context, town.shop)
    await stored(story)
    assert await stands(story) == ("Recognized", GRACE_ID, 0.8, True)
    await story.diary.closes_the_tab()
    await stored(story)
    await an_hour_later_ada_is_on_the_phone(story, context, clock)
    await story.diary.closes_the_tab()
    await ada_opens_the_browser_again(story, context, clock)
    for check in (
        check_visits, check_sessions, check_pages, check_events, check_identities, check_contacts,
        check_identifications, check_what_is_masked,
    ):  # fmt: skip
        await check(story)
