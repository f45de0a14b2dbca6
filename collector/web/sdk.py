"""`GET /sdk.js`, `/sdk/{version}/sdk.js` and `/sdk/version.json`, where a site owner finds the integrity value."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import hdrs, web

from collector.web.admission import find_site
from collector.web.edge import EDGE
from collector.web.errors import Refusal
from collector.web.headers import EMBEDDED, JSON
from collector.web.sdk_file import Script

_SCRIPT = {
    **EMBEDDED,
    "Content-Type": "text/javascript; charset=utf-8",
    "Access-Control-Allow-Origin": "*",  # an integrity attribute makes browsers insist on CORS
    "Vary": "Accept-Encoding",
}
_FOR_SITE = {**_SCRIPT, "Cache-Control": "public, max-age=300, stale-while-revalidate=86400"}
_VERSIONED = {**_SCRIPT, "Cache-Control": "public, max-age=31536000, immutable"}


async def get_sdk(request: web.Request) -> web.Response:
    """The SDK with the settings of `?site=KEY`."""
    edge = request.app[EDGE]
    entry = await find_site(edge, request)
    if entry.script is None:
        entry.script = await asyncio.to_thread(edge.sdk.for_site, entry.site)
    return _answer(request, entry.script, _FOR_SITE)


async def get_versioned_sdk(request: web.Request) -> web.Response:
    """The plain file of this version; its settings then come from attributes of the script element."""
    sdk = request.app[EDGE].sdk
    return _answer(request, sdk.versioned if request.match_info["version"] == sdk.version else None, _VERSIONED)


async def get_sdk_version(request: web.Request) -> web.Response:
    """`{"version", "path", "integrity"}` for a script element that pins the SDK; the path is relative to the base."""
    sdk = request.app[EDGE].sdk
    if sdk.source is None:
        raise Refusal("not_found")
    body = {"version": sdk.version, "path": f"sdk/{sdk.version}/sdk.js", "integrity": sdk.integrity}
    return web.Response(body=orjson.dumps(body), headers={**JSON, "Access-Control-Allow-Origin": "*"})


def _answer(request: web.Request, script: Script | None, common: dict[str, str]) -> web.Response:
    if script is None:
        raise Refusal("not_found")
    encoding = choose_encoding(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    tag = f'"{script.tag}-{encoding}"'
    headers = {**common, hdrs.ETAG: tag}
    if _has_tag(request.headers.get(hdrs.IF_NONE_MATCH, ""), tag):
        return web.Response(status=304, headers=headers)
    if encoding == "identity":
        return web.Response(body=script.plain, headers=headers)
    headers[hdrs.CONTENT_ENCODING] = encoding
    return web.Response(body=script.brotli if encoding == "br" else script.gzip, headers=headers)


def _has_tag(header: str, tag: str) -> bool:
    return any(known.strip().removeprefix("W/") in (tag, "*") for known in header.split(","))


def choose_encoding(header: str) -> str:
    """The smallest encoding that an Accept-Encoding header allows: br, gzip or identity."""
    accepted: set[str] = set()
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        if parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            accepted.add(name.strip())
    return "br" if "br" in accepted else "gzip" if "gzip" in accepted else "identity"
