"""Puts the built SDK into the wheel, and refuses to build a wheel without it.

The SDK is TypeScript; `make sdk` (or the first stage of the Dockerfile) builds it. An editable install needs no copy:
in a checkout the collector reads sdk_js/dist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = ("sdk.js", "stub.js")


class SdkInWheel(BuildHookInterface[Any]):
    """Copies sdk_js/dist/{sdk,stub}.js to collector/web/static/ inside the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the built files to a `standard` wheel; raises SystemExit where one is missing or empty."""
        if version == "editable":
            return
        for name in BUILT:
            built = Path(self.root, "sdk_js", "dist", name)
            if not built.is_file() or not built.stat().st_size:
                raise SystemExit(f"The SDK is not built: sdk_js/dist/{name} is missing. Run `make sdk` first.")
            build_data["force_include"][str(built)] = f"collector/web/static/{name}"
