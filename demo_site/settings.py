"""What the shop must be told: where the collector is, its write key, the text of the stub, and whether to ask first.

It knows nothing else of the collector. Reading the stub is the only I/O here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

Consent = Literal["not_required", "required"]
BUILT_STUB = Path(__file__).resolve().parent.parent / "sdk_js" / "dist" / "stub.js"


class SettingsError(Exception):
    """A setting that cannot work; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """`collector` is an absolute address, with or without a path prefix; `stub` is the text that goes into the page."""

    collector: str
    site: str
    stub: str
    consent: Consent = "not_required"

    def __post_init__(self) -> None:
        address = urlsplit(self.collector)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise SettingsError(f"collector: {self.collector!r} is not an http(s) address")
        if not self.site:
            raise SettingsError("site: the write key is empty (`regulars site add` prints one)")
        if "</script" in self.stub.lower() or "<!--" in self.stub:
            raise SettingsError("stub: this text would end or swallow its own script element")

    @property
    def sdk_address(self) -> str:
        """Where the published tag loads the SDK from."""
        return f"{self.collector.rstrip('/')}/sdk.js?site={quote(self.site, safe='')}"

    @property
    def collector_origin(self) -> str:
        """Scheme, host and port alone: what a Content-Security-Policy names."""
        address = urlsplit(self.collector)
        return f"{address.scheme}://{address.netloc}"


def read_stub(path: Path = BUILT_STUB) -> str:
    """Text of the stub. Raises SettingsError when the file is not there yet."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as cause:
        raise SettingsError(f"stub: cannot read {path} ({cause.strerror}); build it with `make sdk`") from cause
