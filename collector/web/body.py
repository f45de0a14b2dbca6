"""Reading a body that may be slow, huge, compressed or a bomb."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass

from aiohttp import StreamReader, web

from collector.web.errors import Refusal

MAX_BYTES = 512 * 1024  # as sent
MAX_UNZIPPED_BYTES = 1024 * 1024
MAX_RATIO = 100  # events compress 5 to 30 times
UNSUSPICIOUS_BYTES = 64 * 1024  # below this the ratio is of no interest


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a body may take: `timeout_s` in all, and after `grace_s` no slower than `bytes_per_s` on average."""

    timeout_s: float = 30.0
    grace_s: float = 5.0
    bytes_per_s: int = 1024


async def read_slowly(content: StreamReader, patience: Patience) -> bytes:
    """A body that has not arrived yet. Raises `Refusal` for one that is too large (413) or too slow (408)."""
    start = asyncio.get_running_loop().time()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout_at(None) as deadline:
            while True:
                allowed_s = min(patience.timeout_s, patience.grace_s + size / patience.bytes_per_s)
                deadline.reschedule(start + allowed_s)
                chunk = await content.readany()
                if not chunk:
                    return b"".join(chunks)
                size += len(chunk)
                if size > MAX_BYTES:
                    raise Refusal("body_too_large")
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal("request_timeout", closes=True) from None
    except web.RequestPayloadError:
        raise Refusal("malformed_request", closes=True) from None


def gunzip(data: bytes) -> bytes:
    """The content of one gzip member. Raises `Refusal`: 400 for broken gzip, 413 for a bomb or several members."""
    inflater = zlib.decompressobj(31)
    try:
        unzipped = inflater.decompress(data, MAX_UNZIPPED_BYTES + 1)
    except zlib.error:
        raise Refusal("malformed_gzip") from None
    if len(unzipped) > max(MAX_RATIO * len(data), UNSUSPICIOUS_BYTES) or len(unzipped) > MAX_UNZIPPED_BYTES:
        raise Refusal("body_too_large")
    if not inflater.eof:
        raise Refusal("malformed_gzip")
    if inflater.unused_data:
        raise Refusal("body_too_large" if inflater.unused_data.startswith(b"\x1f\x8b") else "malformed_gzip")
    return unzipped
