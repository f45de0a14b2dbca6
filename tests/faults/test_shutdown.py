"""SIGTERM under load: what arrived is stored and answered, the rest is refused, and the process ends in order."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.faults.load import Load
from tests.faults.server import Collector, eventually


def test_asked_to_stop_under_load_it_answers_exactly_for_what_it_stored(
    collector: Collector, load: Load, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        before = len(load.acknowledged())
        collector.start()
        eventually(lambda before=before: len(load.acknowledged()) > before + 200, 30)
        time.sleep(chance.uniform(0.0, 0.2))  # the moment of the signal
        assert collector.stop() == 0
        stored = {name for (name,) in collector.rows("SELECT lower(hex(event_id)) FROM events")}
        # The last replies may still be on their way into the journals.
        eventually(
            lambda stored=stored: set(load.acknowledged()) == stored,
            describe=lambda stored=stored: f"{len(stored ^ set(load.acknowledged()))} events stored or told, not both",
        )
        assert not Path(f"{collector.database}-wal").exists(), "the log is folded in at the end"
    collector.start()
    assert load.finish()["surprises"] == []
