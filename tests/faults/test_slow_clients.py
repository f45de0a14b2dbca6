"""T10: connections that send half a request, or nothing any more, are cut in time. Nobody notices, and memory holds.

How long honest requests took meanwhile is printed (`pytest -s`).
"""

from __future__ import annotations

import http.client
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.server import ORIGIN, Collector, Keys, event, now_ms, post_batch

CONNECTIONS = 1000
HONEST_REQUESTS = 200
MOST_MEMORY_KIB = 250 * 1024
HEADERS = b"POST /v1/collect?site=%s HTTP/1.1\r\nHost: collect.example\r\nContent-Type: text/plain\r\n"
LENGTH = b"Content-Length: 500\r\n"
IDLE = b"GET /healthz HTTP/1.1\r\nHost: collect.example\r\n\r\n"
SPARE_FILES = 200
PLAIN = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Lets this process open so many files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + SPARE_FILES:
        pytest.skip(f"a process may open {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + SPARE_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(stack: ExitStack, collector: Collector) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", collector.port), timeout=30))


def serve_honest_requests(collector: Collector, keys: Keys) -> None:
    """All of them are stored; prints what the slowest of a hundred took."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=30)
    took_ms: list[float] = []
    for number in range(HONEST_REQUESTS):
        body = json.dumps({"sent_at": now_ms(), "tz": 0, "sdk": "0.1.0", "events": [event(number)]})
        begun = time.perf_counter()
        connection.request("POST", f"/v1/collect?site={keys.write_key}", body, PLAIN)
        response = connection.getresponse()
        reply = json.loads(response.read())
        took_ms.append((time.perf_counter() - begun) * 1000)
        assert (response.status, reply["accepted"]) == (200, 1)
    connection.close()
    p99 = sorted(took_ms)[int(len(took_ms) * 0.99)]
    print(f"honest requests: p99 {p99:.1f} ms, memory {memory_kib(collector) / 1024:.0f} MiB")  # noqa: T201 - to be read


def memory_kib(collector: Collector) -> int:
    """The most that the collector ever had in memory."""
    assert collector.process is not None
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(HEADERS, b"", id="half the headers"),
        pytest.param(HEADERS + LENGTH + b"\r\n" + b'{"sent_at"', b"HTTP/1.1 408 ", id="half the body"),
    ],
)
def test_half_a_request_is_cut_while_others_are_served(collector: Collector, sent: bytes, answer: bytes) -> None:
    collector.settings = {"REGULARS_HEADER_TIMEOUT_S": "2", "REGULARS_BODY_TIMEOUT_S": "2"}
    keys = collector.add_site()
    collector.start()
    with many_files(CONNECTIONS), ExitStack() as stack:
        slow = [connect(stack, collector) for _ in range(CONNECTIONS)]
        for connection in slow:
            connection.sendall(sent.replace(b"%s", keys.write_key.encode()))
        serve_honest_requests(collector, keys)
        for connection in slow:
            with connection.makefile("rb") as reading:
                assert reading.read().startswith(answer)  # ends when the collector has closed it
    assert post_batch(collector.url, keys.write_key, [event(2)]).json()["accepted"] == 1
    assert memory_kib(collector) <= MOST_MEMORY_KIB


@pytest.mark.parametrize("connections", [2000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_idle_connections_cost_others_nothing_and_are_closed_in_the_end(collector: Collector, connections: int) -> None:
    idle_s = connections / 400  # long enough to open all of them before the first one is closed
    collector.settings = {"REGULARS_KEEPALIVE_TIMEOUT_S": str(idle_s)}
    keys = collector.add_site()
    collector.start()
    with many_files(connections), ExitStack() as stack:
        idle = [connect(stack, collector) for _ in range(connections)]
        for connection in idle:
            connection.sendall(IDLE)
        for connection in idle:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        serve_honest_requests(collector, keys)
        for connection in idle:
            connection.settimeout(idle_s + 60)
            assert connection.recv(4096) == b"", "closed without a word"
        assert post_batch(collector.url, keys.write_key, [event(1)]).json()["accepted"] == 1
    assert memory_kib(collector) <= MOST_MEMORY_KIB
