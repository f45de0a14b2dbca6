"""`/api/v1/keys`: the secret keys of a site, made and revoked by one that administers it."""

from __future__ import annotations

import secrets
from typing import Annotated, TypedDict

from aiohttp import web
from msgspec import Meta, Struct

from collector.domain.keys import (
    MAX_NAME,
    SECRET_KEY_BYTES,
    Key,
    Scope,
    hash_secret,
    key_document,
    secret_key_of,
)
from collector.store.keys import KeyNameTaken, LastAdmin, fetch_keys, insert_key, revoke_key
from collector.web.api.access import Problem, reply
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import EntityId, NoQuery
from collector.web.api.shapes import Id, Ms

KeyName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, description="What the key is for.")]


class Wanted(Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: KeyName
    scopes: Annotated[list[Scope], Meta(max_length=len(Scope))]


class KeyShown(TypedDict):
    """A secret key, without its secret."""

    key_id: Id
    name: str
    scopes: list[Scope]
    created_at: Ms
    revoked_at: Ms | None


class KeyMade(KeyShown):
    """A new secret key. The secret is answered now and never again."""

    secret_key: str


class KeyList(TypedDict):
    """All keys of the site, in the order in which they were made."""

    items: list[KeyShown]


async def get_keys(call: Call[NoQuery]) -> web.Response:
    """All keys of the site, revoked ones too."""
    return reply({"items": [key_document(key) for key in await call.read(fetch_keys)]})


async def post_key(call: Call[NoQuery]) -> web.Response:
    """Make a key. It cannot open what the key that makes it does not open."""
    wanted: Wanted = call.body
    scopes = frozenset(wanted.scopes)
    if not wanted.name.strip() or not wanted.name.isprintable():
        raise Problem("invalid_parameter", "name", "name is not text that can be printed.")
    lacking = [scope for scope in scopes if not call.key.opens(scope)]
    if lacking:
        raise Problem("scope_missing", "scopes", "A key can give no scope that it has not itself.")
    secret = secret_key_of(secrets.token_bytes(SECRET_KEY_BYTES))
    key = Key(call.site.site_id, call.edge.fresh_id(), wanted.name, hash_secret(secret), scopes, call.now())
    try:
        await call.parts.database.write(insert_key, key)
    except KeyNameTaken:
        raise Problem("name_taken", "name") from None
    return reply({**key_document(key), "secret_key": secret}, 201)


async def delete_key(call: Call[NoQuery]) -> web.Response:
    """Make a key void, at once and for ever; answers with the key."""
    try:
        revoked = await call.write(revoke_key, call.path["key_id"], call.now(), keeps_an_admin=True)
    except LastAdmin:
        raise Problem("last_admin_key") from None
    if revoked is None:
        raise Problem("not_found", message="There is no such valid key.")
    return reply(key_document(revoked))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/keys",
        get_keys,
        "The secret keys of the site, revoked ones too",
        Scope.ADMIN,
        reply=KeyList,
    ),
    Endpoint(
        "POST",
        "/api/v1/keys",
        post_key,
        "Make a secret key; its secret is answered once",
        Scope.ADMIN,
        body=Wanted,
        reply=KeyMade,
        status=201,
        errors=("name_taken",),
    ),
    Endpoint(
        "DELETE",
        "/api/v1/keys/{key_id}",
        delete_key,
        "Revoke a secret key",
        Scope.ADMIN,
        path_types={"key_id": EntityId},
        reply=KeyShown,
        errors=("not_found", "last_admin_key"),
    ),
)
