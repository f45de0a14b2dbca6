"""Reading identities and contacts back, for the History API: pages by keyset, newest first.

An identityId leads to a person by what that person holds or held; somebody who was only ever named by a hint has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Select, Table, literal_column, select

from collector.domain.event import Trust
from collector.domain.history import AHEAD_MS, Agent, Identity, SeenContact, Visit, Whom, location_of, name_of
from collector.domain.identifiers import clean_email
from collector.domain.traits import Trait, fold_traits
from collector.store.events import fetch_first_seen, fetch_last_seen
from collector.store.history import Before, fetch_session, is_in_visit, older
from collector.store.prepared import Slot, fetch, fetch_by_ids, is_one_of
from collector.store.profiles import fetch_cluster, fetch_roots
from collector.store.schema import (
    contacts,
    identifiers,
    identities,
    profiles,
    retirements,
    traits,
)
from collector.store.walk import walk

SCOPE = 50  # devices of an identity that are told
CHUNK = 500
EXAMINED = 2000  # rows of a site that one page looks at, at most


class Narrowed(NamedTuple):
    """What contacts and user identifications are narrowed to; None is any."""

    identity_id: str | None = None
    session_id: str | None = None
    visit_id: str | None = None
    device_id: str | None = None
    since: int | None = None


def find_whom(conn: Connection, site_id: int, identity_id: str) -> Whom | None:
    """Who answers to an identityId: by customer id, e-mail, e-mail of old, or as somebody named. None: unknown."""
    email = clean_email(identity_id)
    leaf = _find_leaf(conn, site_id, identity_id, email)
    mine = (identities.c.site_id == site_id, identities.c.identity_id.in_({identity_id, email or identity_id}))
    named = set(conn.scalars(select(identities.c.identity_id).where(*mine)))
    if leaf is None and not named:
        return None
    called = identity_id if identity_id in named or email is None else email
    root = fetch_roots(conn, site_id, [leaf]).get(leaf) if leaf is not None else None
    return Whom(called, tuple(leaf for leaf, _ in fetch_cluster(conn, site_id, root)) if root else ())


def _find_leaf(conn: Connection, site_id: int, identity_id: str, email: str | None) -> str | None:
    held: tuple[tuple[Table, str, str | None], ...] = (
        (identifiers, "cid", identity_id),
        (identifiers, "email", email),
        (retirements, "email", email),
    )
    for table, kind, value in held:
        mine = (table.c.site_id == site_id, table.c.kind == kind, table.c.value == value)
        leaf: str | None = conn.scalar(select(table.c.profile_id).where(*mine).limit(1)) if value else None
        if leaf is not None:
            return leaf
    return None


def fetch_identities(
    conn: Connection,
    site_id: int,
    limit: int,
    before: Before | None = None,
    *,
    since: int | None = None,
    device_id: str | None = None,
    agent: Agent | None = None,
) -> tuple[list[Identity], Before | None]:
    """Identities, the last to arrive first, and the key from which the list goes on, None at its end.

    Which of them used a user agent is looked up one by one: at most `EXAMINED` for a page.
    """
    found, key = walk(
        lambda key, count: _fetch_chunk(conn, site_id, count, key, since, device_id),
        lambda row: (row.arrived_at, row.identity_id),
        lambda row: agent is None or _used(conn, site_id, row.identity_id, agent),
        limit=limit,
        before=before,
        chunk=CHUNK if agent else limit + 1,
        most=EXAMINED,
    )
    return _complete(conn, site_id, found), key


def _fetch_chunk(
    conn: Connection, site_id: int, limit: int, before: Before | None, since: int | None, device_id: str | None
) -> Sequence[Any]:
    table = identities.c
    arrived_at: ColumnElement[int] = table.arrived_at
    conditions = [table.site_id == site_id]
    if device_id is not None:
        arrived_at = table.arrived_at + 0  # those of one device are few, and are sorted
        mine = (contacts.c.site_id == site_id, contacts.c.device_id == device_id)
        conditions.append(table.identity_id.in_(select(contacts.c.identity_id).where(*mine)))
    if since is not None:
        conditions += [table.first_at >= since, arrived_at >= since - AHEAD_MS]
    if before is not None:
        conditions += older(arrived_at, table.identity_id, before)
    columns = (table.identity_id, table.first_at, table.last_at, table.arrived_at)
    order = (arrived_at.desc(), table.identity_id.desc())
    return conn.execute(select(*columns).where(*conditions).order_by(*order).limit(limit)).all()


def _used(conn: Connection, site_id: int, identity_id: str, agent: Agent) -> bool:
    mine = (contacts.c.site_id == site_id, contacts.c.identity_id == identity_id)
    query = select(contacts.c.contact_id).where(*mine, *is_in_visit(contacts.c, None, agent)).limit(1)
    return conn.scalar(query) is not None


def fetch_identity(conn: Connection, site_id: int, of: Whom) -> Identity:
    """One identity. One that was never named by itself has the dates of its person."""
    found = fetch_identities_by_id(conn, site_id, [of.identity_id])
    if found:
        return found[0]
    first = fetch_first_seen(conn, site_id, of.leaves) or 0
    last = fetch_last_seen(conn, site_id, of.leaves) or first
    return _told(conn, site_id, of.identity_id, (first, last), of.leaves)


def fetch_identities_by_id(conn: Connection, site_id: int, identity_ids: Sequence[str]) -> list[Identity]:
    """Those of `identity_ids` that were named, in this order."""
    if not identity_ids:
        return []
    table = identities.c
    mine = (table.site_id == site_id, table.identity_id.in_(identity_ids))
    rows: dict[str, Any] = {
        row.identity_id: row
        for row in conn.execute(select(table.identity_id, table.first_at, table.last_at).where(*mine))
    }
    return _complete(
        conn, site_id, [rows[identity_id] for identity_id in dict.fromkeys(identity_ids) if identity_id in rows]
    )


def fetch_identities_in(conn: Connection, site_id: int, visit: Visit) -> list[Identity]:
    """The identities that were in a visit, in order of being named, and whom it is held to be of."""
    mine = (contacts.c.site_id == site_id, contacts.c.visit_id == visit.visit_id)
    order = (contacts.c.occurred_at + 0, contacts.c.contact_id)  # these are few, and are sorted
    named = list(conn.scalars(select(contacts.c.identity_id).where(*mine).order_by(*order)))
    return fetch_identities_by_id(conn, site_id, named + ([visit.identity_id] if visit.identity_id is not None else []))


def _complete(conn: Connection, site_id: int, rows: Sequence[Any]) -> list[Identity]:
    """Identities with what is known of the people behind them; a few statements for all, and two for each."""
    ids = [row.identity_id for row in rows]
    leaf_of = _find_leaves(conn, site_id, ids)
    root_of = fetch_roots(conn, site_id, set(leaf_of.values()))
    clusters = _fetch_clusters(conn, site_id, sorted(set(root_of.values())))
    found = []
    for row in rows:
        leaf = leaf_of.get(row.identity_id)
        leaves = clusters.get(root_of.get(leaf, ""), ()) if leaf else ()
        found.append(_told(conn, site_id, row.identity_id, (row.first_at, row.last_at), leaves))
    return found


def _find_leaves(conn: Connection, site_id: int, identity_ids: Sequence[str]) -> dict[str, str]:
    """The leaf that each identityId leads to, where there is one."""
    if not identity_ids:
        return {}
    emails = {email: identity_id for identity_id in identity_ids if (email := clean_email(identity_id)) is not None}
    found: dict[str, str] = {}
    for table, kind, names in (
        (retirements, "email", emails),
        (identifiers, "email", emails),
        (identifiers, "cid", {identity_id: identity_id for identity_id in identity_ids}),
    ):
        mine = (table.c.site_id == site_id, table.c.kind == kind, table.c.value.in_(list(names)))
        for value, leaf in conn.execute(select(table.c.value, table.c.profile_id).where(*mine)) if names else ():
            found[names[value]] = leaf
    return found


def _members(site: Slot, *roots: Slot) -> Select[Any]:
    mine = (profiles.c.site_id == site, is_one_of(profiles.c.merged_into, roots))
    return select(profiles.c.merged_into, profiles.c.profile_id).where(*mine)


def _fetch_clusters(conn: Connection, site_id: int, roots: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found = {root: [root] for root in roots}
    for root, leaf in fetch_by_ids(conn, _members, site_id, roots):
        found[root].append(leaf)
    return {root: tuple(leaves) for root, leaves in found.items()}


def _devices_of_identity(site: Slot, identity: Slot) -> Select[Any]:
    mine = (contacts.c.site_id == site, contacts.c.identity_id == identity, contacts.c.device_id.is_not(None))
    order = (contacts.c.occurred_at.desc(), contacts.c.contact_id.desc())
    return select(contacts.c.device_id).where(*mine).order_by(*order).limit(CHUNK)


def _devices_of_leaves(site: Slot, *leaves: Slot) -> Select[Any]:
    # A contact without a device is left out afterwards: by an index on devices SQLite would read all that have one.
    mine = (contacts.c.site_id == site, is_one_of(contacts.c.profile_id, leaves))
    return select(contacts.c.device_id).where(*mine).limit(literal_column("500"))


def _traits(site: Slot, *leaves: Slot) -> Select[Any]:
    table = traits.c
    columns = (table.name, table.value, table.trust, table.occurred_at, table.event_id, table.is_claim)
    return select(*columns).where(table.site_id == site, is_one_of(table.profile_id, leaves))


def _told(conn: Connection, site_id: int, identity_id: str, dates: tuple[int, int], leaves: Sequence[str]) -> Identity:
    rows = fetch_by_ids(conn, _traits, site_id, leaves)
    counted, _ = fold_traits(Trait(name, value, Trust(trust), *rest) for name, value, trust, *rest in rows)
    said = {name: orjson.loads(trait.value) for name, trait in counted.items()}
    seen = [device for (device,) in fetch(conn, _devices_of_identity, site_id, identity_id)]
    seen += [device for (device,) in fetch_by_ids(conn, _devices_of_leaves, site_id, leaves) if device is not None]
    devices = tuple(dict.fromkeys(seen))[:SCOPE]
    return Identity(identity_id, *dates, name_of(said), location_of(said), devices)


def narrowing(columns: Any, site_id: int, wanted: Narrowed, at: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """What `wanted` asks of a row that happened `at`, but for its session."""
    conditions = [columns.site_id == site_id]
    if wanted.visit_id is not None:
        conditions.append(columns.visit_id == wanted.visit_id)
    if wanted.identity_id is not None:
        conditions.append(columns.identity_id == wanted.identity_id)
    if wanted.device_id is not None:
        conditions.append(columns.device_id == wanted.device_id)
    if wanted.since is not None:
        conditions.append(at >= wanted.since)
    return conditions


def fetch_contacts(
    conn: Connection, site_id: int, wanted: Narrowed, limit: int, before: Before | None = None
) -> list[SeenContact]:
    """At most `limit` contacts, newest first; `before` is the (occurred_at, contact_id) of the last one shown."""
    table = contacts.c
    at: ColumnElement[int] = table.occurred_at
    if wanted.session_id is not None or wanted.visit_id is not None:
        at = table.occurred_at + 0  # those of one visit are few, and are sorted
    conditions = narrowing(table, site_id, wanted, at)
    if wanted.session_id is not None:
        found = fetch_session(conn, site_id, wanted.session_id)
        if found is None:
            return []
        conditions += [table.visit_id == found[0].visit_id, table.session_id == wanted.session_id]
    if before is not None:
        conditions += older(at, table.contact_id, before)
    columns = (
        table.contact_id,
        table.identity_id,
        table.session_id,
        table.visit_id,
        table.device_id,
        table.occurred_at,
    )
    query = select(*columns).where(*conditions).order_by(at.desc(), table.contact_id.desc()).limit(limit)
    return [SeenContact(*row) for row in conn.execute(query)]
