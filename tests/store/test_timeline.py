"""A person's events come newest first whatever leaf they belong to, and page by page without a gap or a repeat."""

from __future__ import annotations

import pytest

from collector.store.people import fetch_timeline
from tests.stage import Stage
from tests.store_transport import StoreTransport


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_of_a_merged_person_are_the_whole_timeline(
    stage: Stage, transport: StoreTransport, size: int
) -> None:
    browsers = [stage.browser() for _ in range(3)]
    tracked = []
    for minute in range(3):
        for browser in browsers:
            tracked += [await browser.tracks(), await browser.tracks()]  # both in the same millisecond
        stage.passes(minutes=minute)
    for browser in browsers:
        tracked.append(await browser.says("ada"))
    stranger = await stage.browser().tracks()
    person = await stage.person(cid="ada")

    found: list[str] = []
    before: tuple[int, int] | None = None
    while True:
        rows = transport.database.read_now(fetch_timeline, transport.site.site_id, person.profile_id, size, before)
        assert rows is not None
        assert len(rows) <= size
        found += [row["event_id"] for row in rows]
        places = [(row["occurred_at"], row["row_id"]) for row in rows]
        assert places == sorted(places, reverse=True)
        assert before is None or all(place < before for place in places)
        if not rows:
            break
        before = places[-1]

    assert sorted(found) == sorted(tracked)
    assert stranger not in found
