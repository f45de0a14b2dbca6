"""The body of `/v1/consent`: a decision and whose it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from collector.wire.clock import read_clock
from collector.wire.ids import parse_id
from collector.wire.text import load


class Decision(NamedTuple):
    """What was decided and when (ms UTC). `uid` is None where the browser has none."""

    state: Literal["granted", "denied"]
    uid: str | None
    at: int


def parse_consent(data: bytes, received_at: int) -> Decision | None:
    """`{"state": ..., "uid"?: ..., "at"?: ms}`, None if it is anything else. A time not to be believed becomes ours."""
    loaded = load(data)
    sent = loaded[0] if loaded else None
    if type(sent) is not dict or sent.get("state") not in ("granted", "denied"):
        return None
    clock = read_clock(sent.get("at"), received_at)
    at = clock.now if clock.floor <= clock.now <= clock.ceiling else received_at
    return Decision(sent["state"], parse_id(sent.get("uid")), at)
