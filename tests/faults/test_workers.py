"""`serve --workers N`: one address, several processes, of which any may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import ROOT, Collector, event, eventually, get, post_batch
from tests.postgresql import Cluster

WORKERS = 3


@pytest.fixture
def team(tmp_path: Path, postgresql: Cluster) -> Iterator[Collector]:
    """Three workers on one port; not started."""
    settings = {"REGULARS_WORKERS": str(WORKERS)}
    team = Collector(tmp_path, settings, cluster=postgresql, database_name=postgresql.new_database())
    yield team
    team.close()


def workers_of(team: Collector) -> set[int]:
    assert team.process is not None
    children = Path(f"/proc/{team.process.pid}/task/{team.process.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(team: Collector) -> None:
    keys = team.add_site()
    team.start()
    eventually(lambda: "listens on" in team.last_words())
    begun = workers_of(team)
    assert len(begun) == WORKERS
    for number, victim in enumerate(begun):
        os.kill(victim, signal.SIGKILL)
        eventually(lambda gone=victim: gone not in workers_of(team) and len(workers_of(team)) == WORKERS)
        assert post_batch(team.url, keys.write_key, [event(number)]).status == 200
    assert team.last_words().count('"event": "worker_died"') == WORKERS
    assert len(team.stored_ids()) == WORKERS
    assert team.stop() == 0


def test_sigterm_ends_them_all_and_what_was_acknowledged_is_stored(team: Collector) -> None:
    keys = team.add_site()
    team.start()
    for number in range(10):
        assert post_batch(team.url, keys.write_key, [event(number)]).status == 200
    workers = workers_of(team)
    assert team.stop() == 0
    assert not any(is_alive(worker) for worker in workers)
    assert len(team.stored_ids()) == 10


def test_workers_whose_master_is_killed_end_too(team: Collector) -> None:
    team.start()
    workers = workers_of(team)
    team.kill()
    eventually(lambda: not any(is_alive(worker) for worker in workers), 20)
    assert get(f"{team.url}/healthz").status == 0


def test_workers_that_cannot_begin_are_not_begun_again(team: Collector) -> None:
    assert team.cluster is not None
    nobody = {"REGULARS_DATABASE_URL": team.cluster.url("no_such_database")}
    words = [sys.executable, "-m", "collector", "serve"]
    environment = team.environment() | nobody
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no_such_database" in done.stderr
    assert done.stdout == ""


def test_sqlite_has_one_writer(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "collector", "serve", "--workers", "2"]
    environment = Collector(tmp_path).environment()
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("regulars: workers: must be 1 on SQLite")
