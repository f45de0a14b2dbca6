"""`regulars`: the command line. Options are declared here, the work is in the modules beside it.

Those are imported by the command that needs them, so that `--help` and a mistyped option are answered at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from collector.cli.kept import quarantine
from collector.cli.key_ring import key
from collector.cli.options import PERSON, VISITS, AsJson, ConfigFile, NamedSite, Offered, SiteName, with_options
from collector.cli.site_settings import offered_settings
from collector.cli.trouble import explain_error
from collector.config import describe_settings

# ruff: noqa: PLC0415


class Commands(TyperGroup):
    """Commands whose errors are one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that is nobody's bug ends with status 1."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            line = None if isinstance(error, typer.Exit | typer.Abort) else explain_error(error)
            if line is None:
                raise
            typer.echo(f"regulars: {line}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    help="Recognise the visitors of a web site, and record durably what they do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
site = typer.Typer(help="Add, list and change sites.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(site, name="site")
apart = typer.Typer(
    help="Show whom undone merges keep apart, and lift it.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(apart, name="apart")
MergeId = Annotated[int, typer.Argument(metavar="ID", min=0, max=2**63 - 1, help="Number of the merge.")]
app.add_typer(quarantine, name="quarantine")
app.add_typer(key, name="key")

SERVER_SETTINGS = [
    Offered(setting.name, f"{setting.help} [{setting.env}, default {setting.default or 'none'}]")
    for setting in describe_settings()
    if setting.name != "secret_key"
]
NO_OPTION = "REGULARS_SECRET_KEY is no option, because the list of processes would show it: " + next(
    setting.help for setting in describe_settings() if setting.name == "secret_key"
)


@app.command(epilog=NO_OPTION)
@with_options(SERVER_SETTINGS)
def serve(config: ConfigFile = None, **settings: Any) -> None:
    """Run the collector until SIGINT or SIGTERM.

    Every setting is an option, an environment variable or a key of the TOML file, in this order of precedence.
    """
    from collector.cli.serving import run_server

    run_server(config, settings)


@app.command()
def migrate(config: ConfigFile = None) -> None:
    """Bring the database to this version.

    `serve` and `site add` do it by themselves.
    """
    from collector.cli.serving import migrate_database

    migrate_database(config)


@site.command("add")
@with_options(offered_settings())
def add_site(
    name: NamedSite,
    origin: Annotated[list[str], typer.Option("--origin", metavar="URL", help="Where its pages are; may be repeated.")],
    test: Annotated[bool, typer.Option("--test", help="A site that QA uses: bots count as visitors there.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    **settings: Any,
) -> None:
    """Add a site; prints its keys (the secret one only now) and the tag for its pages."""
    from collector.cli import sites

    sites.add_site(config, name, origin, settings, is_test=test, as_json=as_json)


@site.command("list")
def list_sites(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List sites, their write keys and settings, and the integrity value of the SDK."""
    from collector.cli import sites

    sites.list_sites(config, as_json=as_json)


@site.command("set")
def set_site(
    name: NamedSite,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="Such as consent=required or origins=A,B.")],
    config: ConfigFile = None,
) -> None:
    """Change settings or origins of a site."""
    from collector.cli import sites

    sites.set_site(config, name, changes)


@site.command("disable")
def disable_site(name: NamedSite, config: ConfigFile = None) -> None:
    """Refuse the events of a site, and its secret keys, until it is enabled again."""
    from collector.cli import sites

    sites.switch_site(config, name, disabled=True)


@site.command("enable")
def enable_site(name: NamedSite, config: ConfigFile = None) -> None:
    """Accept the events of a site again."""
    from collector.cli import sites

    sites.switch_site(config, name, disabled=False)


@site.command("rotate-secret")
def rotate_secret(name: NamedSite, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Replace the secret key `default` of a site; the old one is void at once."""
    from collector.cli import sites

    sites.rotate_secret(config, name, as_json=as_json)


@site.command("new-token-key")
def new_token_key(
    name: NamedSite,
    only: Annotated[
        bool, typer.Option("--only", help="Void all earlier keys at once, not just the last but one.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a key with which the site's server signs identity tokens; the one before stays valid until the next."""
    from collector.cli import token_keys

    token_keys.make_key(config, name, only=only, as_json=as_json)


@app.command()
@with_options(PERSON)
def profile(
    site_name: SiteName = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which rule joined what, with the evidence.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    **asked: str | None,
) -> None:
    """Show a person, and why they are one."""
    from collector.cli.people import show_person

    show_person(config, site_name, asked, explain=explain, as_json=as_json)


@app.command()
def merges(
    site_name: SiteName = None,
    last: Annotated[int, typer.Option("--last", min=1, max=500, help="So many of the newest.")] = 20,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List merges, newest first: who was found to be one person, by which rule."""
    from collector.cli.journal import list_merges

    list_merges(config, site_name, last=last, as_json=as_json)


@app.command()
def unmerge(
    merge_id: MergeId,
    site_name: SiteName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what that comes to.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Undo a merge.

    The two are as they were before, and no automatic rule joins them again until `regulars apart lift`.
    """
    from collector.cli.journal import undo_merge

    undo_merge(config, site_name, merge_id, dry_run=dry_run, as_json=as_json)


@apart.command("list")
def list_apart(site_name: SiteName = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List whom undone merges keep apart."""
    from collector.cli import journal

    journal.list_apart(config, site_name, as_json=as_json)


@apart.command("lift")
def lift_apart(merge_id: MergeId, site_name: SiteName = None, config: ConfigFile = None) -> None:
    """Let automatic rules join the two of an undone merge again."""
    from collector.cli.journal import lift

    lift(config, site_name, merge_id)


@app.command()
def tail(
    site_name: SiteName = None,
    last: Annotated[int, typer.Option("--last", min=0, max=500, help="Begin with so many earlier events.")] = 10,
    once: Annotated[bool, typer.Option("--once", help="Print the earlier events and end.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print events as they arrive.

    With what is odd about them, and those of bots too. Ctrl-C ends it.
    """
    from collector.cli.following import follow

    follow(config, site_name, last=last, once=once, as_json=as_json)


@app.command()
@with_options(VISITS)
def visits(
    site_name: SiteName = None,
    last: Annotated[int, typer.Option("--last", min=1, max=500, help="So many of the newest.")] = 20,
    as_json: AsJson = False,
    config: ConfigFile = None,
    **asked: str | None,
) -> None:
    """List visits, the last to arrive first: when, whose, and what ended them."""
    from collector.cli.history import list_visits

    list_visits(config, site_name, asked, last=last, as_json=as_json)


@app.command()
def visit(
    visit_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the visit.")],
    site_name: SiteName = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show a visit step by step: pages, for how long they were looked at, what happened, and who was signed in."""
    from collector.cli.history import show_visit

    show_visit(config, site_name, visit_id, as_json=as_json)


@app.command()
@with_options(PERSON)
def erase(
    site_name: SiteName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    **asked: str | None,
) -> None:
    """Delete a person for ever.

    All rows of theirs are deleted, and their bytes leave the database's files too.
    """
    from collector.cli.people import erase_person

    erase_person(config, site_name, asked, yes=yes)


@app.command()
def scrub(config: ConfigFile = None) -> None:
    """Remove the bytes of erased people.

    For erasures whose bytes could not leave the database's files at once.
    """
    from collector.cli.people import scrub as scrub_files

    scrub_files(config)


@app.command()
def purge(
    site_name: Annotated[
        str | None, typer.Option("--site", metavar="NAME", help="Name of the site; without it, all of them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Delete what is older than a site keeps it (retention_days).

    A server does it once an hour by itself.
    """
    from collector.cli.retention import purge as purge_sites

    purge_sites(config, site_name, dry_run=dry_run, as_json=as_json)


def main() -> None:
    """Run the command that was typed."""
    app(prog_name="regulars", args=sys.argv[1:])
