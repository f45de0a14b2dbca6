"""A collector in a folder of its own, and clients that load it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.load import Load, running_load
from tests.faults.server import Collector
from tests.postgresql import Cluster


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Where the collector stores; a test may be parametrised with others."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def collector(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Iterator[Collector]:
    """Not started; ended after the test in any case."""
    if engine == "sqlite":
        collector = Collector(tmp_path)
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        collector = Collector(tmp_path, cluster=cluster, database_name=cluster.new_database())
    yield collector
    collector.close()


@pytest.fixture
def seed() -> int:
    """FAULTS_SEED repeats a run, as far as chance goes."""
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10**6)))
    print(f"FAULTS_SEED={seed}")  # noqa: T201 - shown when the test fails
    return seed


@pytest.fixture
def load(collector: Collector, seed: int, tmp_path: Path) -> Iterator[Load]:
    """Clients of a site of that collector."""
    keys = collector.add_site()
    with running_load(collector.url, keys.write_key, tmp_path, seed) as load:
        yield load
