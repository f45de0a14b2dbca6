"""Whose request it is when proxies stand in front: X-Forwarded-For counts as far as proxies we trust wrote it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from collector.web.asked import Asked


class Proxies:
    """The networks whose word is taken. None of them: the peer is the client."""

    __slots__ = ("_is_trusted", "_networks")

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network, strict=False) for network in networks)
        self._is_trusted = lru_cache(1024)(self._lies_inside)

    def address_of(self, request: Asked) -> str:
        """The client's address: the last one that was not written by a client itself."""
        address = request.remote or ""
        if not self._networks:
            return address
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while hops and self._is_trusted(address):
            hop = hops.pop().strip()
            if not _is_address(hop):
                break
            address = hop
        return address

    def _lies_inside(self, address: str) -> bool:
        if not _is_address(address):
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
