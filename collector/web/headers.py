"""Headers that replies have in common, built once and shared."""

from __future__ import annotations

from collections.abc import Mapping

# Sent with everything: nothing here is a page.
COMMON = {
    "Server": "regulars",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
EMBEDDED = {**COMMON, "Cross-Origin-Resource-Policy": "cross-origin"}  # what any page may make part of itself
UNCACHED = {**COMMON, "Cache-Control": "no-store"}
JSON = {**UNCACHED, "Content-Type": "application/json"}


def cors(origin: str) -> dict[str, str]:
    """What lets a page of `origin` read the reply and send its cookies along."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def json_headers(origin: str | None) -> dict[str, str]:
    """The headers of a JSON reply to a page of `origin`, None for a client that is no page."""
    return {**JSON, "Vary": "Origin"} if origin is None else {**JSON, **cors(origin)}


def header_block(headers: Mapping[str, str]) -> bytes:
    """`headers` as they go over the wire, without the empty line at the end."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
