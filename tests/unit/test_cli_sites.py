"""The command line on real files: settings, sites, and errors of one line."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from collector.app import installation_secret, remember_secret
from collector.cli import app
from collector.cli.site_settings import SETTING_HELP, parse_origins
from collector.cli.trouble import Trouble
from collector.config import describe_settings
from collector.domain.identity_token import token_secret
from collector.domain.keys import FULL, Key, find_opened
from collector.domain.site import Site, SiteSettings
from collector.store.database import Database
from collector.store.keys import fetch_keys
from collector.store.sites import fetch_sites

Run = Callable[..., Result]
ORIGIN = "https://shop.example.com"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "regulars.db"
    monkeypatch.setenv("REGULARS_DATABASE_URL", f"sqlite:///{path}")
    return path


@pytest.fixture
def run(path: Path) -> Run:
    """Runs a command that is expected to end with `status`; errors are one line."""

    def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="regulars")
        assert result.exit_code == status, result.output
        if status == 1:
            assert isinstance(result.exception, SystemExit), result.exception
            assert result.stderr.startswith("regulars: ")
            assert len(result.stderr.splitlines()) == 1
        return result

    return run


def sites_in(path: Path) -> list[Site]:
    database = Database(f"sqlite:///{path}")
    sites = database.read_now(fetch_sites)
    database.close_now()
    return sites


def keys_in(path: Path) -> list[Key]:
    database = Database(f"sqlite:///{path}")
    (site,) = database.read_now(fetch_sites)
    keys = database.read_now(fetch_keys, site.site_id)
    database.close_now()
    return keys


def test_a_new_site_gets_keys_and_the_secret_is_stored_as_a_hash(run: Run, path: Path) -> None:
    keys = json.loads(run("site", "add", "My shop", "--origin", ORIGIN, "--json").stdout)
    assert set(keys) == {"site_id", "write_key", "secret_key"}
    (site,) = sites_in(path)
    assert (site.name, site.site_id, site.write_key) == ("My shop", keys["site_id"], keys["write_key"])
    assert site.write_key.isalnum()
    (key,) = keys_in(path)
    assert (key.name, key.site_id, key.scopes) == ("default", keys["site_id"], FULL)
    assert find_opened([key], keys["secret_key"]) == key
    assert find_opened([key], keys["secret_key"][:-1]) is None
    assert not any(keys["secret_key"].encode() in file.read_bytes() for file in path.parent.iterdir())
    another = json.loads(run("site", "add", "another", "--origin", ORIGIN, "--json").stdout)
    assert len({another["write_key"], another["secret_key"], keys["write_key"], keys["secret_key"]}) == 4


def test_a_person_is_shown_the_tag_with_prefix_and_public_address(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_PUBLIC_URL", "https://collect.example.com")
    monkeypatch.setenv("REGULARS_PREFIX", "/track")
    shown = run("site", "add", "shop", "--origin", ORIGIN).stdout
    key = json.loads(run("site", "list", "--json").stdout)["sites"][0]["write_key"]
    tag = f'<script async src="https://collect.example.com/track/sdk.js?site={key}"></script>'
    assert tag in shown.splitlines()
    assert "rsk_" in shown
    assert "rsk_" not in run("site", "list").stdout


def test_settings_of_a_site_are_options(run: Run, path: Path) -> None:
    chosen = ["--consent", "required", "--bots=include", "--require-verified-identity", "--own-domains", "a.com, b.com"]
    run("site", "add", "shop", "--origin", ORIGIN, "--origin", "http://localhost:8081", *chosen)
    (site,) = sites_in(path)
    assert site.origins == (ORIGIN, "http://localhost:8081")
    assert site.settings == SiteSettings(
        consent="required", bots="include", require_verified_identity=True, own_domains=("a.com", "b.com")
    )


def test_bots_are_the_visitors_of_a_test_site_unless_said_otherwise(run: Run, path: Path) -> None:
    run("site", "add", "one", "--origin", ORIGIN, "--test")
    run("site", "add", "two", "--origin", ORIGIN, "--test", "--bots", "exclude")
    run("site", "add", "three", "--origin", ORIGIN)
    assert [(site.is_test, site.settings.bots) for site in sites_in(path)] == [
        (True, "include"),
        (True, "exclude"),
        (False, "exclude"),
    ]


def test_every_setting_of_a_site_has_an_option_and_a_help_text(run: Run) -> None:
    shown = run("site", "add", "--help").stdout
    assert list(SETTING_HELP) == [field.name for field in dataclasses.fields(SiteSettings)]
    assert [name for name in SETTING_HELP if f"--{name.replace('_', '-')}" not in shown] == []


def test_settings_change_one_by_one(run: Run, path: Path) -> None:
    run("site", "add", "shop", "--origin", ORIGIN, "--debug")
    run("site", "set", "shop", "consent=required", "track-forms=true", "own_domains=pay.example.com")
    run("site", "set", "shop", "origins=https://a.example,https://B.example/", "debug=false", "own_domains=")
    (site,) = sites_in(path)
    assert site.origins == ("https://a.example", "https://b.example")
    assert site.settings == SiteSettings(consent="required", track_forms=True)
    shown = run("site", "list").stdout
    assert "consent=required track_forms=true" in shown


def test_a_site_is_disabled_enabled_and_gets_a_new_secret(run: Run, path: Path) -> None:
    old = json.loads(run("site", "add", "shop", "--origin", ORIGIN, "--json").stdout)["secret_key"]
    run("site", "disable", "shop")
    assert sites_in(path)[0].disabled
    assert "disabled" in run("site", "list").stdout
    run("site", "enable", "shop")
    assert not sites_in(path)[0].disabled
    new = json.loads(run("site", "rotate-secret", "shop", "--json").stdout)["secret_key"]
    first, second = keys_in(path)
    assert (find_opened([first, second], old), find_opened([first, second], new)) == (first, second)
    assert first.revoked_at is not None
    assert (second.name, second.scopes, second.revoked_at) == ("default", FULL, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["site", "add", "shop", "--origin", ORIGIN], "there is a site named shop already"),
        (["site", "add", "x", "--origin", "shop.example.com"], "an origin looks like https://"),
        (["site", "add", "x", "--origin", "https://shop.example.com/path"], "an origin has no path"),
        (["site", "add", "x", "--origin", "https://*.example.com"], "an origin looks like https://"),
        (["site", "add", "x", "--origin", ""], "origins: at least one is needed"),
        (["site", "add", "\x1b[2J", "--origin", ORIGIN], "a name that can be printed"),
        (["site", "add", "x", "--origin", ORIGIN, "--consent", "maybe"], "consent: must be not_required or required"),
        (["site", "set", "shop", "colour=red"], "colour: there is no such setting"),
        (["site", "set", "shop", "debug=yes"], "debug: must be true or false"),
        (["site", "set", "shop", "debug"], "debug: say KEY=VALUE"),
        (["site", "set", "shop", "origins="], "origins: at least one is needed"),
        (["site", "set", "nobody", "debug=true"], "there is no site named nobody"),
        (["site", "disable", "nobody"], "there is no site named nobody"),
        (["site", "rotate-secret", "nobody"], "there is no site named nobody"),
    ],
)
def test_what_is_wrong_with_a_site_is_said_in_one_line(run: Run, path: Path, arguments: list[str], said: str) -> None:
    run("site", "add", "shop", "--origin", ORIGIN)
    before = sites_in(path)
    assert said in run(*arguments, status=1).stderr
    assert sites_in(path) == before


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("HTTPS://Shop.Example.com:443/", "https://shop.example.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://localhost:8081", "http://localhost:8081"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_stored_as_browsers_send_it(typed: str, origin: str) -> None:
    assert parse_origins([typed]) == (origin,)


@pytest.mark.parametrize(
    "typed", ["https://", "ftp://a.example", "https://a@b.example", "https://a:b", "https://a.example?x", "null", "*"]
)
def test_what_is_no_origin_is_refused(typed: str) -> None:
    with pytest.raises(Trouble):
        parse_origins([typed])


# ---- settings and the database ----


def test_serve_lists_every_setting_with_variable_and_default(run: Run) -> None:
    shown = " ".join(run("serve", "--help").stdout.split())
    for setting in describe_settings():
        assert setting.env in shown
        assert setting.help in shown
        assert (f"--{setting.name.replace('_', '-')}" in shown) == (setting.name != "secret_key")


def test_serve_refuses_settings_that_cannot_be(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "port: must be a whole number" in run("serve", "--port", "eighty", status=1).stderr
    assert "cookie_mode: must be lax or cross_site" in run("serve", "--cookie-mode", "loose", status=1).stderr
    monkeypatch.setenv("REGULARS_COLOUR", "red")
    assert "REGULARS_COLOUR: there is no such setting" in run("serve", status=1).stderr
    assert "REGULARS_COLOUR: there is no such setting" in run("site", "list", status=1).stderr


def test_commands_read_the_file_that_config_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGULARS_DATABASE_URL")
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere.db"
    file = tmp_path / "regulars.toml"
    file.write_text(f'database_url = "sqlite:///{elsewhere}"\n')
    run("site", "add", "shop", "--origin", ORIGIN, "--config", str(file))
    assert [site.name for site in sites_in(elsewhere)] == ["shop"]
    assert "there is no database at" in run("site", "list", status=1).stderr
    assert "shop" in run("site", "list", "--config", str(file)).stdout
    assert "No such file" in run("site", "list", "--config", str(tmp_path / "missing.toml"), status=1).stderr


def test_migrate_says_what_it_did(run: Run, path: Path) -> None:
    assert "went from nothing to revision" in run("migrate").stdout
    assert "already" in run("migrate").stdout
    assert sites_in(path) == []


def test_reading_commands_leave_a_database_that_is_not_there_alone(run: Run, path: Path) -> None:
    for command in (["site", "list"], ["profile", "--cid", "x"], ["tail", "--once"], ["erase", "--cid", "x", "--yes"]):
        assert f"there is no database at {path}" in run(*command, status=1).stderr
    assert not path.parent.exists()


def test_a_database_of_another_version_is_not_touched(run: Run, path: Path) -> None:
    path.parent.mkdir()
    sqlite3.connect(path).close()
    assert "is empty" in run("site", "list", status=1).stderr
    run("migrate")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "9999" in run("site", "list", status=1).stderr
    assert "9999" in run("migrate", status=1).stderr
    assert "9999" in run("site", "add", "shop", "--origin", ORIGIN, status=1).stderr


def test_what_the_database_says_is_one_line(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    path.write_text("this is not a database, however long it may be " * 40)
    assert "not a database" in run("site", "list", status=1).stderr
    monkeypatch.setenv("REGULARS_DATABASE_URL", "mysql://localhost/regulars")
    assert "database_url" in run("migrate", status=1).stderr
    monkeypatch.setenv("REGULARS_DATABASE_URL", "sqlite:////dev/null/regulars.db")
    assert "/dev/null" in run("migrate", status=1).stderr


def test_mistyped_commands_are_usage_errors(run: Run) -> None:
    for arguments in (["site", "add", "x"], ["sight"], ["profile", "--colour"], ["tail", "--last", "-1"]):
        assert "Usage: regulars" in run(*arguments, status=2).stderr


def test_the_module_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "collector", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.startswith("Usage: regulars [OPTIONS] COMMAND")


def test_help_loads_neither_database_nor_server() -> None:
    code = "import sys, collector.cli; print(*sorted({'sqlalchemy', 'aiohttp', 'rich.table'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


def test_token_keys_are_shown_once_and_kept_nowhere(run: Run, path: Path) -> None:
    run("site", "add", "shop", "--origin", ORIGIN)
    assert "token keys" not in run("site", "list").stdout
    made = [json.loads(run("site", "new-token-key", "shop", "--json").stdout) for _ in range(3)]
    assert [key["kid"] for key in made] == ["1", "2", "3"]
    assert len({key["token_key"] for key in made}) == 3
    assert json.loads(run("site", "list", "--json").stdout)["sites"][0]["token_keys"] == [2, 3]
    assert "token keys  2 3" in run("site", "list").stdout
    for key in made:
        assert not any(key["token_key"][4:].encode() in file.read_bytes() for file in path.parent.iterdir())


def test_one_token_key_can_be_the_only_one(run: Run) -> None:
    run("site", "add", "shop", "--origin", ORIGIN)
    assert "No other key is valid" in run("site", "new-token-key", "shop").stdout
    shown = run("site", "new-token-key", "shop").stdout
    assert "The key before this one stays valid" in shown
    assert "rts_" in shown
    only = json.loads(run("site", "new-token-key", "shop", "--only", "--json").stdout)
    assert only["kid"] == "4"
    assert "3 4" in run("site", "list").stdout, "key 3 counts, and nobody was told it"
    assert "there is no site named other" in run("site", "new-token-key", "other", status=1).stderr


def test_a_token_key_is_made_with_the_secret_of_the_server(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("site", "add", "shop", "--origin", ORIGIN)
    made = json.loads(run("site", "new-token-key", "shop", "--json").stdout)["token_key"]
    (site,) = sites_in(path)
    database = Database(f"sqlite:///{path}")
    assert made == token_secret(installation_secret(database), site, 1)
    secret = "a secret of at least 32 characters"
    monkeypatch.setenv("REGULARS_SECRET_KEY", secret)
    assert "REGULARS_SECRET_KEY is another" in run("site", "new-token-key", "shop", status=1).stderr
    assert sites_in(path)[0].token_keys == 1, "nothing was made"
    assert not database.transact(remember_secret, secret), "what a server does that starts with it"
    assert database.transact(remember_secret, secret)
    database.close_now()
    made = json.loads(run("site", "new-token-key", "shop", "--json").stdout)["token_key"]
    assert made == token_secret(secret, site, 2)
