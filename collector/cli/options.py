"""Options that are made from a list: one for each setting, so that no list of them is written twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file with settings; REGULARS_CONFIG names it too.")
]
SiteName = Annotated[
    str | None, typer.Option("--site", metavar="NAME", help="Name of the site; may be left out if there is only one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NamedSite = Annotated[str, typer.Argument(metavar="NAME", help="Name of the site.")]


@dataclass(frozen=True, slots=True)
class Offered:
    """One option: `--name-of-it`, text unless it is a flag."""

    name: str
    help: str
    is_flag: bool = False
    metavar: str = "TEXT"


PERSON = (
    Offered("cid", "Customer id of the person."),
    Offered("email", "E-mail address of the person."),
    Offered("uid", "Anonymous id of one of the person's browsers."),
    Offered("id", "Id of the profile, or of one merged into it."),
)

VISITS = (
    Offered("state", "Only those in this state: Anonymous, Recognized, WM-Recognized or Authenticated."),
    Offered("device", "Only those of the browser with this id."),
    Offered("identity", "Only those of this customer id or e-mail."),
    Offered("age", "Only those that began in so many seconds until now.", metavar="SECONDS"),
)


def with_options(offered: Iterable[Offered]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that ends in `**values` one named parameter for each option; None is one that was not given."""

    def offer(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        made = [_parameter(option) for option in offered]
        command.__signature__ = signature.replace(parameters=own + made)  # type: ignore[attr-defined]
        return command

    return offer


def _parameter(option: Offered) -> inspect.Parameter:
    flag = f"--{option.name.replace('_', '-')}"
    made: Any
    if option.is_flag:
        made = Annotated[bool | None, typer.Option(flag, help=option.help, show_default=False)]
    else:
        made = Annotated[str | None, typer.Option(flag, help=option.help, metavar=option.metavar, show_default=False)]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=made)
