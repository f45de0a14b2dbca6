"""What was kept of a refused event or request, parsed again as if it arrived once more at the time it did."""

from __future__ import annotations

from collector.domain.quarantine import Quarantined, is_whole_request
from collector.wire.batch import Batch, RequestError
from collector.wire.native import parse_batch
from collector.wire.text import load


def parse_kept(kept: Quarantined, text: bytes, purchases_assert: bool) -> Batch | RequestError:
    """`text`, what was kept or a corrected version of it, on the clock of the request that brought it.

    An event becomes a batch of one; a request is one already, and says by itself when it was sent.
    """
    if is_whole_request(kept.code):
        return parse_batch(text, kept.received_at, purchases_assert)
    loaded = load(text)  # by itself: what comes next must not turn a piece of text into something else
    if loaded is None or type(loaded[0]) is not dict:
        return RequestError("malformed_json")
    sent_at = b"null" if kept.sent_at is None else b"%d" % kept.sent_at
    return parse_batch(b'{"sent_at":%b,"events":[%b]}' % (sent_at, text), kept.received_at, purchases_assert)
