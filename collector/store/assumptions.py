"""The rows around the assumption of whom a visit is (WM-Recognized): loaded, decided on by the rule, saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, func, literal_column, select

from collector.domain.assumption import Joining, Naming, customer_since, is_assumed
from collector.domain.recognition import DAY_MS, is_shared
from collector.domain.visit import Marker, MarkerKind
from collector.store.devices import fetch_assertions
from collector.store.marks import (
    UserIdentification,
    delete_marker,
    fold_again,
    insert_user_identification,
    insert_user_identifications,
    save_assumptions,
)
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of, padded
from collector.store.profiles import fetch_cluster, fetch_root, fetch_roots
from collector.store.schema import events, identifiers, merges, profiles, user_identifications, visit_profiles, visits
from collector.store.visits import fetch_beginning, hold_visit

# In these words, SQLite does not begin with all customers of a site. A look-up by ids has no parameters but ids.
IS_CID = func.lower(identifiers.c.kind) == literal_column("'cid'")
# A visit that no SDK named is called by the event that began it, which may be marked itself.
IS_ASSUMPTION = user_identifications.c.kind == literal_column(f"'{MarkerKind.ASSUMPTION}'")

CUSTOMERS_OF_ONE = 3  # R13: with no more of them ever, a device is not shared
CLOCKS_DIFFER_MS = 10 * 60_000  # the times of one device that were corrected for its clock can be off by some minutes


class Begun(NamedTuple):
    """A visit that a group began, as far as it knows, and who spoke first in it."""

    visit_id: str
    leaf: str


def assume_begun(conn: Connection, site_id: int, begun: Sequence[Begun], cids: Mapping[str, str]) -> set[str]:
    """`settle_assumption` for many visits at once, as far as they are the plain case; returns those that are.

    Nobody said in such a visit who they are, its leaf was accepted as the customer before, its device is not shared; or
    its leaf, of whom no other profile tells anything, was accepted no sooner than in it, and so nobody is assumed.
    `cids` are those of the leaves that have one.
    """
    if not begun:
        return set()
    named = {row[:2]: row[2] for row in fetch_by_ids(conn, _own_namings, site_id, list({each.leaf for each in begun}))}
    stored = {row[0]: row[1:] for row in fetch_by_ids(conn, _starts, site_id, [each.visit_id for each in begun])}
    devices = {device_id for device_id, *_ in stored.values() if device_id is not None}
    crowded = {row[0] for row in fetch_by_ids(conn, _crowds, site_id, list(devices)) if row[1] > CUSTOMERS_OF_ONE}
    assumed: list[UserIdentification] = []
    named_later: list[Begun] = []
    for each in begun:
        device_id, started_at, speakers, is_marked, is_old = stored[each.visit_id]
        cid = cids.get(each.leaf)
        since = None if cid is None else named.get((each.leaf, cid))
        is_first = speakers == 1  # of two, the browser's counter may have to say who was first
        if is_first and not is_marked and is_assumed(started_at, since, is_shared=device_id in crowded):
            marker = Marker(each.visit_id, MarkerKind.ASSUMPTION, 0, 0, started_at, each.leaf, cid)
            assumed.append(UserIdentification(marker, each.visit_id, None, None, None))
        elif is_first and not is_old and since is not None and since >= started_at:
            named_later.append(each)
    insert_user_identifications(conn, site_id, assumed)
    save_assumptions(conn, site_id, [row.marker for row in assumed])
    alone = _fetch_alone(conn, site_id, {each.leaf for each in named_later})
    return {row.marker.event_id for row in assumed} | {each.visit_id for each in named_later if each.leaf in alone}


def _fetch_alone(conn: Connection, site_id: int, leaves: Collection[str]) -> set[str]:
    """Those of `leaves` of whose person no other profile is."""
    roots = fetch_roots(conn, site_id, leaves)
    followed = {row[0] for row in fetch_by_ids(conn, _followed, site_id, list(leaves))}
    return {leaf for leaf, root in roots.items() if root == leaf} - followed


def settle_assumption(conn: Connection, site_id: int, visit_id: str) -> None:
    """Assume of a visit what was known of its first speaker when it began, and fold it again if that is news.

    Its events are stored already, and so is all that this transaction says of people.
    """
    begun = fetch_beginning(conn, site_id, visit_id)
    if begun is None:
        return
    leaf, moment = begun
    cid, since = _fetch_customer(conn, site_id, leaf)
    assumed = _fetch_assumption(conn, site_id, visit_id)
    if cid is None and assumed is None:
        return
    held = hold_visit(conn, site_id, visit_id)
    if held is None:
        return
    device_id, started_at = held
    is_certain = device_id is None or not is_shared_device(conn, site_id, device_id, moment.at)
    wanted = (leaf, cid) if is_assumed(started_at, since, is_shared=not is_certain) else None
    if wanted == assumed:
        return
    if assumed is not None:
        delete_marker(conn, site_id, visit_id)
    if wanted is not None:
        marker = Marker(visit_id, MarkerKind.ASSUMPTION, 0, 0, started_at, leaf, cid)
        insert_user_identification(conn, site_id, UserIdentification(marker, visit_id, None, None, None))
    fold_again(conn, site_id, visit_id)


def withdraw_assumptions(conn: Connection, site_id: int, leaves: Sequence[str]) -> None:
    """After a merge of these leaves was undone: settle again the visits assumed of a customer no longer theirs."""
    customers = fetch_customers(conn, site_id, leaves)
    for visit_id, leaf, assumed in fetch_by_ids(conn, _assumed, site_id, leaves):
        if customers.get(leaf) != assumed:
            settle_assumption(conn, site_id, visit_id)


def _begun_on(site: Slot, device: Slot, since: Slot, until: Slot, at: Slot) -> Select[Any]:
    mine = (visits.c.site_id == site, visits.c.device_id == device, visits.c.started_at.between(since, until))
    return select(visits.c.visit_id).where(*mine, visits.c.since_at > at)


def fetch_visits_shared_with(
    conn: Connection, site_id: int, device_id: str, said: Sequence[tuple[int, int]]
) -> set[str]:
    """The visits on a device that began after somebody said there who they are, when it can have been shared (R13).

    `said` are the times of that, ms: when it occurred for us, and on the browser's own clock.
    """
    since = min(occurred_at for occurred_at, _ in said) - CLOCKS_DIFFER_MS
    until = max(occurred_at for occurred_at, _ in said) + CLOCKS_DIFFER_MS + 2 * DAY_MS
    rows = fetch(conn, _begun_on, site_id, device_id, since, until, min(at for _, at in said))
    return {visit_id for (visit_id,) in rows}


def is_shared_device(conn: Connection, site_id: int, device_id: str, at: int, *being_made: tuple[int, str]) -> bool:
    """R13, from the assertions (time, CID) on the device and those that are being made, which count too."""
    recent = fetch_assertions(conn, site_id, device_id, at - 2 * DAY_MS)
    return is_shared(sorted([*((made.moment.at, made.cid) for made in recent), *being_made]), at)


def _customers(site: Slot, *leaves: Slot) -> Select[Any]:
    held = (identifiers.c.site_id == profiles.c.site_id) & (identifiers.c.profile_id == _root(profiles))
    mine = (profiles.c.site_id == site, is_one_of(profiles.c.profile_id, leaves), IS_CID)
    return select(profiles.c.profile_id, identifiers.c.value).join(identifiers, held).where(*mine)


def _customers_by_followers(site: Slot, *leaves: Slot) -> Select[Any]:
    other = profiles.alias("other")  # of the same person: a CID is held by the leaf that said it
    same = (other.c.site_id == profiles.c.site_id, other.c.merged_into == _root(profiles))
    followers = select(other.c.profile_id).where(*same).correlate(profiles)
    held = (identifiers.c.site_id == profiles.c.site_id, identifiers.c.profile_id.in_(followers), IS_CID)
    cid = select(func.min(identifiers.c.value)).where(*held).correlate(profiles).scalar_subquery()
    return select(profiles.c.profile_id, cid).where(
        profiles.c.site_id == site, is_one_of(profiles.c.profile_id, leaves)
    )


def _root(table: Table) -> ColumnElement[str]:
    return func.coalesce(table.c.merged_into, table.c.profile_id)


def fetch_customers(conn: Connection, site_id: int, leaves: Collection[str]) -> dict[str, str]:
    """Those of `leaves` whose person has a CID, and the CID."""
    found: dict[str, str] = dict(fetch_by_ids(conn, _customers, site_id, list(leaves)))
    others = [leaf for leaf in leaves if leaf not in found]
    rows = fetch_by_ids(conn, _customers_by_followers, site_id, others)
    return found | {leaf: cid for leaf, cid in rows if cid is not None}


def _own_namings(site: Slot, *leaves: Slot) -> Select[Any]:
    table = user_identifications
    said = (table.c.site_id == site, is_one_of(table.c.profile_id, leaves), table.c.cid.is_not(None))
    query = select(table.c.profile_id, table.c.cid, func.min(table.c.occurred_at)).where(*said)
    return query.group_by(table.c.profile_id, table.c.cid)


def _followed(site: Slot, *leaves: Slot) -> Select[Any]:
    mine = (profiles.c.site_id == site, is_one_of(profiles.c.merged_into, leaves))
    return select(profiles.c.merged_into).where(*mine)


def _starts(site: Slot, *visit_ids: Slot) -> Select[Any]:
    marks = user_identifications
    is_marked = select(marks.c.event_id).where(
        marks.c.site_id == visits.c.site_id, marks.c.visit_id == visits.c.visit_id
    )
    pair = visit_profiles.c
    spoken = (pair.site_id == visits.c.site_id, pair.visit_id == visits.c.visit_id)
    speakers = select(func.count()).select_from(visit_profiles).where(*spoken).scalar_subquery()
    columns = (visits.c.visit_id, visits.c.device_id, visits.c.started_at, speakers)
    is_old = is_marked.where(marks.c.event_id == visits.c.visit_id)  # somebody was assumed already
    return select(*columns, is_marked.exists(), is_old.exists()).where(
        visits.c.site_id == site, is_one_of(visits.c.visit_id, visit_ids)
    )


def _crowds(site: Slot, *devices: Slot) -> Select[Any]:
    table = user_identifications
    said = (table.c.site_id == site, is_one_of(table.c.device_id, devices), table.c.cid.is_not(None))
    return select(table.c.device_id, func.count(table.c.cid.distinct())).where(*said).group_by(table.c.device_id)


def _assumption(site: Slot, visit: Slot) -> Select[Any]:
    table = user_identifications  # an assumption is marked under the id of its visit
    mine = (table.c.site_id == site, table.c.event_id == visit, IS_ASSUMPTION)
    return select(table.c.profile_id, table.c.identity_id).where(*mine)


def _assumed(site: Slot, *leaves: Slot) -> Select[Any]:
    table = user_identifications
    mine = (table.c.site_id == site, is_one_of(table.c.profile_id, leaves), IS_ASSUMPTION)
    return select(table.c.visit_id, table.c.profile_id, table.c.identity_id).where(*mine)


def _fetch_assumption(conn: Connection, site_id: int, visit_id: str) -> tuple[str, str] | None:
    """(leaf, CID) of whom a visit is assumed to be, None for nobody."""
    rows = fetch(conn, _assumption, site_id, visit_id)
    return (rows[0][0], rows[0][1]) if rows else None


def _held(site: Slot, *leaves: Slot) -> Select[Any]:
    held = (identifiers.c.site_id == site, is_one_of(identifiers.c.profile_id, leaves), IS_CID)
    return select(identifiers.c.value, identifiers.c.assigned_at, identifiers.c.profile_id).where(*held)


def _namings(site: Slot, cid: Slot, *leaves: Slot) -> Select[Any]:
    table = user_identifications
    said = (table.c.site_id == site, table.c.cid == cid, is_one_of(table.c.profile_id, leaves))
    return select(func.min(table.c.occurred_at), table.c.profile_id).where(*said).group_by(table.c.profile_id)


def _joinings(site: Slot, *leaves: Slot) -> Select[Any]:
    at = func.coalesce(events.c.occurred_at, merges.c.merged_at)
    same = (events.c.site_id == merges.c.site_id) & (events.c.event_id == merges.c.event_id)
    holding = (merges.c.site_id == site, is_one_of(merges.c.loser_id, leaves), merges.c.reversed_at.is_(None))
    columns = (at, merges.c.winner_id, merges.c.loser_id, merges.c.rule)
    return select(*columns).outerjoin(events, same).where(*holding)


def _fetch_customer(conn: Connection, site_id: int, leaf: str) -> tuple[str | None, int | None]:
    """The CID of the person of a leaf, and since when (ms) they are known to be that customer."""
    root = fetch_root(conn, site_id, leaf)
    leaves: Sequence[str] = () if root is None else [member for member, _ in fetch_cluster(conn, site_id, root)]
    held = fetch_by_ids(conn, _held, site_id, leaves)
    if not held:
        return None, None
    cid, assigned_at, holder = held[0]
    # The first who said so counts, which need not be the first of whom we heard.
    namings = [Naming(*row) for row in fetch(conn, _namings, site_id, cid, *padded(leaves))]
    joined = fetch_by_ids(conn, _joinings, site_id, leaves) if len(leaves) > 1 else ()
    return cid, customer_since(leaf, namings or [Naming(assigned_at, holder)], [Joining(*row) for row in joined])
