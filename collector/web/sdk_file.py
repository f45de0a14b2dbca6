"""The SDK's file, in the forms in which it is served: plain or with a site's settings, each compressed once."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import orjson

from collector import __version__
from collector.domain.site import Site

# Chromium then compiles everything at once, which takes 2 ms less than finding out function by function.
COMPILE_HINT = b"//# allFunctionsCalledOnLoad\n"


@dataclass(frozen=True, slots=True)
class Script:
    """One script in every encoding that is offered, and the hash that names its content."""

    plain: bytes
    gzip: bytes
    brotli: bytes
    tag: str


class Sdk:
    """The built SDK; `source` is None in a checkout where it has not been built."""

    __slots__ = ("integrity", "source", "version", "versioned")

    def __init__(self, source: bytes | None, version: str = __version__) -> None:
        self.source = source
        self.version = version
        self.integrity = "" if source is None else integrity_of(source)
        self.versioned = None if source is None else make_script(source)

    def for_site(self, site: Site) -> Script | None:
        """The script with the settings of `site` built in. Takes some 20 ms."""
        if self.source is None:
            return None
        settings = orjson.dumps(script_settings(site))
        wrapped = b"(function(__REGULARS_SETTINGS__){" + self.source + b"\n})(" + settings + b");\n"
        return make_script(COMPILE_HINT + wrapped)


def find_sdk() -> bytes | None:
    """The built file: inside the installed package, else where a checkout builds it, else None."""
    packaged = resources.files("collector.web") / "static" / "sdk.js"
    if packaged.is_file():
        return packaged.read_bytes()
    built = Path(__file__).parents[2] / "sdk_js" / "dist" / "sdk.js"
    return built.read_bytes() if built.is_file() else None


def integrity_of(source: bytes) -> str:
    """The value of a script element's `integrity` attribute."""
    return "sha384-" + base64.b64encode(hashlib.sha384(source).digest()).decode()


def make_script(plain: bytes) -> Script:
    """Compress as far as possible: it is done once and downloaded often."""
    tag = hashlib.sha256(plain).hexdigest()[:16]
    return Script(plain, gzip.compress(plain, 9, mtime=0), brotli.compress(plain, mode=brotli.MODE_TEXT), tag)


def script_settings(site: Site) -> dict[str, object]:
    """What the SDK needs to know of its site; public, like the script."""
    settings = site.settings
    return {
        "site": site.write_key,
        "consent": settings.consent,
        "gpc": settings.gpc_denies,
        "own_domains": settings.own_domains,
        "outbound": settings.track_outbound,
        "downloads": settings.track_downloads,
        "forms": settings.track_forms,
        "debug": settings.debug,
    }
