"""An edge for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.http.edge_place import Place, open_place


@pytest.fixture(params=[True, False], ids=["short way", "long way"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A running edge, reached the way that the collector itself takes and the way through the application."""
    async with open_place(is_short=request.param) as place:
        yield place
