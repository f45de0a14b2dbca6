"""T2: a 2xx leaves the collector only after what it acknowledges was written to the log and the log was synced.

The kernel's view, through strace. One request at a time, so that whatever is written between two replies belongs to
the second one; but for the small commit with which the log begins to be moved (`store/mover.py`), which may come before
or after the reply and writes nothing but the file's first page.
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
PAGE = re.compile(r'regulars\.db-wal>, "(?!SQLite format 3).*, 4096, \d+(?:\)| <)')
ACKNOWLEDGES = 'accepted\\":'


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many replies acknowledged events, and how many of them came too early."""

    replies: int
    violations: int


def judge(lines: Iterable[str]) -> Verdict:
    """Reads a trace. A reply is a violation if no page came to the log since the last one, or one is not synced."""
    replies = violations = written = synced = answered = 0  # the last three count pages
    syncs: dict[str, int] = {}  # threads that are inside a sync of the log: how many pages that sync covers
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        thread, call, rest = found["thread"], found["call"] or found["resumed"], found["rest"] or ""
        if call in ("fdatasync", "fsync"):
            if WAL in rest:
                syncs[thread] = written
            if "<unfinished" not in rest:
                covered = syncs.pop(thread, 0)
                synced = max(synced, covered if line.rstrip().endswith("= 0") else 0)
        elif PAGE.search(rest):
            written += 1
        elif ACKNOWLEDGES in rest:
            replies += 1
            violations += not answered < written == synced
            answered = written
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


WRITE = '7 pwrite64(9</d/regulars.db-wal>, "\\r\\0"..., 4096, 4152) = 4096'
FIRST_PAGE = '7 pwrite64(9</d/regulars.db-wal>, "SQLite format 3\\0"..., 4096, 8272) = 4096'
SYNC = "7 fdatasync(9</d/regulars.db-wal>) = 0"
BEGINS = "{} fdatasync(9</d/regulars.db-wal> <unfinished ...>"
ENDS = "{} <... fdatasync resumed>) = 0"


@pytest.mark.parametrize(
    ("lines", "violations"),
    [
        ([WRITE, SYNC], 0),
        ([WRITE], 1),
        ([SYNC], 1),
        ([SYNC, WRITE], 1),
        ([WRITE, BEGINS.format(7)], 1),
        ([WRITE, BEGINS.format(7), ENDS.format(7)], 0),
        ([WRITE, BEGINS.format(7), ENDS.format(6)], 1),
        ([BEGINS.format(6), WRITE, ENDS.format(6)], 1),
        ([WRITE.replace("= 4096", "<unfinished ...>")], 1),
        ([WRITE, SYNC.replace("-wal", "")], 1),
        ([WRITE, SYNC.replace("= 0", "= -1 EIO")], 1),
        ([WRITE, SYNC, FIRST_PAGE], 0),
        ([FIRST_PAGE, SYNC], 1),
        ([WRITE, FIRST_PAGE, SYNC], 0),
    ],
)
def test_the_judge_knows_an_early_reply(lines: list[str], violations: int) -> None:
    reply = '8 write(15<socket:[1]>, "HTTP/1.1 200 OK\\r\\n\\r\\n{\\"accepted\\":1}", 30) = 30'
    assert judge([*lines, reply]) == Verdict(1, violations)
