"""A collector that acknowledges before the commit, to show what waiting for the disk costs. For benchmarks only.

`python -m benchmarks.early serve`. Everything else is the collector's own: the queue, its bound and the writer.
"""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable

from collector.domain.event import Arrival, Receipt
from collector.recorder import Recorder

EARLY_ANSWERS = 1000  # half of the recorder's queue

record_durably = Recorder.record_later
in_flight: set[asyncio.Task[Receipt]] = set()


async def record_early(self: Recorder, read: Callable[[], Arrival]) -> Receipt:
    """Answer at once; only where the queue is half full wait for the commit, so that load cannot outrun the writer."""
    arrival = read()
    task = asyncio.create_task(record_durably(self, lambda: arrival))
    in_flight.add(task)
    task.add_done_callback(in_flight.discard)
    if len(in_flight) > EARLY_ANSWERS:
        return await task
    return Receipt(len(arrival.events), 0, 0, 0, arrival.contact_id, arrival.device_id)


if __name__ == "__main__":
    Recorder.record_later = record_early  # type: ignore[method-assign]
    runpy.run_module("collector", run_name="__main__")
