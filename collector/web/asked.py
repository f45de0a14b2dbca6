"""What the checks look at of a request, whoever parsed it."""

from __future__ import annotations

from typing import Protocol

from multidict import MultiMapping


class Asked(Protocol):
    """A request of aiohttp's, or a batch on the short way."""

    @property
    def headers(self) -> MultiMapping[str]:
        """Its headers, whatever the case of their names."""

    @property
    def raw_path(self) -> str:
        """Path and query as they were sent."""

    @property
    def query(self) -> MultiMapping[str]:
        """The query, decoded."""

    @property
    def remote(self) -> str | None:
        """The address of who sent it: a visitor's, or the last proxy's."""
