"""One description of an address for servers: who may call it, what it takes, what it answers.

`answering` turns it into a handler: it authorises, reads path, query and body, and hands them over as a `Call`. The
document at `/openapi.json` is made from the same descriptions, so that neither can say what the other does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import msgspec
from aiohttp import web

from collector.domain.keys import Key, Scope
from collector.domain.site import Site
from collector.web.api.access import ADMINISTRATION, Administration, answer, authorise
from collector.web.api.body import read_body
from collector.web.api.parameters import NoQuery, read_path, read_query
from collector.web.edge import EDGE, Edge

Q = TypeVar("Q", bound=msgspec.Struct)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q]):
    """A request that may be answered. `path` are the checked parameters of the path, `body` is None without one."""

    request: web.Request
    site: Site
    key: Key
    path: Mapping[str, Any]
    query: Q
    body: Any = None

    @property
    def may_see_pii(self) -> bool:
        """Whether personal data is answered in full; otherwise it has to be masked (`domain.masking`)."""
        return Scope.PII_READ in self.key.scopes

    @property
    def parts(self) -> Administration:
        """What the handlers work with."""
        return self.request.app[ADMINISTRATION]

    @property
    def edge(self) -> Edge:
        """What all handlers of the collector share."""
        return self.request.app[EDGE]

    def now(self) -> int:
        """Milliseconds UTC."""
        return self.edge.now()

    async def read(self, function: Callable[Concatenate[Any, int, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(conn, site_id, …)` in a snapshot of its own."""
        return await self.parts.database.read(function, self.site.site_id, *args, **kwargs)

    async def write(self, function: Callable[Concatenate[Any, int, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(conn, site_id, …)` in a transaction, and commit."""
        return await self.parts.database.write(function, self.site.site_id, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one address.

    `query` is a Struct whose fields are the parameters; `path_types` are the types of those in the path, text where
    nothing is said. `reply` is the type of the body of a success, None without one; `errors` are the codes it can
    answer beside those of every endpoint. `headers` are what a success carries, by name, with what they mean.
    """

    method: str
    path: str
    handler: Callable[[Call[Any]], Awaitable[web.Response]]
    summary: str
    scope: Scope
    query: type[msgspec.Struct] = NoQuery
    path_types: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    reply: Any = None
    status: int = 200
    may_be_empty: bool = False  # answers 204 too
    errors: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """An address that anybody could use must not come about by a slip."""
        if not isinstance(self.scope, Scope):
            raise TypeError(f"{self.method} {self.path} needs a scope")


def answering(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of an endpoint: key and scope first, then path, query and body."""

    async def handle(request: web.Request) -> web.Response:
        async def run() -> web.Response:
            site, key = await authorise(request, endpoint.scope)
            path, query = read_path(request, endpoint.path_types), read_query(request, endpoint.query)
            body = await read_body(request, endpoint.body)
            return await endpoint.handler(Call(request, site, key, path, query, body))

        return await answer(request, run)

    return handle
