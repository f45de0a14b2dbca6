"""Pages folded from their events, names of events, and what ended a visit."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.domain.history import (
    SYSTEM_NAMES,
    EndReason,
    EventFilter,
    EventType,
    NextVisit,
    Visit,
    active_session,
    end_reason,
    event_name,
    is_external,
    is_over,
    location_of,
    name_of,
    session_end,
)
from collector.domain.page import Page, PageEvent, close_pages, duration_of, fold_pages
from collector.domain.recognition import Moment
from collector.domain.visit import Session, State
from collector.wire.history import mask_document

MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_800_000_000_000
VISIT = Visit("v", "d", START, START + 10 * MINUTE, START, None, State.ANONYMOUS, None)
END = VISIT.last_event_at


def viewed(page: str, at: int, event: str = "", title: str = "A page") -> PageEvent:
    return PageEvent(page, event or f"view-{page}-{at}", False, at, Moment(at, 0), "https://s.example/", title)


def exited(page: str, at: int, active_ms: int | None = None) -> PageEvent:
    return PageEvent(page, f"exit-{page}-{at}", True, at, Moment(at, 1), active_ms=active_ms)


# ---- pages ----


def test_a_page_is_entered_once_and_left_last() -> None:
    told = [viewed("p", 5), exited("p", 20, 8), exited("p", 10, 9), viewed("p", 7, title="Later"), viewed("q", 6)]
    for order in itertools.permutations(told):
        p, q = fold_pages(order)
        assert (p.page_id, p.entered_at, p.exited_at, p.active_ms, p.title) == ("p", 5, 20, 9, "A page")
        assert (q.page_id, q.exited_at) == ("q", None)


events = st.builds(
    lambda page, at, is_exit, active: exited(page, at, active) if is_exit else viewed(page, at),
    st.sampled_from("pqr"),
    st.integers(1, 9),
    st.booleans(),
    st.none() | st.integers(0, 9),
)


@given(st.lists(events, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(told: list[PageEvent], chance: object) -> None:
    again = told + told[: len(told) // 2]
    chance.shuffle(again)  # type: ignore[attr-defined]
    assert fold_pages(again) == fold_pages(told)


def test_a_page_that_was_only_left_is_none() -> None:
    assert fold_pages([exited("p", 5, 3)]) == []


def test_a_page_is_never_left_before_it_was_entered() -> None:
    (page,) = fold_pages([viewed("p", 50), exited("p", 40)])
    assert (page.exited_at, duration_of(page)) == (50, 0)


def test_an_open_page_lasts_nothing_until_its_visit_is_over() -> None:
    (page,) = fold_pages([viewed("p", 50)])
    assert (page.exited_at, duration_of(page)) == (None, 0)
    (closed,) = close_pages([page], {"p": 90})
    assert (closed.exited_at, duration_of(closed)) == (90, 40)
    (unseen,) = close_pages([page], {})
    assert unseen.exited_at == 50
    left = replace(page, exited_at=60, active_ms=2)
    assert close_pages([left], {"p": 90}) == [left]
    assert duration_of(left) == 2


# ---- events ----


def test_events_of_the_system_have_names_and_others_are_called_as_tracked() -> None:
    assert event_name("page", "view") == (EventType.SYSTEM, "PageEntered")
    assert event_name("user", "sign_up") == (EventType.SYSTEM, "SignIn")
    assert event_name("user", "reset_anonymous_uid") == (EventType.BUSINESS, "user/reset_anonymous_uid")
    assert event_name("product", "view") == (EventType.BUSINESS, "product/view")
    assert set(SYSTEM_NAMES.values()) == {"PageEntered", "PageExited", "SignIn", "SignOut", "UserInfo"}


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (EventFilter(), True),
        (EventFilter(name="VisitStarted"), True),
        (EventFilter(name="PageEntered"), False),
        (EventFilter(kind=EventType.BUSINESS), False),
        (EventFilter(category="visit"), True),
        (EventFilter(category="page"), False),
        (EventFilter(url="https://s.example/"), False),
        (EventFilter(since=START), True),
        (EventFilter(since=START + 1), False),
    ],
)
def test_visit_started_is_filtered_like_an_event(wanted: EventFilter, takes: bool) -> None:
    assert wanted.takes_visit_started(VISIT) is takes


@pytest.mark.parametrize(
    ("url", "takes"),
    [(None, True), ("https://s.example/tea", True), ("https://s.example/", False), ("https://s.example/*", True)],
)
def test_pages_are_filtered_by_address_or_its_beginning(url: str | None, takes: bool) -> None:
    page = Page("p", "e", START, Moment(START, 0), "https://s.example/tea")
    assert EventFilter(url=url).takes_page(page) is takes


# ---- the end of a visit ----


def follows(after: int, **how: object) -> Visit:
    return replace(VISIT, following=NextVisit(END + after, **how))  # type: ignore[arg-type]


OLD = replace(VISIT, last_event_at=START + 24 * HOUR - MINUTE)


@pytest.mark.parametrize(
    ("visit", "now", "reason"),
    [
        (VISIT, END, None),
        (VISIT, END + 30 * MINUTE - 1, None),
        (VISIT, END + 30 * MINUTE, EndReason.SILENCE),
        (VISIT, END + 99 * HOUR, EndReason.SILENCE),
        (OLD, OLD.last_event_at, None),
        (OLD, START + 24 * HOUR, EndReason.AGE),
        (OLD, START + 99 * HOUR, EndReason.AGE),
        (replace(OLD, following=NextVisit(START + 24 * HOUR + 1)), START + 25 * HOUR, EndReason.AGE),
        (follows(MINUTE, has_campaign=True), END + MINUTE, EndReason.CAMPAIGN),
        (follows(MINUTE, referrer="https://search.example/"), END + MINUTE, EndReason.REFERRER),
        (follows(MINUTE, referrer="https://www.shop.example/a"), END + MINUTE, EndReason.CLOSED),
        (follows(MINUTE, referrer="https://pay.example/"), END + MINUTE, EndReason.CLOSED),
        (follows(MINUTE), END + MINUTE, EndReason.CLOSED),
        (follows(-MINUTE), END + MINUTE, EndReason.CLOSED),
        (follows(31 * MINUTE, has_campaign=True), END + 40 * MINUTE, EndReason.SILENCE),
    ],
)
def test_what_ended_a_visit(visit: Visit, now: int, reason: EndReason | None) -> None:
    assert end_reason(visit, now, ("shop.example", "pay.example")) == reason
    assert is_over(visit, now) is (reason is not None)


@pytest.mark.parametrize(
    ("referrer", "url", "external"),
    [
        (None, None, False),
        ("", "https://shop.example/", False),
        ("https://[broken", "https://shop.example/", False),
        ("https://shop.example/a", "https://shop.example/", False),
        ("https://other.example/", None, True),
        ("https://notshop.example/", "https://shop.example/", True),
        ("https://SHOP.example/", "https://shop.example/", False),
        ("http://127.0.0.1:1/", "http://127.0.0.1:2/", False),
    ],
)
def test_another_site_is_told_by_its_host(referrer: str | None, url: str | None, external: bool) -> None:
    assert is_external(referrer, url, ()) is external


def test_a_session_that_nobody_signed_out_of_ends_with_its_visit() -> None:
    session = Session("s", "ada", "p", START + MINUTE)
    assert session_end(session, VISIT, END) == 0
    assert active_session([session], VISIT, END) == session
    assert session_end(session, VISIT, END + HOUR) == END
    assert active_session([session], VISIT, END + HOUR) is None
    closed = replace(session, ended_at=START + 2 * MINUTE)
    assert session_end(closed, VISIT, END) == START + 2 * MINUTE
    assert active_session([closed], VISIT, END) is None


# ---- people ----


@pytest.mark.parametrize(
    ("traits", "name", "location"),
    [
        ({}, None, None),
        ({"name": "Ada", "first_name": "A", "location": "London", "city": "Paris"}, "Ada", "London"),
        (
            {"first_name": "Ada", "last_name": "Lovelace", "city": "London", "country": "UK"},
            "Ada Lovelace",
            "London, UK",
        ),
        ({"last_name": " Lovelace ", "country": "UK", "name": " "}, "Lovelace", "UK"),
        ({"name": 7, "first_name": ["x"], "city": {}}, None, None),
    ],
)
def test_names_and_places_come_from_the_traits(
    traits: dict[str, object], name: str | None, location: str | None
) -> None:
    assert (name_of(traits), location_of(traits)) == (name, location)


def test_masking_reaches_every_list_and_leaves_what_is_no_text_about_people() -> None:
    document = {
        "identityId": "ada@x.example",
        "identityIds": ["ada@x.example", "ada-1"],
        "identities": [{"identityId": "ada-1", "name": "Ada", "location": None, "visitScope": ["d"], "firstDate": 1}],
        "events": [{"eventName": "form/submit", "url": "https://s.example/?m=ada@x.example", "data": {"phone": "1"}}],
        "pages": None,
        "startDate": 5,
    }
    assert mask_document([document]) == [
        {
            "identityId": "a***@x.example",
            "identityIds": ["a***@x.example", "ada-1"],
            "identities": [
                {"identityId": "ada-1", "name": "***", "location": None, "visitScope": ["d"], "firstDate": 1}
            ],
            "events": [
                {"eventName": "form/submit", "url": "https://s.example/?m=a***@x.example", "data": {"phone": "***"}}
            ],
            "pages": None,
            "startDate": 5,
        }
    ]
