"""Marks for tests that look at what only one engine has."""

from __future__ import annotations

import pytest

ENGINES = ("sqlite", "postgresql")

only_on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
only_on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
