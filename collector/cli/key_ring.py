"""`regulars key`: its commands and options; the work is in `cli.keys`, imported when it is needed."""

from __future__ import annotations

from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigFile

# ruff: noqa: PLC0415

key = typer.Typer(help="Add, list and revoke the secret keys of a site.", no_args_is_help=True, rich_markup_mode=None)
OfSite = Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")]


@key.command("add")
def add_key(
    site: OfSite,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, such as `crm`.")],
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="What it opens; may be repeated.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Add a secret key; it is printed now and never again.

    Scopes: history:read, events:write, pii:read (without it personal data is masked), profiles:read, profiles:write,
    profiles:erase, quarantine, interactions, and admin, which is all of them but pii:read, and keys.
    """
    from collector.cli import keys

    keys.add_key(config, site, name, scope, as_json=as_json)


@key.command("list")
def list_keys(site: OfSite, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List the secret keys of a site and what they open, revoked ones too."""
    from collector.cli import keys

    keys.list_keys(config, site, as_json=as_json)


@key.command("revoke")
def revoke_key(
    site: OfSite,
    name: Annotated[str, typer.Argument(metavar="NAME|ID", help="Name of the key, or its id.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a secret key void, at once and for ever."""
    from collector.cli import keys

    keys.revoke_key(config, site, name, as_json=as_json)
