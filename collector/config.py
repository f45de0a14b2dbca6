"""The settings: one frozen Config, read from the environment and from a TOML file.

A setting NAME is the variable REGULARS_NAME and the key `name` of the file; the environment wins. Unknown settings are
refused, so that a typo is noticed at start and not when it matters. Errors name the key at fault, never its value.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

PREFIX = "REGULARS_"
# Variables of that prefix which are not settings: the file's own name, and those of the test suite and the demo.
NOT_SETTINGS = frozenset({"REGULARS_CONFIG", "REGULARS_SOAK", "REGULARS_CHROMIUM", "REGULARS_FIREFOX"})


class ConfigError(ValueError):
    """A setting is unknown or wrong; the message begins with its name as the reader wrote it."""


def _setting(default: Any, text: str, *, secret: bool = False) -> Any:
    return dataclasses.field(default=default, metadata={"help": text}, repr=not secret)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, with their defaults. The help texts below are what `regulars serve --help` prints."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "Port to listen on; 0 takes any free one.")
    database_url: str = _setting(
        "sqlite:///regulars.db",
        "Where to store: sqlite:///path/to/regulars.db or postgresql+asyncpg://user@host/database.",
        secret=True,
    )
    workers: int = _setting(1, "Processes that serve on this port together; more than one needs PostgreSQL.")
    secret_key: str = _setting(
        "",
        "Signs cookies, leads to token keys; at least 32 characters. Made and kept in the database if absent.",
        secret=True,
    )
    public_url: str = _setting("", "How browsers reach this collector, e.g. https://collect.example.com.")
    prefix: str = _setting("", "Path in front of every URL, e.g. /track, to serve below a site's own path.")
    trusted_proxies: tuple[str, ...] = _setting((), "Addresses or networks whose X-Forwarded-For counts.")
    cookie_mode: Literal["lax", "cross_site"] = _setting(
        "lax", "lax: cookies for pages of the same site. cross_site: SameSite=None; Secure; Partitioned."
    )
    cookie_host_prefix: bool = _setting(False, "Name the cookies __Host-...; needs an https public_url.")
    rate_per_key: float = _setting(0.0, "Requests per second for one write key, in bursts of ten times that; 0: any.")
    rate_per_address: float = _setting(200.0, "Requests per second from one address; 0: any.")
    rate_per_device: float = _setting(50.0, "Requests per second from one browser; 0: any.")
    identify_rate_per_address: float = _setting(300.0, "Times a minute that one address may say who it is; 0: any.")
    identify_rate_per_device: float = _setting(20.0, "Times a minute that one browser may say who it is; 0: any.")
    profile_provider: str = _setting(
        "",
        "Recognition of your own: an installed provider's name, or package.module.Name; absent: one installed, if any.",
    )
    queue_size: int = _setting(2000, "Requests that may wait for storage before new ones are refused (503).")
    header_timeout_s: float = _setting(10.0, "Seconds in which the headers of a request must be complete.")
    body_timeout_s: float = _setting(30.0, "Seconds in which the body of a request must be complete.")
    keepalive_timeout_s: float = _setting(75.0, "Seconds after which an idle connection is closed.")
    shutdown_grace_s: float = _setting(10.0, "Seconds to finish what has arrived when asked to stop.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "What to log, as JSON lines on stderr.")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documentation shows it."""

    name: str
    env: str
    default: str
    help: str


def describe_settings() -> Iterator[Setting]:
    """Every setting, in the order of Config."""
    for field in dataclasses.fields(Config):
        default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default).lower()
        yield Setting(field.name, PREFIX + field.name.upper(), default, field.metadata["help"])


def load_config(environ: Mapping[str, str], file: Path | None = None, **overrides: object) -> Config:
    """The settings of `file` (or of the file that REGULARS_CONFIG names), then those of `environ`, then `overrides`.

    Overrides that are None do not count. Raises `ConfigError`.
    """
    if file is None and environ.get("REGULARS_CONFIG"):
        file = Path(environ["REGULARS_CONFIG"])
    values: dict[str, tuple[str, object]] = _read_file(file) if file is not None else {}
    for name, text in environ.items():
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            values[_name_of(name)] = (name, text)
    values |= {name: (name, value) for name, value in overrides.items() if value is not None}
    types = typing.get_type_hints(Config)
    known: dict[str, Any] = {}
    for name, (written_as, value) in values.items():
        if name not in types:
            raise ConfigError(f"{written_as}: there is no such setting")
        known[name] = _convert(written_as, value, types[name])
    config = Config(**known)
    for name, problem in _problems(config):
        raise ConfigError(f"{values[name][0] if name in values else name}: {problem}")
    return dataclasses.replace(config, prefix=config.prefix.rstrip("/"), public_url=config.public_url.rstrip("/"))


def _name_of(variable: str) -> str:
    # A variable in lower case is none of ours, and must not be mistaken for one.
    return variable.removeprefix(PREFIX).lower() if variable.isupper() else variable


def _read_file(file: Path) -> dict[str, tuple[str, object]]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    return {name: (name, value) for name, value in content.items()}


def _convert(written_as: str, value: object, kind: Any) -> Any:
    if typing.get_origin(kind) is tuple and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        wanted = _wanted(kind)
        raise ConfigError(f"{written_as}: must be {wanted}") from error


def _wanted(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(typing.get_args(kind))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "a list of texts")


def _problems(config: Config) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong with it) for what types alone do not tell."""
    if not 0 <= config.port <= 65535:
        yield "port", "must be from 0 to 65535"
    if config.workers < 1:
        yield "workers", "must be 1 or more"
    if config.workers > 1 and config.database_url.startswith("sqlite"):
        yield "workers", "must be 1 on SQLite, which has one writer; PostgreSQL takes more (database_url)"
    if config.secret_key and len(config.secret_key) < 32:
        yield "secret_key", "must have at least 32 characters"
    for network in config.trusted_proxies:
        if not _is_network(network):
            yield "trusted_proxies", f"{network} is neither an address nor a network"
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if "rate_" in field.name and not 0 <= value < math.inf:
            yield field.name, "must be 0 or more"
        if (field.name == "queue_size" or field.name.endswith("_s")) and not 0 < value < math.inf:
            yield field.name, "must be more than 0"
    yield from _problems_of_addresses(config)


def _problems_of_addresses(config: Config) -> Iterator[tuple[str, str]]:
    url = urlsplit(config.public_url)
    if config.public_url and (url.scheme not in ("http", "https") or not url.hostname):
        yield "public_url", "must begin with http:// or https:// and name a host"
    if config.prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", config.prefix):
        yield "prefix", "must look like /track"
    if config.cookie_mode == "cross_site" and url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1"):
        yield "cookie_mode", "cross_site needs an https public_url"
    if config.cookie_host_prefix and url.scheme != "https":
        yield "cookie_host_prefix", "needs an https public_url"


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
