"""Making load: wrk for closed loops, and the visitors who return in it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.events import make_body, make_event, make_headers, now_ms, uuid7
from benchmarks.server import Installation, Server

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 64
VISITORS = 2_000


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk did; `events` were acknowledged."""

    requests: int
    events: int
    seconds: float
    p50_ms: float
    p99_ms: float
    event_bytes: float

    @property
    def requests_per_s(self) -> float:
        """Acknowledged requests per second."""
        return self.requests / self.seconds

    @property
    def events_per_s(self) -> float:
        """Acknowledged events per second."""
        return self.events / self.seconds


class LoadFailed(Exception):
    """Not every request was answered with 2xx."""


def run_wrk(
    server: Server, site: Installation, visitors: Path, core: int, seconds: float, events_per_request: int = 1
) -> Load:
    """64 connections in a closed loop. Raises `LoadFailed` unless every answer is a 2xx."""
    command = [
        "taskset",
        "--cpu-list",
        str(core),
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds:g}s",
        "--timeout=10s",
        "-s",
    ]
    script = [str(SCRIPT), server.url, "--", site.path, site.origin, str(events_per_request), str(visitors)]
    done = subprocess.run([*command, *script], capture_output=True, text=True, check=False, timeout=seconds + 60)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise LoadFailed(f"wrk said: {done.stdout}{done.stderr}")
    said = json.loads(line.removeprefix("RESULT "))
    if said["refused"] or said["broken"] or not said["requests"]:
        raise LoadFailed(f"{said}, see {server.log}")
    requests = said["requests"]
    return Load(
        requests,
        requests * events_per_request,
        said["seconds"],
        said["p50_ms"],
        said["p99_ms"],
        said["event_bytes"],
    )


def greet_visitors(
    server: Server, site: Installation, file: Path, count: int = VISITORS, returning: Sequence[tuple[str, str]] = ()
) -> Path:
    """Let `count` visitors come for the first time, and write to `file` who they are and which cookies they got.

    `returning` are (uid, device) of visitors who were there before and come instead.
    """
    ms = now_ms()
    visitors = returning or [(uuid7(ms), uuid7(ms)) for _ in range(count)]
    file.write_text("".join(asyncio.run(_greet_all(server, site, visitors))))
    return file


async def _greet_all(server: Server, site: Installation, visitors: Sequence[tuple[str, str]]) -> list[str]:
    limit = asyncio.Semaphore(32)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def greet(uid: str, device: str) -> str:
            ms = now_ms()
            body = make_body([make_event(site.origin, uid, uuid7(ms), uuid7(ms), 1, ms)], device, ms)
            headers = make_headers(site.origin, "")
            async with limit, session.post(server.url + site.path, data=body, headers=headers) as answer:
                if answer.status != 200:
                    raise LoadFailed(f"{answer.status} {await answer.text()}")
                await answer.read()
                cookies = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in answer.cookies.items())
                return f"{uid} {device} {cookies}\n"

        return await asyncio.gather(*(greet(*visitor) for visitor in visitors))


def run_limit(database: Path, core: int, seconds: float) -> float:
    """Events per second of the limit for batches, on the server's core."""
    said = _run_module("benchmarks.limit", core, seconds, str(database), str(seconds))
    return float(said["events"] / said["seconds"])


def run_open_loop(
    server: Server, site: Installation, visitors: Path, core: int, rate: float, seconds: float
) -> dict[str, float]:
    """Requests at a fixed `rate` whether answered or not: {"requests", "p50_ms", "p99_ms", "max_ms"}."""
    arguments = (str(server.port), site.path, site.origin, str(visitors), str(rate), str(seconds))
    return _run_module("benchmarks.open_loop", core, seconds, *arguments)


def _run_module(module: str, core: int, seconds: float, *arguments: str) -> dict[str, float]:
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=SCRIPT.parent.parent, capture_output=True, text=True, check=False, timeout=seconds * 3 + 120
    )
    if done.returncode:
        raise LoadFailed(f"{module}: {(done.stderr.strip().splitlines() or [done.stdout])[-1]}")
    result: dict[str, float] = json.loads(done.stdout)
    return result
