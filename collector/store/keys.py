"""Secret keys: what each opens, who made it void, and the site that one opens."""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection, RowMapping, insert, select, update

from collector.domain.keys import Key, Scope, find_opened, sorted_scopes
from collector.domain.site import Site
from collector.store.schema import keys, sites
from collector.store.sites import fetch_site


class KeyNameTaken(ValueError):
    """The site has a valid key of that name already."""


class LastAdmin(ValueError):
    """Without this key nobody could administer the site over HTTP."""


def _key(row: RowMapping) -> Key:
    return Key(
        site_id=row["site_id"],
        key_id=row["key_id"],
        name=row["name"],
        secret_hash=row["secret_hash"],
        scopes=frozenset(Scope) & frozenset(row["scopes"].split()),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def insert_key(conn: Connection, key: Key) -> None:
    """Add a key. Raises `KeyNameTaken`."""
    _lock(conn, key.site_id)
    if any(other.name == key.name for other in fetch_keys(conn, key.site_id) if other.revoked_at is None):
        raise KeyNameTaken(key.name)
    conn.execute(
        insert(keys),
        {
            "site_id": key.site_id,
            "key_id": key.key_id,
            "name": key.name,
            "secret_hash": key.secret_hash,
            "scopes": " ".join(sorted_scopes(key.scopes)),
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
        },
    )


def revoke_key(conn: Connection, site_id: int, key_id: str, now: int, *, keeps_an_admin: bool = False) -> Key | None:
    """Make a key void, for ever; the key, or None if the site has no valid one of that id.

    With `keeps_an_admin` raises `LastAdmin` for the last valid key that administers.
    """
    _lock(conn, site_id)
    valid = {key.key_id: key for key in fetch_keys(conn, site_id) if key.revoked_at is None}
    revoked = valid.pop(key_id, None)
    if revoked is None:
        return None
    if keeps_an_admin and revoked.is_admin and not any(key.is_admin for key in valid.values()):
        raise LastAdmin(key_id)
    conn.execute(update(keys).where(keys.c.site_id == site_id, keys.c.key_id == key_id).values(revoked_at=now))
    return revoked


def replace_key(conn: Connection, key: Key, now: int) -> None:
    """Add a key and revoke the valid one of its name, if there is one; the new one opens what that opened."""
    _lock(conn, key.site_id)
    before = next(
        (old for old in fetch_keys(conn, key.site_id) if old.name == key.name and old.revoked_at is None), None
    )
    if before is not None:
        revoke_key(conn, key.site_id, before.key_id, now)
        key = dataclasses.replace(key, scopes=before.scopes)
    insert_key(conn, key)


def fetch_keys(conn: Connection, site_id: int) -> list[Key]:
    """All keys of a site in the order in which they were made, revoked ones too."""
    of_site = select(keys).where(keys.c.site_id == site_id).order_by(keys.c.created_at, keys.c.key_id)
    return [_key(row) for row in conn.execute(of_site).mappings()]


def fetch_opened(conn: Connection, secret: str) -> tuple[Site, Key] | None:
    """The site that the secret key `secret` opens, and what the key may do there."""
    valid = conn.execute(select(keys).where(keys.c.revoked_at.is_(None))).mappings()
    key = find_opened(map(_key, valid), secret)
    site = None if key is None else fetch_site(conn, key.site_id)
    return None if key is None or site is None else (site, key)


def _lock(conn: Connection, site_id: int) -> None:
    """Until the end of the transaction nobody else changes the keys of this site."""
    conn.execute(select(sites.c.site_id).where(sites.c.site_id == site_id).with_for_update())
