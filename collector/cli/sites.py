"""The work of `regulars site`: adding, listing and changing sites."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
from rich.text import Text
from sqlalchemy import Connection

from collector import __version__
from collector.cli.keys import new_key
from collector.cli.opening import existing_database, existing_site, migrated_database, now_ms, patiently, read_settings
from collector.cli.output import plain, say, say_pairs
from collector.cli.site_settings import change_settings, parse_origins, parse_pairs, shown_settings
from collector.cli.tag import published_tag
from collector.cli.trouble import Trouble
from collector.domain.identity_token import valid_key_numbers
from collector.domain.keys import DEFAULT_KEY, FULL, WRITE_KEY_BYTES, write_key_of
from collector.domain.site import Site, SiteSettings
from collector.store.keys import insert_key, replace_key
from collector.store.sites import NameTaken, fetch_sites, insert_site, update_site
from collector.web.sdk_file import find_sdk, integrity_of


def add_site(
    file: Path | None,
    name: str,
    origins: Sequence[str],
    changes: Mapping[str, str | bool | None],
    *,
    is_test: bool,
    as_json: bool,
) -> None:
    """Add a site and print its keys and the tag; the secret key is shown now and never again."""
    config = read_settings(file)
    if not name.strip() or not name.isprintable():
        raise Trouble("the site needs a name that can be printed")
    # Headless browsers of QA look like bots, and are the visitors of a test site.
    defaults = SiteSettings(bots="include" if is_test else "exclude")
    site = Site(
        site_id=0,
        name=name,
        write_key=write_key_of(secrets.token_bytes(WRITE_KEY_BYTES)),
        origins=parse_origins(origins),
        settings=change_settings(defaults, changes),
        is_test=is_test,
    )

    def save(conn: Connection) -> tuple[int, str]:
        site_id = insert_site(conn, site, now_ms())
        key, secret_key = new_key(site_id, DEFAULT_KEY, FULL)
        insert_key(conn, key)
        return site_id, secret_key

    with migrated_database(config) as database:
        try:
            site_id, secret_key = patiently(lambda: database.transact(save))
        except NameTaken:
            raise Trouble(f"there is a site named {name} already") from None
    keys = {"site_id": site_id, "write_key": site.write_key, "secret_key": secret_key}
    if as_json:
        say(orjson.dumps(keys).decode())
        return
    say(Text(f"Site {name} is ready.\n", style="bold"))
    say_pairs({**keys, "origins": " ".join(site.origins)})
    say(Text("\nKeep the secret key: it is not shown again. It is for your servers, never for a page.", style="yellow"))
    say(Text("\nPut this into the head of every page:\n", style="bold"))
    say(published_tag(config, site.write_key))


def list_sites(file: Path | None, *, as_json: bool) -> None:
    """Print all sites, with their public keys, origins and the settings that are not the default."""
    with existing_database(read_settings(file)) as database:
        sites = database.read_now(fetch_sites)
    sdk = find_sdk()
    integrity = None if sdk is None else integrity_of(sdk)
    if as_json:
        say(orjson.dumps({"sites": [_document(site) for site in sites], "sdk_integrity": integrity}).decode())
        return
    if not sites:
        say("There is no site yet; `regulars site add NAME --origin URL` adds one.")
    for site in sites:
        marks = [mark for mark, is_so in (("test", site.is_test), ("disabled", site.disabled)) if is_so]
        say(Text(plain(site.name), style="bold").append(f"  {' '.join(marks)}", style="yellow"))
        changed = shown_settings(site.settings)
        pairs = {"site_id": site.site_id, "write_key": site.write_key, "origins": " ".join(site.origins)}
        keys = " ".join(map(str, valid_key_numbers(site)))
        say_pairs(pairs | ({"settings": " ".join(changed)} if changed else {}) | ({"token keys": keys} if keys else {}))
    if integrity is not None:
        say(f"\nSDK {__version__} for pages that pin it, /sdk/{__version__}/sdk.js:\n  integrity={integrity}")


def _document(site: Site) -> dict[str, object]:
    return {
        "site_id": site.site_id,
        "name": site.name,
        "write_key": site.write_key,
        "origins": site.origins,
        "is_test": site.is_test,
        "disabled": site.disabled,
        "token_keys": list(valid_key_numbers(site)),
        "settings": dataclasses.asdict(site.settings),
    }


def set_site(file: Path | None, name: str, pairs: Sequence[str]) -> None:
    """Change settings or origins of a site from KEY=VALUE."""
    changes = parse_pairs(pairs)
    origins = parse_origins(changes.pop("origins").split(",")) if "origins" in changes else None

    def change(site: Site) -> Site:
        settings = change_settings(site.settings, changes)
        return dataclasses.replace(site, settings=settings, origins=origins or site.origins)

    changed = _change(file, name, change)
    say_pairs({"origins": " ".join(changed.origins), "settings": " ".join(shown_settings(changed.settings)) or "-"})
    say("A running server takes this up within a few seconds.")


def switch_site(file: Path | None, name: str, *, disabled: bool) -> None:
    """Stop or resume accepting the events of a site."""
    _change(file, name, lambda site: dataclasses.replace(site, disabled=disabled))
    say(f"Site {plain(name)} is {'disabled' if disabled else 'enabled'}.")


def rotate_secret(file: Path | None, name: str, *, as_json: bool) -> None:
    """Replace the key `default` of a site and print the new one; the old one is void at once."""

    def save(conn: Connection) -> str:
        key, secret_key = new_key(existing_site(conn, name).site_id, DEFAULT_KEY, FULL)
        replace_key(conn, key, now_ms())
        return secret_key

    with existing_database(read_settings(file)) as database:
        secret_key = patiently(lambda: database.transact(save))
    if as_json:
        say(orjson.dumps({"secret_key": secret_key}).decode())
        return
    say_pairs({"secret_key": secret_key})
    say(Text("Keep it: it is not shown again. The old one is void from now on.", style="yellow"))


def _change(file: Path | None, name: str, change: Callable[[Site], Site]) -> Site:
    """Save what `change` makes of the site of that name, in one transaction. Raises `Trouble`."""

    def save(conn: Connection) -> Site:
        changed = change(existing_site(conn, name))
        update_site(conn, changed)
        return changed

    with existing_database(read_settings(file)) as database:
        return patiently(lambda: database.transact(save))
