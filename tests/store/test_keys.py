"""Secret keys on both engines: what opens a site, and who cannot be revoked or named twice."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from collector.domain.keys import Key, Scope
from collector.store.database import Database
from collector.store.keys import (
    KeyNameTaken,
    LastAdmin,
    fetch_keys,
    fetch_opened,
    insert_key,
    replace_key,
    revoke_key,
)
from tests.api_shop import full_key
from tests.store_transport import StoreTransport

SECRET = "rsk_of-the-site"


def key_of(transport: StoreTransport, secret: str, *scopes: Scope, name: str) -> Key:
    return full_key(transport.site.site_id, secret, *scopes, name=name)


async def test_a_secret_opens_its_site_with_its_scopes(transport: StoreTransport, database: Database) -> None:
    key = key_of(transport, SECRET, Scope.HISTORY_READ, Scope.PII_READ, name="crm")
    await database.write(insert_key, key)
    assert await database.read(fetch_opened, SECRET) == (transport.site, key)
    for wrong in ("", SECRET[:-1], f"{SECRET} ", "\udcff", key.secret_hash.hex()):
        assert await database.read(fetch_opened, wrong) is None


async def test_a_revoked_key_opens_nothing_and_stays_in_the_list(transport: StoreTransport, database: Database) -> None:
    key = key_of(transport, SECRET, name="crm")
    await database.write(insert_key, key)
    revoked = await database.write(revoke_key, key.site_id, key.key_id, 7)
    assert revoked == key
    assert await database.read(fetch_opened, SECRET) is None
    assert await database.read(fetch_keys, key.site_id) == [dataclasses.replace(key, revoked_at=7)]
    assert await database.write(revoke_key, key.site_id, key.key_id, 8) is None
    assert await database.write(revoke_key, key.site_id + 1, key.key_id, 8) is None


async def test_a_replaced_key_passes_on_what_it_opened(transport: StoreTransport, database: Database) -> None:
    await database.write(insert_key, key_of(transport, SECRET, Scope.QUARANTINE, name="default"))
    await database.write(replace_key, key_of(transport, "rsk_new", name="default"), 5)
    opened = await database.read(fetch_opened, "rsk_new")
    assert opened is not None
    assert opened[1].scopes == {Scope.QUARANTINE}
    assert await database.read(fetch_opened, SECRET) is None


async def test_of_two_keys_made_at_once_under_one_name_one_is_refused(
    transport: StoreTransport, database: Database
) -> None:
    keys = [key_of(transport, f"rsk_{number}", name="crm") for number in range(4)]
    made = await asyncio.gather(*(database.write(insert_key, key) for key in keys), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == [KeyNameTaken.__name__] * 3 + ["NoneType"]


async def test_the_last_that_administers_stays_also_when_all_are_revoked_at_once(
    transport: StoreTransport, database: Database
) -> None:
    keys = [key_of(transport, f"rsk_{number}", Scope.ADMIN, name=f"key {number}") for number in range(3)]
    for key in keys:
        await database.write(insert_key, key)
    done = await asyncio.gather(
        *(database.write(revoke_key, key.site_id, key.key_id, 5, keeps_an_admin=True) for key in keys),
        return_exceptions=True,
    )
    assert sum(isinstance(each, LastAdmin) for each in done) == 1
    left = [key for key in await database.read(fetch_keys, transport.site.site_id) if key.revoked_at is None]
    assert len(left) == 1
    with pytest.raises(LastAdmin):
        await database.write(revoke_key, left[0].site_id, left[0].key_id, 6, keeps_an_admin=True)
