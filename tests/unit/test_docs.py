"""What can be set, typed or requested is documented; adding one without a word about it fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from collector.cli import app
from collector.cli.site_settings import SETTING_HELP
from collector.config import describe_settings
from collector.domain.explain import CLAIM_TEXT
from collector.domain.keys import SCOPE_TEXT, Scope
from collector.domain.privacy import TELLABLE_WARNINGS
from collector.domain.site import SiteSettings
from collector.web.routes import routes

ROOT = Path(__file__).parents[2]
OPERATORS = (ROOT / "docs/guide-operators.md").read_text()
HTTP_API = (ROOT / "docs/http-api.md").read_text()


def commands(group: object, path: tuple[str, ...] = ("regulars",)) -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        inner = list(commands(command, (*path, name)))
        yield from inner or [" ".join((*path, name))]


@pytest.mark.parametrize("setting", list(describe_settings()), ids=lambda setting: setting.name)
def test_every_setting_is_in_the_guide_with_its_default_and_meaning(setting):
    row = f"| `{setting.env}` | {f'`{setting.default}`' if setting.default else 'none'} | {setting.help} |"
    assert row in OPERATORS, f"docs/guide-operators.md lacks this row:\n{row}"


@pytest.mark.parametrize("name", SETTING_HELP)
def test_every_choice_of_a_site_is_in_the_guide_with_its_meaning(name):
    default = getattr(SiteSettings(), name)
    shown = ",".join(default) if isinstance(default, tuple) else str(default)
    row = f"| `{name}` | {f'`{shown.lower()}`' if shown else 'none'} | {SETTING_HELP[name]} |"
    assert row in OPERATORS, f"docs/guide-operators.md lacks this row:\n{row}"


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app))))
def test_every_command_is_in_the_guide(command):
    assert f"`{command}" in OPERATORS


@pytest.mark.parametrize("route", sorted({(r.method, r.path) for r in routes() if r.method != "OPTIONS"}), ids=" ".join)
def test_every_route_is_in_the_reference(route):
    method, path = route
    path = path.replace("/server/data/", "/backend/data/")  # of which the reference says that they answer alike
    assert re.search(rf"`{method} {re.escape(path)}[`?]", HTTP_API), f"docs/http-api.md lacks {method} {path}"


@pytest.mark.parametrize("scope", list(Scope))
def test_every_scope_is_in_the_reference_with_its_meaning(scope):
    row = f"| `{scope}` | {SCOPE_TEXT[scope]} |"
    assert row in HTTP_API, f"docs/http-api.md lacks this row:\n{row}"


@pytest.mark.parametrize("warning", sorted(TELLABLE_WARNINGS | (CLAIM_TEXT.keys() - {"replaced", "unverified"})))
def test_every_warning_is_in_the_reference(warning):
    assert f"`{warning}`" in HTTP_API


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("*.md")), ids=lambda page: page.name
)
def test_no_link_inside_the_repository_is_broken(page):
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text())
    broken = [link for link in links if not (page.parent / link).exists()]
    assert not broken
