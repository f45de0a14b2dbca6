"""How long each kind of row is kept: what goes with age, what stays because recognising people rests on it.

This is the one place that says so. What another part needs for longer than the site keeps it, such as the events that
attribution may still have to look at, gets an entry in `NEEDED_DAYS`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import StrEnum

from collector.domain.recognition import DAY_MS
from collector.domain.site import SiteSettings

NEEDED_DAYS: Mapping[str, int] = types.MappingProxyType({})  # by kind, where it is longer than sites keep it


class Keep(StrEnum):
    """What ends the life of a row."""

    AGE = "its age"
    VISIT = "the end of its visit"
    UNNAMED = "the last row that names it"
    UNUSED = "the last visit of an anonymous profile about which nothing else is known"
    BOUNDS = "bounds of its own"
    ERASURE = "erasure alone"
    NOTHING = "nothing"


KEPT_UNTIL: Mapping[str, Keep] = types.MappingProxyType(
    {
        "events": Keep.AGE,
        "consents": Keep.AGE,
        "visits": Keep.AGE,
        "visit_profiles": Keep.VISIT,
        "sessions": Keep.VISIT,
        "contacts": Keep.VISIT,
        "interactions": Keep.VISIT,
        "user_identifications": Keep.VISIT,  # but for accepted CIDs, which R7 and R13 look at: those lose their visit
        "identities": Keep.UNNAMED,
        "profiles": Keep.UNUSED,
        "uids": Keep.UNUSED,
        "bindings": Keep.UNUSED,
        "traits": Keep.UNUSED,
        "claims": Keep.UNUSED,
        "identifiers": Keep.ERASURE,
        "retirements": Keep.ERASURE,
        "merges": Keep.ERASURE,
        "devices": Keep.ERASURE,
        "boundaries": Keep.ERASURE,
        "tombstones": Keep.NOTHING,
        "user_agents": Keep.NOTHING,  # texts without a person; to find who refers to them would cost an index
        "sites": Keep.NOTHING,
        "keys": Keep.NOTHING,
        "installation": Keep.NOTHING,
        "quarantine": Keep.BOUNDS,
    }
)


def horizon(kind: str, settings: SiteSettings, now: int) -> int | None:
    """The time (ms) from which on rows of `kind` are kept; None if all of them are. `now` is ms UTC."""
    if not settings.retention_days or KEPT_UNTIL[kind] is not Keep.AGE:
        return None
    return now - max(settings.retention_days, NEEDED_DAYS.get(kind, 0)) * DAY_MS


SLICE_MS = 15.0  # a deleting transaction, about; its commit and what of the log then goes into the file come on top
FEWEST, FIRST, MOST = 50, 100, 2_000  # rows looked at in one


def next_size(size: int, took_ms: float) -> int:
    """How many rows the next slice looks at when one of `size` took so long; it grows at most twofold."""
    fitting = int(size * SLICE_MS / max(took_ms, 0.1))
    return max(FEWEST, min(fitting, 2 * size, MOST))
