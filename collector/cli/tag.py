"""The published tag: what a site owner puts into every page."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from collector.config import Config


def published_tag(config: Config, write_key: str) -> str:
    """The stub and the script element; without the stub, and saying so, in a checkout where the SDK is not built."""
    stub = find_stub()
    first = "<!-- the stub is missing here: run `make sdk` -->" if stub is None else f"<script>{stub}</script>"
    return f'{first}\n<script async src="{collector_address(config)}/sdk.js?site={write_key}"></script>'


def collector_address(config: Config) -> str:
    """Where browsers reach the collector, as far as the settings tell; ends without a slash."""
    local = "localhost" if config.host in ("0.0.0.0", "::", "") else config.host  # noqa: S104 - compared, not bound
    host = f"[{local}]" if ":" in local else local
    return (config.public_url or f"http://{host}:{config.port}") + config.prefix


def find_stub() -> str | None:
    """The text of the stub: inside the installed package, else where a checkout builds it, else None."""
    packaged = resources.files("collector.web") / "static" / "stub.js"
    if packaged.is_file():
        return packaged.read_text("utf-8").strip()
    built = Path(__file__).parents[2] / "sdk_js" / "dist" / "stub.js"
    return built.read_text("utf-8").strip() if built.is_file() else None
