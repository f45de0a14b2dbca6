"""`regulars key` on a real file, as an operator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.domain.keys import SCOPE_TEXT, Scope, find_opened
from tests.unit.test_cli_sites import ORIGIN, Run, keys_in, path, run

__all__ = ["path", "run"]  # fixtures


@pytest.fixture
def first(run: Run) -> str:
    """The secret of the key that the site begins with."""
    made = json.loads(run("site", "add", "shop", "--origin", ORIGIN, "--json").stdout)
    return str(made["secret_key"])


def test_a_key_is_added_shown_once_listed_and_revoked(run: Run, path: Path, first: str) -> None:
    added = json.loads(
        run("key", "add", "shop", "crm", "--scope", "pii:read", "--scope", "history:read", "--json").stdout
    )
    secret = added.pop("secret_key")
    assert (added["name"], added["scopes"], added["revoked_at"]) == ("crm", ["history:read", "pii:read"], None)
    _, crm = keys_in(path)
    assert find_opened([crm], secret) == crm
    assert not any(secret.encode() in file.read_bytes() for file in path.parent.iterdir())
    listed = run("key", "list", "shop").stdout
    assert "history:read pii:read" in listed
    assert "rsk_" not in listed
    assert json.loads(run("key", "list", "shop", "--json").stdout)["keys"][1] == added
    assert "is void from now on" in run("key", "revoke", "shop", "crm").stdout
    assert "revoked" in run("key", "list", "shop").stdout
    assert [key.revoked_at is None for key in keys_in(path)] == [True, False]


def test_a_person_is_shown_the_secret_and_told_to_keep_it(run: Run, first: str) -> None:
    shown = run("key", "add", "shop", "crm", "--scope", "admin").stdout
    assert "rsk_" in shown
    assert "not shown again" in shown
    assert first not in shown


def test_a_key_is_revoked_by_its_id_too_even_the_last(run: Run, path: Path, first: str) -> None:
    (key,) = keys_in(path)
    assert json.loads(run("key", "revoke", "shop", key.key_id, "--json").stdout) == {"revoked": key.key_id}
    new = json.loads(run("site", "rotate-secret", "shop", "--json").stdout)["secret_key"]
    _, replaced = keys_in(path)
    assert find_opened([replaced], new) == replaced
    assert Scope.ADMIN in replaced.scopes


def test_rotating_replaces_the_default_key_alone(run: Run, path: Path, first: str) -> None:
    run("key", "add", "shop", "crm", "--scope", "quarantine")
    run("site", "rotate-secret", "shop")
    assert [(key.name, key.revoked_at is None) for key in keys_in(path)] == [
        ("default", False),
        ("crm", True),
        ("default", True),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "shop", "default", "--scope", "admin"], "shop has a key named default already"),
        (["add", "shop", "crm", "--scope", "everything"], "--scope: scopes are history:read, events:write"),
        (["add", "shop", " ", "--scope", "admin"], "needs a name that can be printed"),
        (["add", "shop", "\x1b[2J", "--scope", "admin"], "needs a name that can be printed"),
        (["add", "shop", "x" * 101, "--scope", "admin"], "of 100 characters at most"),
        (["add", "nobody", "crm", "--scope", "admin"], "there is no site named nobody"),
        (["list", "nobody"], "there is no site named nobody"),
        (["revoke", "shop", "crm"], "shop has no valid key crm"),
        (["revoke", "nobody", "default"], "there is no site named nobody"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_in_one_line(
    run: Run, path: Path, first: str, arguments: list[str], said: str
) -> None:
    before = keys_in(path)
    assert said in run("key", *arguments, status=1).stderr
    assert keys_in(path) == before


def test_help_names_every_scope(run: Run) -> None:
    shown = run("key", "add", "--help").stdout
    assert [scope for scope in Scope if scope not in shown] == []
    assert SCOPE_TEXT.keys() == set(Scope)
    assert "Usage: regulars" in run("key", "add", "shop", "crm", status=2).stderr, "a key needs a scope"
