"""R15 around the recorder: the provider is asked before the transaction and told after it, and may fail at both."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

import structlog
from aiohttp import web
from msgspec.structs import replace
from multidict import CIMultiDict

from collector import metrics
from collector.domain.event import Arrival, Receipt
from collector.domain.provider import Caller, CurrentProfileProvider
from collector.wire.ids import parse_id
from collector.wire.warnings import PROVIDER_FAILED

GROUP = "regulars.profile_provider"
METHODS = ("get_current", "get_existing", "set_current")
PATIENCE_S = 0.05
LOG_INTERVAL_S = 60.0

T = TypeVar("T")
log = structlog.get_logger()


class ProviderUnusable(ValueError):
    """There is no such provider, or it cannot be made; the message says why."""


class ProviderFailed(Exception):
    """The provider raised, took too long, or gave an answer that is none; `reason` is which, for the metrics."""

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause = cause


def load_provider(name: str) -> CurrentProfileProvider | None:
    """The provider called `name`: an entry point of the group, else a dotted path. Raises `ProviderUnusable`.

    Without a name it is the one that is installed, None if there is none.
    """
    installed = entry_points(group=GROUP)
    if not name and not installed:
        return None
    if not name and len(installed) > 1:
        raise ProviderUnusable(f"must be one of {', '.join(sorted(installed.names))}, for several are installed")
    name = name or next(iter(installed.names))
    try:
        factory = installed[name].load() if name in installed.names else _at(name)
        provider = factory()
    except Exception as error:  # whatever its module does
        raise ProviderUnusable(f"{name} cannot be used: {type(error).__name__}: {error}") from error
    missing = [method for method in METHODS if not callable(getattr(provider, method, None))]
    if missing:
        raise ProviderUnusable(f"{name} has no {missing[0]}")
    log.info("profile_provider", name=name)
    return provider  # type: ignore[no-any-return]


def _at(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    return getattr(importlib.import_module(module), attribute)


class Recognition:
    """Asks `provider`, and goes on with the built-in recognition where it fails."""

    def __init__(self, provider: CurrentProfileProvider) -> None:
        self._provider = provider
        self._logged_at = -LOG_INTERVAL_S
        self._failures = 0  # since then

    async def recognise(self, request: web.Request, arrival: Arrival) -> Arrival:
        """The arrival with the profile that the provider names; with a warning on its events where it fails."""
        caller = _caller(request, arrival)
        if not caller.uids or _is_bot(arrival):
            return arrival
        ask = self._provider.get_existing if arrival.device_id is None else self._provider.get_current
        try:
            answer = await self._within_patience(ask(caller))
            contact_id = parse_id(answer)
            if answer is not None and contact_id is None:
                raise ProviderFailed("answer", type(answer).__name__)
        except ProviderFailed as failure:
            self._note(failure)
            events = tuple(replace(event, warnings=(*event.warnings, PROVIDER_FAILED)) for event in arrival.events)
            return replace(arrival, events=events)
        return replace(arrival, contact_id=contact_id)

    async def remember(self, request: web.Request, asked: Arrival, answered: Arrival, receipt: Receipt) -> None:
        """Tell the provider whose the browser is from now on, where that is not what `recognise` made of `asked`."""
        profile_id = receipt.contact_id
        if profile_id is None or profile_id == answered.contact_id or _is_bot(asked):
            return
        try:
            await self._within_patience(self._provider.set_current(_caller(request, asked), profile_id))
        except ProviderFailed as failure:
            self._note(failure)

    async def _within_patience(self, answer: Awaitable[T]) -> T:
        clock = asyncio.get_running_loop().time
        started_at = clock()
        try:
            async with asyncio.timeout(PATIENCE_S):
                result = await answer
        except TimeoutError as error:
            raise ProviderFailed("timeout", type(error).__name__) from error
        except Exception as error:
            raise ProviderFailed("error", type(error).__name__) from error
        if clock() - started_at > PATIENCE_S:  # one that never awaits cannot be interrupted
            raise ProviderFailed("timeout", "blocked")
        return result

    def _note(self, failure: ProviderFailed) -> None:
        """Count it; one line of the log a minute, however many fail."""
        metrics.PROVIDER_FAILURES.labels(failure.reason).inc()
        self._failures += 1
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_INTERVAL_S:
            log.warning("provider_failed", reason=failure.reason, cause=failure.cause, failures=self._failures)
            self._logged_at, self._failures = now, 0


def _caller(request: web.Request, arrival: Arrival) -> Caller:
    cookies: Mapping[str, str] = request.cookies
    headers: Mapping[str, str] = request.headers
    if arrival.device_id is None:
        # Any page can show a pixel with a UID of its choice; a visitor's cookies must not vouch for that.
        cookies = {}
        headers = CIMultiDict((name, value) for name, value in headers.items() if name.lower() != "cookie")
    return Caller(
        arrival.site.site_id,
        arrival.site.name,
        arrival.device_id,
        arrival.contact_id,
        tuple(dict.fromkeys(event.uid for event in arrival.events if event.uid is not None)),
        cookies,
        headers,
    )


def _is_bot(arrival: Arrival) -> bool:
    """Whether the events stay outside of profiles."""
    return arrival.bot and arrival.site.settings.bots != "include"
