"""The work of `regulars site new-token-key`: a key for the identity tokens of a site."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

import orjson
from rich.text import Text
from sqlalchemy import Connection

from collector.cli.opening import existing_database, existing_site, patiently, read_settings
from collector.cli.output import say, say_pairs
from collector.cli.trouble import Trouble
from collector.domain.identity_token import VALID_KEYS, mark_of, token_secret
from collector.domain.site import Site
from collector.store.sites import fetch_or_insert_value, update_site


def make_key(file: Path | None, name: str, *, only: bool, as_json: bool) -> None:
    """Make the next key of the site and print it; `only` voids all the others. Raises `Trouble`."""
    config = read_settings(file)

    def save(conn: Connection) -> tuple[Site, str]:
        site = existing_site(conn, name)
        # Numbers that are passed over belong to keys that nobody was ever told.
        made = site.token_keys + (VALID_KEYS if only else 1)
        changed = dataclasses.replace(site, token_keys=made)
        update_site(conn, changed)
        secret = config.secret_key or fetch_or_insert_value(conn, "secret_key", secrets.token_urlsafe(48))
        if fetch_or_insert_value(conn, "secret_mark", mark_of(secret)) != mark_of(secret):
            raise Trouble(
                "REGULARS_SECRET_KEY is another one for the server than here, which would make the key useless"
            )
        return changed, token_secret(secret, changed, made)

    with existing_database(config) as database:
        site, token_key = patiently(lambda: database.transact(save))
    if as_json:
        say(orjson.dumps({"kid": str(site.token_keys), "token_key": token_key}).decode())
        return
    say_pairs({"kid": site.token_keys, "token_key": token_key})
    say(Text("Keep it: it is not shown again. It is for the site's server, never for a page.", style="yellow"))
    others = "No other key is valid" if only or site.token_keys == 1 else "The key before this one stays valid"
    say(f"{others}. A running server takes this up within a few seconds.")
