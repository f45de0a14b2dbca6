"""Settings: where they come from, and that a mistake in one is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collector.config import Config, ConfigError, describe_settings, load_config


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "regulars.toml"
    file.write_text(text)
    return file


def test_without_anything_the_defaults_hold() -> None:
    assert load_config({"HOME": "/", "PORT": "1"}) == Config()


def test_the_environment_sets_values_of_every_type() -> None:
    config = load_config(
        {
            "REGULARS_PORT": "9000",
            "REGULARS_RATE_PER_KEY": "2.5",
            "REGULARS_COOKIE_HOST_PREFIX": "true",
            "REGULARS_PUBLIC_URL": "https://collect.example.com/",
            "REGULARS_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "REGULARS_LOG_LEVEL": "debug",
            "REGULARS_PREFIX": "/track/",
        }
    )
    assert (config.port, config.rate_per_key, config.cookie_host_prefix) == (9000, 2.5, True)
    assert (config.public_url, config.prefix) == ("https://collect.example.com", "/track")
    assert (config.trusted_proxies, config.log_level) == (("10.0.0.0/8", "::1"), "debug")


def test_the_environment_wins_over_the_file_and_overrides_win_over_both(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = 1\nhost = "a"\nqueue_size = 7\ntrusted_proxies = ["10.0.0.1"]')
    config = load_config({"REGULARS_HOST": "b", "REGULARS_QUEUE_SIZE": "8"}, file, queue_size=9, log_level=None)
    assert (config.port, config.host, config.queue_size, config.log_level) == (1, "b", 9, "info")
    assert config.trusted_proxies == ("10.0.0.1",)


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    assert load_config({"REGULARS_CONFIG": str(written(tmp_path, "port = 5"))}).port == 5


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"REGULARS_PROT": "1"}, "REGULARS_PROT"),
        ({"REGULARS_port": "1"}, "REGULARS_port"),
        ({"REGULARS_PORT": "eighty"}, "REGULARS_PORT"),
        ({"REGULARS_PORT": "70000"}, "REGULARS_PORT"),
        ({"REGULARS_COOKIE_HOST_PREFIX": "perhaps"}, "REGULARS_COOKIE_HOST_PREFIX"),
        ({"REGULARS_COOKIE_HOST_PREFIX": "true"}, "REGULARS_COOKIE_HOST_PREFIX"),
        ({"REGULARS_COOKIE_MODE": "strict"}, "REGULARS_COOKIE_MODE"),
        ({"REGULARS_COOKIE_MODE": "cross_site", "REGULARS_PUBLIC_URL": "http://x.example"}, "REGULARS_COOKIE_MODE"),
        ({"REGULARS_SECRET_KEY": "hunter2"}, "REGULARS_SECRET_KEY"),
        ({"REGULARS_PUBLIC_URL": "collect.example.com"}, "REGULARS_PUBLIC_URL"),
        ({"REGULARS_PREFIX": "track"}, "REGULARS_PREFIX"),
        ({"REGULARS_PREFIX": "/{x}"}, "REGULARS_PREFIX"),
        ({"REGULARS_TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "REGULARS_TRUSTED_PROXIES"),
        ({"REGULARS_RATE_PER_ADDRESS": "-1"}, "REGULARS_RATE_PER_ADDRESS"),
        ({"REGULARS_RATE_PER_ADDRESS": "nan"}, "REGULARS_RATE_PER_ADDRESS"),
        ({"REGULARS_BODY_TIMEOUT_S": "0"}, "REGULARS_BODY_TIMEOUT_S"),
        ({"REGULARS_QUEUE_SIZE": "0"}, "REGULARS_QUEUE_SIZE"),
    ],
)
def test_a_mistake_in_the_environment_is_named_and_never_shown(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(environ)
    assert str(raised.value).startswith(f"{named}: ")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot"),
        ("PORT = 1", "PORT"),
        ('port = "eighty"', "port"),
        ("port = true", "port"),
        ("host = 1", "host"),
        ("trusted_proxies = [1]", "trusted_proxies"),
        ("[database]\nurl = 1", "database"),
        ('secret_key = "hunter2"', "secret_key"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}: "):
        load_config({}, written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_config({}, tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"regulars\.toml"):
        load_config({}, written(tmp_path, "port ="))


def test_the_secret_does_not_show() -> None:
    assert "x" * 32 not in repr(load_config({"REGULARS_SECRET_KEY": "x" * 32}))


def test_every_setting_is_described() -> None:
    settings = list(describe_settings())
    assert [setting.name for setting in settings] == [field.name for field in dataclasses.fields(Config)]
    assert all(setting.help.endswith(".") and setting.env == f"REGULARS_{setting.name.upper()}" for setting in settings)


def test_several_workers_need_a_database_with_several_writers() -> None:
    with pytest.raises(ConfigError, match=r"^REGULARS_WORKERS: must be 1 on SQLite"):
        load_config({"REGULARS_WORKERS": "2"})
    with pytest.raises(ConfigError, match=r"^REGULARS_WORKERS: must be 1 or more"):
        load_config({"REGULARS_WORKERS": "0"})
    url = "postgresql+asyncpg://regulars:hunter2@localhost/regulars"
    config = load_config({"REGULARS_WORKERS": "2", "REGULARS_DATABASE_URL": url})
    assert config.workers == 2
    assert "hunter2" not in repr(config)
