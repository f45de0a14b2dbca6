"""Connections that are slow, silent or nonsense. Each wait ends with what the edge does, not with a guess at when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from collector.web.body import Patience
from tests.http.edge_place import SITE, Place, counts, growth, open_place
from tests.unit.wire_samples import batch, event

HEAD = f"POST /v1/collect?site={SITE.write_key} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n".encode()


@asynccontextmanager
async def connection(place: Place) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the edge closes the connection, which must not take as long as aiohttp waits for a body."""
    received = b""
    async with asyncio.timeout(6):
        try:
            while chunk := await reader.read(65_536):
                received += chunk
        except ConnectionResetError:  # closed on what was still being sent
            pass
    return received


async def drip(writer: asyncio.StreamWriter, data: bytes, pause_s: float) -> None:
    """Send byte by byte until it is all sent or nobody listens."""
    try:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause_s)
    except ConnectionError:
        pass


@pytest.mark.parametrize("sent", [b"P", HEAD, HEAD + b"X-Endless: "])
async def test_headers_that_do_not_end_are_cut(sent: bytes) -> None:
    async with open_place(header_timeout_s=0.2) as place, connection(place) as (reader, writer):
        before = counts()
        writer.write(sent)
        assert await everything(reader) == b""
        assert growth(before) == {"cut": 1}


async def test_headers_that_come_drop_by_drop_are_cut_all_the_same() -> None:
    async with open_place(header_timeout_s=0.3) as place, connection(place) as (reader, writer):
        dripping = asyncio.create_task(drip(writer, HEAD * 20, 0.01))
        assert await everything(reader) == b""
        await dripping


async def test_the_second_request_of_a_connection_has_the_same_deadline() -> None:
    async with open_place(header_timeout_s=0.2) as place, connection(place) as (reader, writer):
        data = batch(event())
        writer.write(HEAD + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        before = counts()
        writer.write(b"GET /hea")
        assert b"HTTP/1.1" not in await everything(reader)
        assert growth(before) == {"cut": 1}


async def test_headers_in_pieces_are_fine_in_time() -> None:
    async with open_place(header_timeout_s=20) as place, connection(place) as (reader, writer):
        data = batch(event())
        for piece in (HEAD[:10], HEAD[10:], b"Content-Length: " + str(len(data)).encode(), b"\r\n\r\n", data):
            writer.write(piece)
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    async with open_place(keepalive_timeout_s=0.2) as place, connection(place) as (reader, _writer):
        assert await everything(reader) == b""


async def test_a_body_that_does_not_come_is_408_and_the_connection_ends() -> None:
    async with open_place(patience=Patience(0.2, 0.2)) as place, connection(place) as (reader, writer):
        before = counts()
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        reply = await everything(reader)
        assert reply.startswith(b"HTTP/1.1 408")
        assert b'"code":"request_timeout"' in reply
        assert b"\r\nConnection: close\r\n" in reply
        assert growth(before) == {"received": 1, "refused": 1, "refused request_timeout": 1}
        assert place.recorder.arrivals == []


async def test_a_body_slower_than_its_pace_is_408_long_before_the_time_is_over() -> None:
    patience = Patience(timeout_s=1_000, grace_s=0.2, bytes_per_s=100_000)
    async with open_place(patience=patience) as place, connection(place) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 10000\r\n\r\n")
        dripping = asyncio.create_task(drip(writer, b" " * 10_000, 0.01))
        assert (await everything(reader)).startswith(b"HTTP/1.1 408")
        await dripping


async def test_a_body_in_pieces_is_fine_in_time() -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        data = batch(event())
        writer.write(HEAD + f"Content-Length: {len(data)}\r\n\r\n".encode())
        for start in range(0, len(data), 100):
            writer.write(data[start : start + 100])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_a_chunked_body_is_put_together() -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        data = batch(event())
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in (data[:7], data[7:]):
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind() -> None:
    async with open_place() as place:
        async with connection(place) as (_reader, writer):
            writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
            await writer.drain()
        assert (await place.sends(event())).status == 200
        assert len(place.recorder.arrivals) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03<script>\r\n\r\n",
        b"<script> / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9<script>\r\n\r\n",
        HEAD + b"Content-Length: <script>\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n<script>",
        HEAD + b"<script>\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X: " + b"<script>" * 2_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_400_without_an_echo(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        writer.write(sent)
        reply = await everything(reader)
        assert reply.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        assert b'"code":"malformed_request"' in reply
        assert b"script" not in reply
        assert "script" not in caplog.text
