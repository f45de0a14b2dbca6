"""The installed browsers, as tests and benchmarks start them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Playwright

CHROMIUM = os.environ.get("REGULARS_CHROMIUM", "/usr/bin/chromium")
FIREFOX = os.environ.get("REGULARS_FIREFOX", "/usr/bin/firefox-esr")
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names that lead to this machine, for pages whose host is not one that browsers trust without https.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]
LOCAL_NAMES = "shop.test,www.shop.test,a.b.shop.test,other.test,pay.bank.test"


def options(browser_name: str) -> dict[str, Any]:
    """What the driver is to start: `chromium` or `firefox`."""
    if browser_name == "firefox":
        names = {"network.dns.localDomains": LOCAL_NAMES}
        return {"channel": "moz-firefox", "executable_path": FIREFOX, "firefox_user_prefs": names}
    return {"executable_path": CHROMIUM, "args": CHROMIUM_ARGS}


async def launch(playwright: Playwright, browser_name: str) -> Browser:
    """Starts a browser that forgets everything."""
    return await getattr(playwright, browser_name).launch(**options(browser_name))


async def launch_with_profile(playwright: Playwright, browser_name: str, profile: Path) -> BrowserContext:
    """Starts a browser that keeps what it stores in the folder `profile`."""
    return await getattr(playwright, browser_name).launch_persistent_context(profile, **options(browser_name))
