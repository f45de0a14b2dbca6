"""What the handlers work with, put together once by the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from collector.domain.event import Arrival, Receipt
from collector.recorder import Answer
from collector.store.consents import Consent
from collector.store.quarantine import Refused
from collector.web.body import Patience
from collector.web.cookies import CookieJar
from collector.web.limits import Limits
from collector.web.provider import Recognition
from collector.web.proxies import Proxies
from collector.web.sdk_file import Sdk
from collector.web.sites import SiteDirectory
from collector.web.tokens import Tokens


class Recording(Protocol):
    """What the web needs of the recorder."""

    @property
    def ready(self) -> bool:
        """Whether events can be stored, as far as is known without trying."""

    async def record(self, arrival: Arrival) -> Receipt:
        """Store; returns after the commit."""

    def enqueue(self, read: Callable[[], Arrival], answer: Answer) -> None:
        """`record` for a request that `read` parses when its turn comes; `answer` hears what becomes of it."""

    async def quarantine_raw(self, site_id: int, received_at: int, refused: Refused) -> None:
        """Keep a body that could not be parsed."""

    async def record_consent(self, site_id: int, consent: Consent) -> None:
        """Keep a visitor's decision."""

    async def probe(self) -> bool:
        """Whether storing works right now."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of one collector that its handlers share. `now` is ms UTC, `fresh_id` mints UUIDv7 text."""

    recorder: Recording
    sites: SiteDirectory
    cookies: CookieJar
    sdk: Sdk
    now: Callable[[], int]
    fresh_id: Callable[[], str]
    tokens: Tokens
    limits: Limits = field(default_factory=Limits)
    proxies: Proxies = field(default_factory=lambda: Proxies(()))
    patience: Patience = field(default_factory=Patience)
    recognition: Recognition | None = None


EDGE: web.AppKey[Edge] = web.AppKey("edge", Edge)
