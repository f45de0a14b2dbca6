"""A collector that acknowledges before the commit, to show what waiting for the disk costs. For benchmarks only.

`python -m benchmarks.early serve`. Everything else is the collector's own: the queue, its bound and the writer.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from itertools import count

from collector.domain.event import Arrival, Receipt
from collector.recorder import Answer, Give, Recorder

EARLY_ANSWERS = 1000  # half of the recorder's queue

enqueue_durably = Recorder.enqueue
numbers = count()
in_flight: set[int] = set()


def enqueue_early(self: Recorder, read: Callable[[], Arrival], answer: Answer) -> None:
    """Answer at once; only where the queue is half full wait for the commit, so that load cannot outrun the writer."""
    arrival, number = read(), next(numbers)
    is_early = len(in_flight) < EARLY_ANSWERS
    in_flight.add(number)

    def answer_late(outcome: Receipt | Exception) -> Give:
        give = (lambda: None) if is_early else answer(outcome)

        def give_late() -> None:
            in_flight.discard(number)
            give()

        return give_late

    enqueue_durably(self, lambda: arrival, answer_late)
    if is_early:
        answer(Receipt(len(arrival.events), 0, 0, 0, arrival.contact_id, arrival.device_id))()


if __name__ == "__main__":
    Recorder.enqueue = enqueue_early  # type: ignore[method-assign]
    runpy.run_module("collector", run_name="__main__")
