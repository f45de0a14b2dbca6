"""Deleting what a site keeps no longer, slice by slice: each call is one short transaction of its caller.

Events and decisions about consent lie in the order in which they arrived, so the old ones are in front. How far a site
has got is kept in `installation`, with the same transaction that deletes; what lies before is never read again. Visits
are found by their index in the order of arrival, and take with them what hangs on them (`outdated`).

A slice can be cut off anywhere: it happened or it did not. Nothing here looks at a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, Row, Table, and_, delete, func, select, update

from collector.domain.retention import horizon
from collector.domain.site import Site
from collector.store.locks import RETENTION, lock_alone, own_site, try_alone
from collector.store.outdated import (
    IS_RECOGNISING,
    Condition,
    Outlook,
    fetch_named_in,
    fetch_outdated_visits,
    fetch_speakers_in,
    fetch_unnamed,
    fetch_unused,
    rows_of_identities,
    rows_of_profiles,
    rows_of_visits,
)
from collector.store.schema import consents, events, installation, user_identifications
from collector.store.sites import replace_value

Stretch = Literal["events", "consents", "visits"]
NEXT: dict[Stretch, Stretch | None] = {"events": "consents", "consents": "visits", "visits": None}
KEYS = {"events": events.c.row_id, "consents": consents.c.consent_id}
CLAIM = "retention claimed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the purge of a site goes on: in which table, and after which row (None: from its front).

    `before` says for each of the three until when (ms) what arrived goes. `events_end` is for dry runs: up to which
    row events would go.
    """

    site_id: int
    now: int
    before: dict[Stretch, int]
    table: Stretch = "events"
    after: Any = None
    events_end: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """What one transaction did: rows by table, the time (ms) up to which its table is done, and where to go on."""

    gone: Counter[str]
    reached: int
    place: Place | None


@dataclass(slots=True)
class Tally:
    """What a dry run has counted already: the identities and profiles, each of which several slices may meet."""

    identities: set[str] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)


def begin_purge(conn: Connection, site: Site, now: int) -> Place | None:
    """Where the purge of a site begins; None for one that keeps everything."""
    before = {table: horizon(table, site.settings, now) for table in NEXT}
    known = {table: at for table, at in before.items() if at is not None}
    return _enter(conn, Place(site.site_id, now, known), "events") if known else None


def purge_slice(conn: Connection, place: Place, size: int) -> Slice:
    """Delete what is old among the next `size` rows."""
    lock_alone(conn, RETENTION)  # two purges beside each other would get in each other's way
    return _purge_visits(conn, place, size) if place.table == "visits" else _purge_log(conn, place, size)


def count_slice(conn: Connection, place: Place, size: int, tally: Tally) -> Slice:
    """What `purge_slice` would delete, from the same place in the same steps. Only reads."""
    return _count_visits(conn, place, size, tally) if place.table == "visits" else _count_log(conn, place, size, tally)


def claim_purge(conn: Connection, now: int, interval: int) -> bool:
    """Be the collector that purges, unless one did within `interval` (ms)."""
    if not try_alone(conn, CLAIM):
        return False
    claimed_at = int(_fetch_value(conn, CLAIM) or 0)
    if 0 <= now - claimed_at < interval:
        return False
    replace_value(conn, CLAIM, str(now))
    return True


def _enter(conn: Connection, place: Place, table: Stretch | None) -> Place | None:
    """The front of a table: after what is known to be gone."""
    if table is None:
        return None
    after = None if table == "visits" else _fetch_position(conn, place.site_id, table)
    return replace(place, table=table, after=after)


def _position_name(site_id: int, table: str) -> str:
    return f"retention of {table} of site {site_id}"


def _fetch_position(conn: Connection, site_id: int, table: Stretch) -> int:
    """The last row that was looked at; what lies before is gone or of other sites.

    SQLite gives the ids of rows again that were the last ones and were deleted. What came in their place is younger
    than the position, and then everything is looked at once more.
    """
    row_id, _, made_at = (_fetch_value(conn, _position_name(site_id, table)) or "0 0").partition(" ")
    key = KEYS[table]
    last = select(key.table.c.received_at).where(key <= int(row_id)).order_by(key.desc()).limit(1)
    is_void = (conn.scalar(last) or 0) >= int(made_at)
    return 0 if is_void else int(row_id)


def _fetch_value(conn: Connection, name: str) -> str | None:
    value: str | None = conn.scalar(select(installation.c.value).where(installation.c.name == name))
    return value


def _walk(conn: Connection, place: Place, size: int) -> tuple[Sequence[Row[Any]], Place | None, int]:
    """The next rows of any site that are old, where to go on, and how old the last of them is.

    It ends at the first row that is not old. One behind it that is (several collectors, a replay) goes when that does.
    """
    key = KEYS[place.table]
    table = key.table
    columns = [key.label("key"), table.c.site_id, table.c.received_at]
    if table is events:
        columns += [events.c.event_id, events.c.visit_id, events.c.profile_id]
    met = conn.execute(select(*columns).where(key > place.after).order_by(key).limit(size)).all()
    before = place.before[place.table]
    young = next((at for at, row in enumerate(met) if row.received_at >= before), len(met))
    old = met[:young]
    place = replace(place, after=old[-1].key) if old else place
    is_done = len(old) < size
    reached = before if is_done else old[-1].received_at
    return old, _enter(conn, place, NEXT[place.table]) if is_done else place, reached


