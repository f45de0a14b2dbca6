"""Settings of all tests: hypothesis prints what reproduces a failure, and gives up no sooner on a slow machine."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.scenarios")  # their asserts explain themselves too

settings.register_profile(
    "regulars", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("regulars")
