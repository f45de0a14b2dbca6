"""The work of `regulars key`: the secret keys of a site and what each opens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import orjson
import uuid_utils
from rich.text import Text
from sqlalchemy import Connection

from collector.cli.opening import choose_site, existing_database, existing_site, now_ms, patiently, read_settings
from collector.cli.output import plain, say, say_pairs, utc
from collector.cli.trouble import Trouble
from collector.domain.keys import (
    MAX_NAME,
    SECRET_KEY_BYTES,
    Key,
    Scope,
    hash_secret,
    key_document,
    parse_scopes,
    secret_key_of,
    sorted_scopes,
)
from collector.store.keys import KeyNameTaken, fetch_keys, insert_key
from collector.store.keys import revoke_key as revoke


def new_key(site_id: int, name: str, scopes: frozenset[Scope]) -> tuple[Key, str]:
    """A fresh key of a site and its secret, which is kept nowhere."""
    secret = secret_key_of(secrets.token_bytes(SECRET_KEY_BYTES))
    return Key(site_id, str(uuid_utils.uuid7()), name, hash_secret(secret), scopes, now_ms()), secret


def add_key(file: Path | None, site_name: str, name: str, scopes: Sequence[str], *, as_json: bool) -> None:
    """Add a key to a site and print it, now and never again. Raises `Trouble`."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        raise Trouble(f"the key needs a name that can be printed, of {MAX_NAME} characters at most")
    try:
        chosen = parse_scopes(scopes)
    except ValueError as error:
        raise Trouble(f"--scope: {error}") from None

    def save(conn: Connection) -> tuple[Key, str]:
        made, secret = new_key(existing_site(conn, site_name).site_id, name, chosen)
        insert_key(conn, made)
        return made, secret

    with existing_database(read_settings(file)) as database:
        try:
            made, secret = patiently(lambda: database.transact(save))
        except KeyNameTaken:
            raise Trouble(f"{site_name} has a key named {name} already") from None
    if as_json:
        say(orjson.dumps(key_document(made) | {"secret_key": secret}).decode())
        return
    say_pairs({"key_id": made.key_id, "scopes": " ".join(sorted_scopes(made.scopes)), "secret_key": secret})
    say(Text("Keep it: it is not shown again. It is for your servers, never for a page.", style="yellow"))


def list_keys(file: Path | None, site_name: str, *, as_json: bool) -> None:
    """Print the keys of a site in the order in which they were made. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        keys = database.read_now(fetch_keys, choose_site(database, site_name).site_id)
    if as_json:
        say(orjson.dumps({"keys": [key_document(key) for key in keys]}).decode())
        return
    for key in keys:
        say(Text(plain(key.name), style="bold").append("" if key.revoked_at is None else "  revoked", style="yellow"))
        pairs = {"key_id": key.key_id, "scopes": " ".join(sorted_scopes(key.scopes)), "created": utc(key.created_at)}
        say_pairs(pairs if key.revoked_at is None else pairs | {"revoked": utc(key.revoked_at)})
    if not keys:
        say("The site has no key; `regulars key add` makes one.")


def revoke_key(file: Path | None, site_name: str, name: str, *, as_json: bool) -> None:
    """Make the key of that name or id void. Raises `Trouble`."""

    def save(conn: Connection) -> Key:
        site = existing_site(conn, site_name)
        valid = [key for key in fetch_keys(conn, site.site_id) if key.revoked_at is None]
        by_id = {key.key_id: key for key in valid}
        chosen = by_id.get(name) or next((key for key in valid if key.name == name), None)
        revoked = chosen and revoke(conn, site.site_id, chosen.key_id, now_ms())
        if revoked is None:
            raise Trouble(f"{site_name} has no valid key {name}; `regulars key list` shows them")
        return revoked

    with existing_database(read_settings(file)) as database:
        revoked = patiently(lambda: database.transact(save))
    if as_json:
        say(orjson.dumps({"revoked": revoked.key_id}).decode())
        return
    say(f"The key {plain(revoked.name)} ({revoked.key_id}) is void from now on.")
