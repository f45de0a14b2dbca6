"""`regulars quarantine`: its commands and options; the work is in `cli.quarantine`, imported when it is needed."""

from __future__ import annotations

from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigFile, SiteName

# ruff: noqa: PLC0415

quarantine = typer.Typer(
    help="Look at what was refused, try it again, drop it.", no_args_is_help=True, rich_markup_mode=None
)

Code = Annotated[str | None, typer.Option("--code", metavar="CODE", help="Only what was refused for this reason.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only what arrived then or later; UTC, as 2026-11-22T14:30."),
]
Row = Annotated[int, typer.Argument(metavar="ID", min=0, help="Id of the row, as `list` shows it.")]
AnyRow = Annotated[
    int | None, typer.Argument(metavar="ID", min=0, help="Id of one row; without it, all that the options select.")
]


@quarantine.command("list")
def list_quarantine(
    site_name: SiteName = None,
    code: Code = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to print.")] = 50,
    before: Annotated[int | None, typer.Option("--before", metavar="ID", help="Begin below this row.")] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List what was refused, newest first; with --json one object a line."""
    from collector.cli.quarantine import list_rows, read_wanted

    list_rows(config, site_name, read_wanted(code, since), limit=limit, before=before, as_json=as_json)


@quarantine.command("show")
def show_quarantined(row: Row, site_name: SiteName = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show one row, with what was sent."""
    from collector.cli.quarantine import show_row

    show_row(config, site_name, row, as_json=as_json)


@quarantine.command("replay")
def replay_quarantine(
    row: AnyRow = None,
    site_name: SiteName = None,
    code: Code = None,
    since: Since = None,
    body: Annotated[
        typer.FileBinaryRead | None,
        typer.Option("--body", metavar="FILE", help="Record this corrected version of the row instead; - reads stdin."),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Record what was refused, after a fix, a raised limit or a corrected setting.

    As if it arrived again at the time it did. What is stored, or was stored already, leaves the quarantine.
    """
    from collector.cli.quarantine import read_wanted, replay_row, replay_rows

    if row is not None:
        if code is not None or since is not None:
            raise typer.BadParameter("give an ID, or --code and --since, not both")
        replay_row(config, site_name, row, body, as_json=as_json)
        return
    if body is not None:
        raise typer.BadParameter("--body is a correction of one row: give its ID too")
    replay_rows(config, site_name, read_wanted(code, since), as_json=as_json)


@quarantine.command("purge")
def purge_quarantine(
    row: AnyRow = None,
    site_name: SiteName = None,
    code: Code = None,
    since: Since = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Drop rows for ever: one, those that the options select, or all."""
    from collector.cli.quarantine import purge_rows, read_wanted

    if row is not None and (code is not None or since is not None):
        raise typer.BadParameter("give an ID, or --code and --since, not both")
    purge_rows(config, site_name, row, read_wanted(code, since), yes=yes, as_json=as_json)
