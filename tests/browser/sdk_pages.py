"""Pages for the SDK's browser cases: what a customer's HTML looks like, with the published tag in it."""

from __future__ import annotations

from tests.browser.recording_endpoint import DIST, SITE, Endpoint

# Errors that the page itself would see. (Drivers mix them with the browser's own warnings.)
WATCH_ERRORS = """window.errors = [];
addEventListener('error', (event) => errors.push(event.message));
addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));"""


def stub() -> str:
    """The inline part of the published tag."""
    return (DIST / "stub.js").read_text()


def tag(endpoint: Endpoint, *, host: str = "127.0.0.1", nonce: str = "") -> str:
    """The published tag: the stub inline, and the SDK loaded asynchronously."""
    attribute = f' nonce="{nonce}"' if nonce else ""
    src = f"{endpoint.at(host)}sdk.js?site={SITE}"
    return f'<script{attribute}>{stub()}</script><script{attribute} async src="{src}"></script>'


def html(head: str, body: str = "", title: str = "A page") -> str:
    """A whole document."""
    return f"<!doctype html><html lang=en><head><title>{title}</title>{head}</head><body>{body}</body></html>"


def add_page(
    endpoint: Endpoint,
    path: str = "/page",
    *,
    before: str = "",
    body: str = "",
    headers: dict[str, str] | None = None,
    sdk_host: str = "127.0.0.1",
    nonce: str = "",
) -> str:
    """Serves a page with the tag; `before` is HTML that stands before the tag. Returns its address."""
    document = html(before + tag(endpoint, host=sdk_host, nonce=nonce), body)
    endpoint.pages[path] = (document, headers or {})
    return endpoint.url.rstrip("/") + path
