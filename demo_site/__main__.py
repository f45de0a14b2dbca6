"""`python -m demo_site --port 8081 --collector http://127.0.0.1:8080 --site KEY`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aiohttp import web

from demo_site.app import create_shop
from demo_site.settings import BUILT_STUB, SettingsError, ShopSettings, read_stub


def main(arguments: list[str] | None = None) -> int:
    """Serves the shop until interrupted; 2 when a setting cannot work."""
    options = _parse(arguments)
    try:
        settings = ShopSettings(options.collector, options.site, read_stub(options.stub), options.consent)
    except SettingsError as problem:
        print(f"demo_site: {problem}", file=sys.stderr)
        return 2
    say = f"The shop is open at http://{options.host}:{options.port} (collector {options.collector})"
    web.run_app(
        create_shop(settings),
        host=options.host,
        port=options.port,
        print=lambda *_: print(say, flush=True),
        access_log=None,
        shutdown_timeout=2.0,
    )
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo_site", description="Sorrel & Tin, the demo shop of Regulars")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on (default: %(default)s)")
    parser.add_argument("--collector", required=True, help="address of the collector, with its prefix if it has one")
    parser.add_argument("--site", required=True, help="write key of the site, as `regulars site add` prints it")
    parser.add_argument("--stub", type=Path, default=BUILT_STUB, help="stub.js of the SDK (default: the built one)")
    parser.add_argument(
        "--consent",
        choices=("not_required", "required"),
        default="not_required",
        help="must agree with the site's setting: `required` shows the banner (default: %(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
