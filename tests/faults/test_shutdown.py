"""SIGTERM under load: what arrived is stored and answered, the rest is refused, and the process ends in order."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.faults.load import Load
from tests.faults.server import Collector, eventually


def test_asked_to_stop_under_load_it_answers_exactly_for_what_it_stored(
    collector: Collector, load: Load, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        serve_for_a_while(collector, load, chance)
        assert collector.stop() == 0
        assert_told_is_stored(collector, load)
        assert not Path(f"{collector.database}-wal").exists(), "the log is folded in at the end"
    collector.start()
    assert load.finish().surprises == []


def serve_for_a_while(collector: Collector, load: Load, chance: random.Random) -> None:
    before = len(load.acknowledged())
    collector.start()
    eventually(lambda: len(load.acknowledged()) > before + 200, 30)
    time.sleep(chance.uniform(0.0, 0.2))  # the moment of the signal


def assert_told_is_stored(collector: Collector, load: Load) -> None:
    """Polls, for the last replies may still be on their way into the journals."""
    stored = {name for (name,) in collector.rows("SELECT lower(hex(event_id)) FROM events")}
    eventually(
        lambda: set(load.acknowledged()) == stored,
        describe=lambda: f"{len(stored ^ set(load.acknowledged()))} events stored or told, not both",
    )
