"""T8: several collectors on one PostgreSQL database, told conflicting things about the same people at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rivals import Arena, fight
from tests.faults.server import Collector
from tests.faults.whole import assert_people_are_whole
from tests.postgresql import Cluster


@pytest.fixture
def collectors(tmp_path: Path, postgresql: Cluster, request: pytest.FixtureRequest) -> Iterator[list[Collector]]:
    """So many collectors on one new database, all running."""
    name = postgresql.new_database()
    folders = [tmp_path / f"collector-{number}" for number in range(request.param)]
    for folder in folders:
        folder.mkdir()
    made = [Collector(folder, cluster=postgresql, database_name=name) for folder in folders]
    yield made
    for collector in made:
        collector.close()


@pytest.mark.parametrize(
    ("collectors", "rounds"),
    [
        (2, 60),
        (4, 40),
        pytest.param(2, 1000, marks=pytest.mark.soak),
        pytest.param(4, 1000, marks=pytest.mark.soak),
    ],
    indirect=["collectors"],
)
def test_people_stay_whole_whatever_collectors_are_told_at_once(
    collectors: list[Collector], rounds: int, seed: int
) -> None:
    arena = begin(collectors, seed)
    asyncio.run(fight(arena, rounds))
    for collector in collectors:
        assert collector.stop() == 0
    assert_nothing_went_wrong(arena, collectors[0])


@pytest.mark.parametrize(
    ("collectors", "rounds"), [(2, 30), pytest.param(2, 500, marks=pytest.mark.soak)], indirect=["collectors"]
)
def test_people_stay_whole_while_a_collector_is_killed_again_and_again(
    collectors: list[Collector], rounds: int, seed: int
) -> None:
    arena = begin(collectors, seed)
    asyncio.run(fight_beside(arena, rounds, collectors[1]))
    assert collectors[0].stop() == 0
    assert_nothing_went_wrong(arena, collectors[0])


async def fight_beside(arena: Arena, rounds: int, victim: Collector) -> None:
    """Kill and start `victim` until the fight is over."""

    async def torment() -> None:
        while True:
            await asyncio.sleep(arena.chance.uniform(0.1, 1.0))  # the moment of the kill
            victim.kill()
            victim.spawn()

    tormentor = asyncio.create_task(torment())
    try:
        await fight(arena, rounds)
    finally:
        tormentor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tormentor


def begin(collectors: list[Collector], seed: int) -> Arena:
    """Start them on one site."""
    keys = collectors[0].add_site()
    for collector in collectors:
        collector.start()
    return Arena([collector.url for collector in collectors], keys, random.Random(seed))


def assert_nothing_went_wrong(arena: Arena, collector: Collector) -> None:
    print(f"refused {arena.refused}, suppressed {arena.suppressed}, erased {arena.erased}")  # noqa: T201 - if it fails
    assert arena.surprises == []
    assert arena.erased > 0
    stored = collector.stored_ids()
    assert len(stored) == len(set(stored)), "stored twice"
    assert arena.kept - set(stored) == set(), "acknowledged and lost"
    assert set(stored) - arena.kept - arena.erasable == set(), "stored, but nobody was told so"
    assert_people_are_whole(collector, at_least_merged=5)
