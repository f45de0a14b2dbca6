"""T1: the collector is killed again and again under load, at random moments, also while it starts.

What a client was told is stored, is stored; what it had to send again is stored once; and people stay whole.
"""

from __future__ import annotations

import random
import statistics
import time

import pytest

from tests.faults.load import Load
from tests.faults.server import Collector

READY_S = 3.0
LOAD_S = (0.05, 0.6)
DIES_WHILE_STARTING = 0.15


@pytest.mark.parametrize("cycles", [25, pytest.param(500, marks=pytest.mark.soak)])
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
            assert collector.rows("PRAGMA integrity_check") == [("ok",)], f"after {cycle} kills"
        time.sleep(chance.uniform(*LOAD_S))  # the moment of the kill
        collector.kill()
    collector.start()
    summary = load.finish()
    assert collector.stop() == 0

    assert summary.surprises == []
    told = load.acknowledged()
    assert len(told) == summary.acknowledged > 0
    stored = [name for (name,) in collector.rows("SELECT lower(hex(event_id)) FROM events")]
    assert set(told) - set(stored) == set(), "acknowledged and lost"
    assert set(stored) - set(told) == set(), "stored, but in the end nobody was told so"
    assert len(stored) == len(set(stored)), "stored twice"
    made = "json_extract(body, '$.dims.client'), json_extract(body, '$.dims.made')"
    assert collector.rows(f"SELECT {made} FROM events GROUP BY 1, 2 HAVING count(*) > 1") == []
    assert collector.rows("PRAGMA integrity_check") == [("ok",)]
    assert_people_are_whole(collector)
    # Where an empty database takes long as well, the machine is busy with something else.
    assert statistics.median(ready_s) <= max(READY_S, 2 * empty_s), sorted(ready_s)


def assert_people_are_whole(collector: Collector) -> None:
    """Every event, binding and identifier leads to exactly one root, and the journal of merges agrees with them."""
    merged = collector.rows("SELECT count(*) FROM profiles WHERE merged_into IS NOT NULL")[0][0]
    assert merged > 20, "the load is meant to merge people"
    followers = "profiles p LEFT JOIN profiles r ON r.site_id = p.site_id AND r.profile_id = p.merged_into"
    assert (
        collector.rows(
            f"SELECT hex(p.profile_id) FROM {followers} "
            "WHERE p.merged_into IS NOT NULL AND (r.profile_id IS NULL OR r.merged_into IS NOT NULL)"
        )
        == []
    ), "a pointer that leads nowhere, or further than one step"
    for table in ("events", "bindings", "identifiers"):
        lost = collector.rows(
            f"SELECT t.rowid FROM {table} t LEFT JOIN profiles p USING (site_id, profile_id) WHERE p.profile_id IS NULL"
        )
        assert lost == [], f"{table} of nobody"
    twice = "GROUP BY site_id, loser_id HAVING count(*) > 1"
    assert collector.rows(f"SELECT 1 FROM merges {twice}") == [], "merged twice"
    assert collector.rows("SELECT count(*) FROM merges") == [(merged,)]
    cids = (
        "SELECT 1 FROM identifiers i JOIN profiles p USING (site_id, profile_id) WHERE kind = 'cid' "
        "GROUP BY i.site_id, coalesce(p.merged_into, p.profile_id) HAVING count(*) > 1"
    )
    assert collector.rows(cids) == [], "two customers in one profile"
