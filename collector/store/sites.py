"""Sites: their keys, origins and settings; and the values that belong to the installation as a whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import orjson
from sqlalchemy import Connection, RowMapping, insert, select, update

from collector.domain.site import Site, SiteSettings
from collector.store.dialect import insert_on_conflict, insert_or_ignore
from collector.store.locks import reach_tables
from collector.store.schema import installation, sites


class NameTaken(ValueError):
    """There is a site of that name already."""


def parse_settings(values: dict[str, Any]) -> SiteSettings:
    """Settings from names and values, as stored or typed. Raises `ValueError` naming what is unknown or mistyped."""
    unknown = set(values) - {field.name for field in dataclasses.fields(SiteSettings)}
    if unknown:
        raise ValueError(f"unknown site setting: {', '.join(sorted(unknown))}")
    return msgspec.convert(values, SiteSettings, strict=False)


def _site(row: RowMapping) -> Site:
    return Site(
        site_id=row["site_id"],
        name=row["name"],
        write_key=row["write_key"],
        origins=tuple(orjson.loads(row["origins"])),
        settings=parse_settings(orjson.loads(row["settings"])),
        is_test=row["is_test"],
        disabled=row["disabled"],
        token_keys=row["token_keys"],
    )


def insert_site(conn: Connection, site: Site, now: int) -> int:
    """Add a site (its `site_id` is ignored) and return its id. Raises `NameTaken`."""
    if conn.scalar(select(sites.c.site_id).where(sites.c.name == site.name)) is not None:
        raise NameTaken(site.name)
    result = conn.execute(
        insert(sites),
        {
            "name": site.name,
            "write_key": site.write_key,
            "origins": orjson.dumps(site.origins).decode(),
            "settings": orjson.dumps(dataclasses.asdict(site.settings)).decode(),
            "is_test": site.is_test,
            "disabled": site.disabled,
            "token_keys": site.token_keys,
            "created_at": now,
        },
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def update_site(conn: Connection, site: Site) -> None:
    """Save origins, settings, number of token keys and the disabled mark of an existing site."""
    conn.execute(
        update(sites)
        .where(sites.c.site_id == site.site_id)
        .values(
            origins=orjson.dumps(site.origins).decode(),
            settings=orjson.dumps(dataclasses.asdict(site.settings)).decode(),
            disabled=site.disabled,
            token_keys=site.token_keys,
        )
    )


def fetch_sites(conn: Connection) -> list[Site]:
    """All sites."""
    return [_site(row) for row in conn.execute(select(sites).order_by(sites.c.site_id)).mappings()]


def fetch_site(conn: Connection, site_id: int) -> Site | None:
    """The site of that id."""
    row = conn.execute(select(sites).where(sites.c.site_id == site_id)).mappings().one_or_none()
    return None if row is None else _site(row)


def fetch_site_by_name(conn: Connection, name: str) -> Site | None:
    """The site of that name, which nobody else changes before this transaction ends."""
    row = conn.execute(select(sites).where(sites.c.name == name).with_for_update()).mappings().one_or_none()
    return None if row is None else _site(row)


def fetch_or_insert_value(conn: Connection, name: str, fresh: str) -> str:
    """A value of the installation (such as the key that signs cookies); `fresh` becomes it if there is none yet."""
    conn.execute(insert_or_ignore(conn, installation), {"name": name, "value": fresh})
    value = conn.scalar(select(installation.c.value).where(installation.c.name == name))
    assert value is not None
    return str(value)


def probe(conn: Connection, value: str) -> None:
    """Try whether events could be stored; `value` differs from the last one."""
    reach_tables(conn)
    replace_value(conn, "probe", value)


def replace_value(conn: Connection, name: str, value: str) -> None:
    """Store a value of the installation. A value that differs from the last one reaches the disk for certain."""
    statement = insert_on_conflict(conn, installation)
    replaced = {"value": statement.excluded.value}
    conn.execute(
        statement.on_conflict_do_update(index_elements=[installation.c.name], set_=replaced),
        {"name": name, "value": value},
    )
