"""Settings of all tests: hypothesis prints what reproduces a failure, and gives up no sooner on a slow machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import Cluster, running_cluster

pytest.register_assert_rewrite("tests.scenarios")  # their asserts explain themselves too

settings.register_profile(
    "regulars", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("regulars")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server of our own, started when the first test asks for it."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def shared_database(postgresql: Cluster) -> str:
    """The name of a migrated database that each test leaves empty; making one for each takes too long."""
    return postgresql.new_database()
