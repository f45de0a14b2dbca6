"""T2: a 2xx leaves the collector only after what it acknowledges was written to the log and the log was synced.

The kernel's view, through strace. One request at a time, so that whatever is written between two replies belongs to
the second one.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.server import ORIGIN, Collector, event, eventually, now_ms

CALLS = "pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync"
LINE = re.compile(r"(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\((?P<rest>.*))")
WAL = "regulars.db-wal>"
ACKNOWLEDGES = 'accepted\\":'


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many replies acknowledged events, and how many of them came too early."""

    replies: int
    violations: int


def judge(lines: Iterable[str]) -> Verdict:
    """Reads a trace. A reply is a violation if the log was not written since the last one, or not synced since then."""
    replies = violations = 0
    written = synced = False
    unfinished: set[str] = set()  # threads that are inside a sync of the log
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        thread, call, rest = found["thread"], found["call"] or found["resumed"], found["rest"] or ""
        if call in ("fdatasync", "fsync"):
            if "<unfinished" in rest and WAL in rest:
                unfinished.add(thread)
            elif line.rstrip().endswith("= 0") and (WAL in rest or thread in unfinished):
                unfinished.discard(thread)
                synced = written
        elif WAL in rest:
            written, synced = True, False
        elif ACKNOWLEDGES in rest:
            replies += 1
            violations += not (written and synced)
            written = synced = False
    return Verdict(replies, violations)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stderr.decode().strip()}")
    return tmp_path / "trace"


@pytest.fixture
def collectors() -> Iterator[list[Collector]]:
    running: list[Collector] = []
    yield running
    for collector in running:
        collector.close()


def acknowledge(collector: Collector, write_key: str, count: int) -> None:
    """Has `count` events stored, each by a request of its own, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=30)
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}
    for number in range(count):
        body = json.dumps({"sent_at": now_ms(), "tz": 0, "sdk": "0.1.0", "events": [event(number)]})
        connection.request("POST", f"/v1/collect?site={write_key}", body, headers)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["accepted"]) == (200, 1)
    connection.close()


def watch(collector: Collector, trace: Path, count: int) -> Verdict:
    """Traces a collector while it acknowledges `count` requests."""
    options = ["-D", "-f", "-y", "--seccomp-bpf", "-s", "1024", "-e", f"trace={CALLS}", "-e", "signal=none"]
    collector.tracer = ["strace", *options, "-o", str(trace)]
    keys = collector.add_site()
    collector.start()
    acknowledge(collector, keys.write_key, count)
    assert collector.stop() == 0
    eventually(lambda: "+++ exited with 0 +++" in trace.read_text(errors="replace").rsplit("\n", 2)[-2])
    return judge(trace.read_text(errors="replace").splitlines())


def test_every_reply_comes_after_a_sync_of_the_log(tmp_path: Path, trace: Path, collectors: list[Collector]) -> None:
    collectors.append(Collector(tmp_path))
    assert watch(collectors[0], trace, 1000) == Verdict(replies=1000, violations=0)


def test_without_the_sync_the_same_watch_raises_the_alarm(
    tmp_path: Path, trace: Path, collectors: list[Collector]
) -> None:
    collectors.append(Collector(tmp_path, launcher=("-m", "tests.faults.nets", "sync", "serve")))
    verdict = watch(collectors[0], trace, 100)
    assert verdict.replies == 100
    assert verdict.violations > 90


@pytest.mark.parametrize(
    ("lines", "violations"),
    [
        (["7 pwrite64(9</d/regulars.db-wal>, x) = 1", "7 fdatasync(9</d/regulars.db-wal>) = 0"], 0),
        (["7 pwrite64(9</d/regulars.db-wal>, x) = 1"], 1),
        (["7 fdatasync(9</d/regulars.db-wal>) = 0"], 1),
        (["7 fdatasync(9</d/regulars.db-wal>) = 0", "7 pwrite64(9</d/regulars.db-wal>, x) = 1"], 1),
        (["7 pwrite64(9</d/regulars.db-wal>, x) = 1", "7 fdatasync(9</d/regulars.db-wal> <unfinished ...>"], 1),
        (
            [
                "7 pwrite64(9</d/regulars.db-wal>, x) = 1",
                "7 fdatasync(9</d/regulars.db-wal> <unfinished ...>",
                "7 <... fdatasync resumed>) = 0",
            ],
            0,
        ),
        (["7 pwrite64(9</d/regulars.db-wal>, x) = 1", "7 fdatasync(9</d/regulars.db>) = 0"], 1),
        (["7 pwrite64(9</d/regulars.db-wal>, x) = 1", "7 fdatasync(9</d/regulars.db-wal>) = -1 EIO"], 1),
    ],
)
def test_the_judge_knows_an_early_reply(lines: list[str], violations: int) -> None:
    reply = '8 write(15<socket:[1]>, "HTTP/1.1 200 OK\\r\\n\\r\\n{\\"accepted\\":1}", 30) = 30'
    assert judge([*lines, reply]) == Verdict(1, violations)