def _purge_log(conn: Connection, place: Place, size: int) -> Slice:
    """A slice of events or decisions."""
    old, following, reached = _walk(conn, place, size)
    gone: Counter[str] = Counter()
    if not old:
        return Slice(gone, reached, following)
    key = KEYS[place.table]
    marked, leaves = _without_visit(conn, place.site_id, old)
    if marked or leaves:
        own_site(conn, place.site_id)
    # "+ 0" keeps SQLite from walking through the whole site by its other index.
    mine = and_(key > place.after, key <= old[-1].key, key.table.c.site_id + 0 == place.site_id)
    gone[place.table] = conn.execute(delete(key.table).where(mine)).rowcount
    outlook = Outlook(place.site_id, place.before[place.table])
    if marked:
        which = _marks(place.site_id, [row.event_id for row in marked])
        gone += _delete(conn, [(user_identifications, which & ~IS_RECOGNISING)])
        conn.execute(update(user_identifications).where(which).values(identity_id=None))
    gone += _release(conn, outlook, {row.identity_id for row in marked} - {None}, leaves)
    replace_value(conn, _position_name(place.site_id, place.table), f"{old[-1].key} {place.now}")
    return Slice(gone, reached, following)


def _count_log(conn: Connection, place: Place, size: int, tally: Tally) -> Slice:
    old, following, reached = _walk(conn, place, size)
    counted: Counter[str] = Counter({place.table: sum(row.site_id == place.site_id for row in old)})
    if place.table != "events" or not old:
        return Slice(counted, reached, following)
    marked, leaves = _without_visit(conn, place.site_id, old)
    which = _marks(place.site_id, [row.event_id for row in marked])
    counted += _count(conn, [(user_identifications, which & ~IS_RECOGNISING)] if marked else [])
    # Whom they name can be told only when it is known how far events go: at the visits.
    tally.identities |= {row.identity_id for row in marked} - {None}
    tally.profiles |= leaves
    return Slice(counted, reached, replace(following, events_end=old[-1].key) if following else None)


def _without_visit(conn: Connection, site_id: int, old: Sequence[Row[Any]]) -> tuple[Sequence[Any], set[str]]:
    """What only these events hold, as they are in no visit: rows of `user_identifications`, and leaves."""
    alone = [row for row in old if row.site_id == site_id and hasattr(row, "visit_id") and row.visit_id is None]
    if not alone:
        return [], set()
    table = user_identifications
    which = _marks(site_id, [row.event_id for row in alone])
    marked = conn.execute(select(table.c.event_id, table.c.identity_id).where(which)).all()
    return marked, {row.profile_id for row in alone} - {None}


def _marks(site_id: int, event_ids: Collection[str]) -> Condition:
    table = user_identifications
    return and_(table.c.site_id == site_id, table.c.event_id.in_(event_ids), table.c.visit_id.is_(None))


def _purge_visits(conn: Connection, place: Place, size: int) -> Slice:
    own_site(conn, place.site_id)  # nobody may begin to need what is found to be needed by nobody
    outlook = Outlook(place.site_id, place.before["visits"])
    going, after = fetch_outdated_visits(conn, outlook, place.after, size)
    gone: Counter[str] = Counter()
    if going:
        named = fetch_named_in(conn, place.site_id, going)
        leaves = fetch_speakers_in(conn, place.site_id, going)
        gone += _delete(conn, rows_of_visits(place.site_id, going))
        marks = user_identifications.c
        rest = and_(marks.site_id == place.site_id, marks.visit_id.in_(going))
        conn.execute(update(user_identifications).where(rest).values(visit_id=None, identity_id=None))
        gone += _release(conn, outlook, named, leaves)
    return _visits_done(gone, place, after)


def _count_visits(conn: Connection, place: Place, size: int, tally: Tally) -> Slice:
    outlook = Outlook(place.site_id, place.before["visits"], place.events_end)
    going, after = fetch_outdated_visits(conn, outlook, place.after, size)
    named = fetch_named_in(conn, place.site_id, going) - tally.identities
    leaves = fetch_speakers_in(conn, place.site_id, going) - tally.profiles
    if place.after is None:  # those that events without a visit led to
        named, leaves = named | tally.identities, leaves | tally.profiles
    tally.identities |= named
    tally.profiles |= leaves
    counted = _count(conn, rows_of_visits(place.site_id, going) if going else [])
    if identities := fetch_unnamed(conn, outlook, named):
        counted += _count(conn, rows_of_identities(place.site_id, identities))
    if unused := fetch_unused(conn, outlook, leaves):
        counted += _count(conn, rows_of_profiles(place.site_id, unused))
    return _visits_done(counted, place, after)


def _visits_done(gone: Counter[str], place: Place, after: tuple[int, str] | None) -> Slice:
    if after is None:
        return Slice(gone, place.before["visits"], None)
    return Slice(gone, after[0], replace(place, after=after))


def _release(conn: Connection, outlook: Outlook, named: Collection[str], leaves: Collection[str]) -> Counter[str]:
    """Delete those of the identities and profiles that nothing needs any more."""
    gone: Counter[str] = Counter()
    if identities := fetch_unnamed(conn, outlook, named):
        gone += _delete(conn, rows_of_identities(outlook.site_id, identities))
    if unused := fetch_unused(conn, outlook, leaves):
        gone += _delete(conn, rows_of_profiles(outlook.site_id, unused))
    return gone


def _delete(conn: Connection, rows: Sequence[tuple[Table, Condition]]) -> Counter[str]:
    return Counter({str(table.name): conn.execute(delete(table).where(which)).rowcount for table, which in rows})


def _count(conn: Connection, rows: Sequence[tuple[Table, Condition]]) -> Counter[str]:
    counted = {
        str(table.name): conn.scalar(select(func.count()).select_from(table).where(which)) or 0 for table, which in rows
    }
    return Counter(counted)
