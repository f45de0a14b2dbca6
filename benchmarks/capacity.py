"""What a collector needs: memory with many connections, time to start. Growth is in `growth`."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.bench import Bench
from benchmarks.ingest import BATCH
from benchmarks.load import greet_visitors, run_wrk
from benchmarks.server import Installation, Server, install, sqlite_url
from benchmarks.targets import Result

SAMPLE_S = 0.1
SPARE_FILES = 200


def measure_memory(bench: Bench) -> list[Result]:
    """Resident memory of a collector that has just started, and the most it takes with many connections under load."""
    folder = bench.make_folder("memory")
    site = install(folder)
    idle, loaded = [], []
    connections = _possible_connections(bench.scale.connections)
    for number in range(1, bench.scale.repetitions + 1):
        with site.running(bench.cores.server) as ours:
            idle.append(ours.resident_mb())
            bench.tell(f"{connections:,} connections, {number} of {bench.scale.repetitions}")
            visitors = greet_visitors(ours, site, folder / "visitors", 200)
            with _open_connections(ours, connections), _most_memory(ours) as seen:
                run_wrk(ours, site, visitors, bench.cores.load, bench.scale.seconds, BATCH)
                run_wrk(ours, site, visitors, bench.cores.load, bench.scale.seconds)
            loaded.append(max(seen))
    return [
        Result("memory_idle", idle),
        Result("memory_load", loaded, "keep-alive, one request each", (("connections", f"{connections:,}"),)),
    ]


def _possible_connections(wanted: int) -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited by the collector, too
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE_FILES)


@contextmanager
def _open_connections(server: Server, count: int) -> Iterator[None]:
    """`count` connections that have been answered once and stay open."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ExitStack() as open_sockets:
        sockets = []
        for _ in range(count):
            connection = open_sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            connection.sendall(request)
            sockets.append(connection)
        for connection in sockets:
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("a connection was not answered")
        yield


@contextmanager
def _most_memory(server: Server) -> Iterator[list[float]]:
    """Resident memory, sampled until the block ends."""
    seen = [server.resident_mb()]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_S):
            seen.append(server.resident_mb())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def measure_start(bench: Bench) -> list[Result]:
    """From the start of the process to the first 200 of `/readyz`: the tables are made in that time."""
    samples = []
    for number in range(1, bench.scale.repetitions + 1):
        bench.tell(f"start, {number} of {bench.scale.repetitions}")
        folder = bench.make_folder(f"start{number}")
        bare = Installation(sqlite_url(folder), folder, "")
        with bare.running(bench.cores.server) as ours:
            samples.append(ours.started_s)
    return [Result("start_empty", samples, "migrations included; started on the server's core")]
