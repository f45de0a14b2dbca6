"""`/openapi.json` and `/reference`: what every address takes and answers, for programs and for people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

from aiohttp import web

from collector.web.api.endpoint import Endpoint
from collector.web.headers import JSON, UNCACHED
from collector.web.surface import Address

# ruff: noqa: PLC0415 - templates and schemas are loaded for the first reader, not by every collector at its start


class Description:
    """The addresses of one application as a document and as a page, each made once, when first asked for."""

    def __init__(self, addresses: Sequence[Address], endpoints: Sequence[Endpoint], prefix: str) -> None:
        self._addresses = addresses
        self._endpoints = endpoints
        self._prefix = prefix

    @cached_property
    def document(self) -> bytes:
        """JSON of OpenAPI 3.1."""
        import orjson

        from collector.web.openapi import make_document

        return orjson.dumps(make_document(self._addresses, self._endpoints, self._prefix))

    @cached_property
    def page(self) -> tuple[bytes, str]:
        """HTML made of the document, and the content security policy that it needs."""
        import orjson

        from collector.web.reference_page import make_page

        return make_page(orjson.loads(self.document))


DESCRIPTION: web.AppKey[Description] = web.AppKey("description", Description)


async def get_document(request: web.Request) -> web.Response:
    """Every address with its parameters, bodies, replies, failures and scopes, as OpenAPI 3.1."""
    description = request.app[DESCRIPTION]
    return web.Response(body=await asyncio.to_thread(lambda: description.document), headers=JSON)


async def get_reference(request: web.Request) -> web.Response:
    """The same as a page that needs neither scripts nor anything from elsewhere."""
    description = request.app[DESCRIPTION]
    page, policy = await asyncio.to_thread(lambda: description.page)
    headers = {**UNCACHED, "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return web.Response(body=page, headers=headers)
