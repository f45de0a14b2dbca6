"""The checks before a body is read, in the order of spec/wire.md: size, content type, key, origin, rate."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import NamedTuple

from aiohttp import hdrs, web

from collector import metrics
from collector.web.asked import Asked
from collector.web.body import MAX_BYTES, gunzip, read_slowly
from collector.web.cookies import NOTHING, Carried
from collector.web.edge import Edge
from collector.web.errors import Refusal
from collector.web.limits import network_of
from collector.web.sites import Entry


class Visitor(NamedTuple):
    """A request that may go on. Without an `origin` cookies are neither read nor set; `address` is for limits only."""

    entry: Entry
    origin: str | None
    address: str
    device: Carried | None
    contact: Carried | None

    def without_cookies(self) -> Visitor:
        """The same, as somebody whom nothing connects to a browser."""
        return self._replace(origin=None, device=None, contact=None)


def write_key_of(request: Asked) -> str:
    """The `site` of the query string."""
    return request.query.get("site", "")


def known_site(edge: Edge, request: Asked) -> Entry | None:
    """The site of the request, if it sends what the SDK sends: nothing but a key that is known and not disabled."""
    entry = edge.sites.get(request.raw_path.partition("?site=")[2])
    return None if entry is None or entry.site.disabled else entry


async def find_site(edge: Edge, request: Asked) -> Entry:
    """The site of the request. Raises `Refusal` for a key unknown (401) or disabled (403)."""
    entry = known_site(edge, request) or await edge.sites.find(write_key_of(request))
    if entry is None:
        raise Refusal("unknown_key")
    if entry.site.disabled:
        raise Refusal("site_disabled")
    return entry


def origin_of(request: Asked, entry: Entry) -> str | None:
    """The Origin of the request, None if it has none. Raises `Refusal` (403) for one that the site does not list."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin not in entry.origins:
        raise Refusal("origin_not_allowed")
    return origin


def admit(edge: Edge, request: Asked, entry: Entry, now: int) -> Visitor:
    """Origin, cookies and rate of a request to a known site. Raises `Refusal`."""
    origin = origin_of(request, entry)
    address = network_of(edge.proxies.address_of(request))
    cookies = request.headers.get(hdrs.COOKIE) if origin is not None else None
    site_id = entry.site.site_id
    carry = edge.cookies.read(cookies, site_id, now, suffixed=edge.sites.has_several) if cookies else NOTHING
    device, contact, forged = carry
    if forged:
        metrics.COOKIES_FORGED.inc(forged)
    wait_s = edge.limits.take_request(site_id, address, device.value if device else None, time.monotonic())
    if wait_s:
        raise Refusal("rate_limited", retry_after_s=math.ceil(wait_s))
    return Visitor(entry, origin, address, device, contact)


def check_form(request: Asked) -> None:
    """Size as announced, content type and encoding. Raises `Refusal` (413, 415)."""
    headers = request.headers
    length = headers.get(hdrs.CONTENT_LENGTH)
    if length is not None and int(length) > MAX_BYTES:
        raise Refusal("body_too_large")
    if not is_json_type(headers.get(hdrs.CONTENT_TYPE, "")):
        raise Refusal("unsupported_media_type")
    encoding = headers.get(hdrs.CONTENT_ENCODING)
    if encoding is not None and encoding.lower() not in ("identity", "gzip"):
        raise Refusal("unsupported_encoding")


@lru_cache(256)
def is_json_type(header: str) -> bool:
    """Whether a Content-Type is JSON or plain text, in UTF-8."""
    essence, *parameters = (part.strip().lower() for part in header.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    is_json = essence in ("text/plain", "application/json") or (
        essence.startswith("application/") and essence.endswith("+json")
    )
    return is_json and all(charset in ("utf-8", "utf8", "us-ascii") for charset in charsets)


async def read_payload(edge: Edge, request: web.Request) -> bytes:
    """The body, decoded. Raises `Refusal`."""
    content = request.content
    # Nearly every body comes together with its headers, and then there is nothing to wait for.
    data = content.read_nowait() if content.is_eof() else await read_slowly(content, edge.patience)
    if len(data) > MAX_BYTES:
        raise Refusal("body_too_large")
    return decode(request, data)


def decode(request: Asked, data: bytes) -> bytes:
    """A body as it was before it was compressed for the way. Raises `Refusal`."""
    encoding = request.headers.get(hdrs.CONTENT_ENCODING)
    return gunzip(data) if encoding is not None and encoding.lower() == "gzip" else data
