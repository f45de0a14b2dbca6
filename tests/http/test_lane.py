"""The short way of batches: what takes it, and that nobody can tell which way a request went."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from collector.recorder import StorageUnavailable
from tests.http.edge_place import ORIGIN, SITE, Place, open_place
from tests.http.test_edge_deadlines import connection
from tests.unit.wire_samples import batch, event

PATH = f"/v1/collect?site={SITE.write_key}"


def request(
    data: bytes | None = None, *, line: str = f"POST {PATH} HTTP/1.1", headers: str = "", length: str = ""
) -> bytes:
    data = batch(event()) if data is None else data
    told = length or f"Content-Length: {len(data)}\r\n"
    head = f"{line}\r\nHost: x\r\nOrigin: {ORIGIN}\r\nContent-Type: text/plain\r\n{headers}{told}\r\n"
    return head.encode() + data


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next reply."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return int(head.split()[1]), await reader.readexactly(length)


async def arrives(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is waited for is another task's
            await asyncio.sleep(0.001)


CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(batch(event())), batch(event()))
PLAIN = {"plain": request(), "with more headers": request(headers="X-Request: 1\r\nCookie: a=b\r\n")}
NOT_PLAIN = {  # and the status that comes first
    "closing": (request(headers="Connection: close\r\n"), 200),
    "old": (request(line=f"POST {PATH} HTTP/1.0"), 200),
    "asking before it sends": (request(headers="Expect: 100-continue\r\n"), 100),
    "two in one": (request() + request(), 200),
    "with another parameter": (request(line=f"POST {PATH}&b=1 HTTP/1.1"), 200),
    "for a key that is unknown": (request(line="POST /v1/collect?site=unknown-key HTTP/1.1"), 401),
    "to another address": (request(line=f"POST /v1/consent?site={SITE.write_key} HTTP/1.1"), 400),
}


@pytest.mark.parametrize("sent", PLAIN.values(), ids=PLAIN)
async def test_a_plain_batch_takes_the_short_way(sent: bytes) -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        for number in range(1, 4):
            writer.write(sent)
            assert (await read_reply(reader))[0] == 200
            assert (place.recorder.enqueued, len(place.recorder.arrivals)) == (number, number)


@pytest.mark.parametrize(("sent", "expected"), NOT_PLAIN.values(), ids=NOT_PLAIN)
async def test_what_is_not_plain_takes_the_long_way(sent: bytes, expected: int) -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        writer.write(sent)
        assert int((await reader.readline()).split()[1]) == expected
        assert place.recorder.enqueued == 0


async def test_a_batch_in_pieces_takes_the_long_way_and_the_next_one_the_short_way() -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        for cut in (5, 60, 200):
            writer.write(request()[:cut])
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(request()[cut:])
            assert (await read_reply(reader))[0] == 200
        assert place.recorder.enqueued == 0
        writer.write(request())
        assert (await read_reply(reader))[0] == 200
        assert (place.recorder.enqueued, len(place.recorder.arrivals)) == (1, 4)


def test_the_first_batch_of_a_connection_takes_the_short_way_though_aiohttp_does_not_wait_yet() -> None:
    async def scenario() -> int:
        async with open_place() as place:
            loop = asyncio.get_running_loop()
            with socket.socket() as visitor:
                visitor.connect(("127.0.0.1", int(place.url.rpartition(":")[2])))
                visitor.sendall(request())  # before the loop hears of the connection
                visitor.setblocking(False)
                for sent in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", request(), b""):
                    assert (await asyncio.wait_for(loop.sock_recv(visitor, 65536), 10)).startswith(b"HTTP/1.1 200")
                    await loop.sock_sendall(visitor, sent)
            assert len(place.recorder.arrivals) == 2
            return place.recorder.enqueued

    assert uvloop.run(scenario()) == 2


async def test_both_ways_take_turns_on_one_connection() -> None:
    async with open_place() as place, connection(place) as (reader, writer):
        for _ in range(3):
            writer.write(request())
            assert (await read_reply(reader))[0] == 200
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await read_reply(reader))[0] == 200
            writer.write(request(CHUNKED, length="Transfer-Encoding: chunked\r\n"))
            assert (await read_reply(reader))[0] == 200
        assert len(place.recorder.arrivals) == 6


async def test_what_comes_before_the_reply_is_answered_after_it(place: Place) -> None:
    place.recorder.may_store.clear()
    async with connection(place) as (reader, writer):
        for sent in (request(batch(event(), event())), request(), request(), request()):
            writer.write(sent)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        place.recorder.may_store.set()
        replies = [await read_reply(reader) for _ in range(5)]
        assert [status for status, _ in replies] == [200] * 5
        assert [b'"accepted":2' in body for _, body in replies] == [True, False, False, False, False]
        assert len(place.recorder.arrivals) == 4


async def test_a_connection_in_use_is_not_idle() -> None:
    async with open_place(keepalive_timeout_s=0.4) as place, connection(place) as (reader, writer):
        for _ in range(8):
            writer.write(request())
            assert (await read_reply(reader))[0] == 200
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            assert await reader.read() == b"", "but then it is"


async def _stores(place: Place) -> None:
    place.recorder.may_store.set()


async def _fails(place: Place) -> None:
    place.recorder.fails = StorageUnavailable()
    place.recorder.may_store.set()


@pytest.mark.parametrize(("then", "expected"), [(_stores, 200), (_fails, 503)])
async def test_a_batch_underway_has_its_reply_before_the_collector_stops(
    then: Callable[[Place], Awaitable[None]], expected: int
) -> None:
    async with open_place() as place:
        place.recorder.may_store.clear()
        port = int(place.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        await arrives(lambda: bool(place.recorder.enqueued))
        asyncio.get_running_loop().call_later(0.1, asyncio.ensure_future, then(place))
    assert (await read_reply(reader))[0] == expected
    assert await reader.read() == b""
    writer.close()


async def test_a_client_that_is_gone_before_the_reply_has_stored_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_place() as place:
        place.recorder.may_store.clear()
        async with connection(place) as (_reader, writer):
            writer.write(request())
            await arrives(lambda: bool(place.recorder.enqueued))
            writer.transport.abort()
        place.recorder.may_store.set()
        await arrives(lambda: bool(place.recorder.arrivals))
        assert (await place.sends(event())).status == 200
    assert not caplog.records
