"""What a site can choose: the settings as options and as KEY=VALUE, and what is said about each."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from collector.cli.options import Offered
from collector.cli.trouble import Trouble
from collector.domain.site import MOST_DAYS, SiteSettings

SETTING_HELP: Mapping[str, str] = types.MappingProxyType(
    {
        "consent": "Whether the SDK waits for the visitor's consent: not_required or required.",
        "gpc_denies": "Global Privacy Control counts as denial.",
        "bots": "Whether bots count as visitors: exclude or include.",
        "own_domains": "Own and payment domains: coming from there begins no visit. Separated by commas.",
        "track_outbound": "Record clicks on links that lead elsewhere.",
        "track_downloads": "Record clicks on links to files.",
        "track_forms": "Record submitted forms: the names of their fields, never values.",
        "debug": "The SDK prints on the console what it does.",
        "require_verified_identity": "Believe who a visitor is only when the site's server vouches for it.",
        "purchases_assert": "Every event that names a customer says who the visitor is, not only sign-in and the like.",
        "retention_days": "Days for which events and visits are kept, 0: for ever. People stay recognised.",
        "uncertain_interactions": "Interactions with somebody assumed are none, identified or agent_decides.",
    }
)
DEFAULT_PORTS = {"http": 80, "https": 443}


def offered_settings() -> Iterator[Offered]:
    """One option for each setting, in their order."""
    for name, kind in get_type_hints(SiteSettings).items():
        yield Offered(name, SETTING_HELP[name], kind is bool, metavar=_metavar(kind))


def _metavar(kind: Any) -> str:
    if kind is int:
        return "NUMBER"
    return "|".join(get_args(kind)) if get_origin(kind) is Literal else "LIST"


def change_settings(settings: SiteSettings, changes: Mapping[str, str | bool | None]) -> SiteSettings:
    """`settings` with `changes`, as typed; None changes nothing. Raises `Trouble` naming the key at fault."""
    kinds = get_type_hints(SiteSettings)
    typed = {}
    for name, value in changes.items():
        if name not in kinds:
            raise Trouble(f"{name}: there is no such setting; there are: {', '.join(kinds)}, and origins")
        if value is not None:
            typed[name] = _typed(name, value, kinds[name])
    return dataclasses.replace(settings, **typed)


def _typed(name: str, value: str | bool, kind: Any) -> Any:
    if isinstance(value, bool):
        return value
    if kind is bool:
        choices = {"true": True, "false": False}
        if value.lower() not in choices:
            raise Trouble(f"{name}: must be true or false")
        return choices[value.lower()]
    if kind is int:
        if not value.isascii() or not value.isdigit() or int(value[:9]) > MOST_DAYS:
            raise Trouble(f"{name}: must be a whole number from 0 to {MOST_DAYS}")
        return int(value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise Trouble(f"{name}: must be {' or '.join(get_args(kind))}")
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def shown_settings(settings: SiteSettings) -> list[str]:
    """The settings that are not the default, as KEY=VALUE."""
    changed = ((field.name, getattr(settings, field.name)) for field in dataclasses.fields(SiteSettings))
    default = SiteSettings()
    return [f"{name}={_written(value)}" for name, value in changed if value != getattr(default, name)]


def _written(value: object) -> str:
    return (
        ",".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE texts as a mapping; a dash in a key is an underscore. Raises `Trouble`."""
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Trouble(f"{pair}: say KEY=VALUE")
        parsed[key.strip().replace("-", "_")] = value
    return parsed


def parse_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Origins as browsers send them: lower case, punycode, no default port, no path. Raises `Trouble`."""
    origins = tuple(dict.fromkeys(_origin(text.strip()) for text in texts if text.strip()))
    if not origins:
        raise Trouble("origins: at least one is needed, such as https://shop.example.com")
    return origins


def _origin(text: str) -> str:
    problem = Trouble(f"{text}: an origin looks like https://shop.example.com")
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
        if url.scheme not in DEFAULT_PORTS or not host or "@" in url.netloc or "*" in host:
            raise problem
        if url.path not in ("", "/") or url.query or url.fragment:
            raise Trouble(f"{text}: an origin has no path; did you mean {url.scheme}://{url.netloc}?")
        host = f"[{host}]" if ":" in host else host.encode("idna").decode()
    except ValueError:
        raise problem from None
    return f"{url.scheme}://{host}" + (f":{port}" if port not in (None, DEFAULT_PORTS[url.scheme]) else "")
