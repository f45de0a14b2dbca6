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

enqueue_durably = Recorder.enqueue
in_flight: set[asyncio.Future[Receipt]] = set()


def enqueue_early(self: Recorder, read: Callable[[], Arrival]) -> asyncio.Future[Receipt]:
    """Answer at once; only where the queue is half full wait for the commit, so that load cannot outrun the writer."""
    arrival = read()
    durable = enqueue_durably(self, lambda: arrival)
    in_flight.add(durable)
    durable.add_done_callback(in_flight.discard)
    if len(in_flight) > EARLY_ANSWERS:
        return durable
    early: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    early.set_result(Receipt(len(arrival.events), 0, 0, 0, arrival.contact_id, arrival.device_id))
    return early


if __name__ == "__main__":
    Recorder.enqueue = enqueue_early  # type: ignore[method-assign]
    runpy.run_module("collector", run_name="__main__")
