"""T1: the collector is killed again and again under load, at random moments, also while it starts.

What a client was told is stored, is stored; what it had to send again is stored once; and people stay whole.
"""

from __future__ import annotations

import random
import statistics
import time

import pytest

from tests.faults.load import Load
from tests.faults.server import Collector, eventually
from tests.faults.whole import assert_people_are_whole, count_merged

READY_S = 3.0
LOAD_S = (0.05, 0.6)
MERGED, MERGED_S = 4, 30.0
DIES_WHILE_STARTING = 0.15
MADE = {  # which event of which client, on SQLite and elsewhere
    True: "json_extract(body, '$.dims.client'), json_extract(body, '$.dims.made')",
    False: "body::json #>> '{dims,client}', body::json #>> '{dims,made}'",
}


@pytest.mark.parametrize(
    ("engine", "cycles"),
    [
        ("sqlite", 25),
        ("postgresql", 8),
        pytest.param("sqlite", 500, marks=pytest.mark.soak),
        pytest.param("postgresql", 500, marks=pytest.mark.soak),
    ],
    indirect=["engine"],
)
def test_killed_under_load_it_loses_nothing_acknowledged_and_doubles_nothing(
    collector: Collector, load: Load, seed: int, cycles: int
) -> None:
    chance = random.Random(seed)
    empty_s = collector.start()
    collector.kill()
    ready_s: list[float] = []
    for cycle in range(cycles):
        if chance.random() < DIES_WHILE_STARTING:
            collector.spawn()
            time.sleep(chance.uniform(0.0, 1.0))  # the moment of the kill
            collector.kill()
        ready_s.append(collector.start())
        if cycle < 25 or cycle % 25 == 0:  # it reads everything, which takes longer and longer
            assert_intact(collector, f"after {cycle} kills")
        time.sleep(chance.uniform(*LOAD_S))  # the moment of the kill
        collector.kill()
    collector.start()
    # How much the load gets done between two kills depends on the machine; it goes on until people have merged.
    eventually(lambda: count_merged(collector) >= MERGED, MERGED_S)
    summary = load.finish()
    assert collector.stop() == 0

    assert summary.surprises == []
    told = load.acknowledged()
    assert len(told) == summary.acknowledged > 0
    stored = collector.stored_ids()
    assert set(told) - set(stored) == set(), "acknowledged and lost"
    assert set(stored) - set(told) == set(), "stored, but in the end nobody was told so"
    assert len(stored) == len(set(stored)), "stored twice"
    assert (
        collector.rows(f"SELECT {MADE[collector.cluster is None]} FROM events GROUP BY 1, 2 HAVING count(*) > 1") == []
    )
    assert_intact(collector, "at the end")
    assert_people_are_whole(collector, at_least_merged=MERGED)
    # Where an empty database takes long as well, the machine is busy with something else.
    assert statistics.median(ready_s) <= max(READY_S, 2 * empty_s), sorted(ready_s)


def assert_intact(collector: Collector, when: str) -> None:
    """SQLite can say so itself."""
    if collector.cluster is None:
        assert collector.rows("PRAGMA integrity_check") == [("ok",)], when
