"""Identity tokens that events carry: verified before the event is recorded, and never the reason to refuse it."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from collector import metrics
from collector.domain.event import Assertion, Event
from collector.domain.identity_token import confirm, token_secret, valid_key_numbers
from collector.domain.site import Site
from collector.wire.identity_token import read_token
from collector.wire.warnings import IDENTITY_TOKEN_EXPIRED, IDENTITY_TOKEN_INVALID, IDENTITY_TOKEN_MISMATCH

LEEWAY_MS = 60_000  # by so much the clocks of two servers may differ
REMEMBERED = 1024  # sites


class Tokens:
    """Verifies tokens with the keys that `secret`, the installation's, leads to."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._secrets = lru_cache(REMEMBERED)(self._derive)

    def judge(self, site: Site, event: Event, now: int) -> Event:
        """The event with the trust that its token earns, or with the warning why it earns none (`now` is ms UTC)."""
        assertion = event.assertion
        if assertion is None or assertion.token is None:
            return event
        judged = self._judge(site, assertion, assertion.token, event.uid, now)
        if isinstance(judged, str):
            metrics.IDENTITY_TOKENS.labels(judged.removeprefix("identity_token_")).inc()
            bare = replace(assertion, token=None)
            return replace(event, assertion=bare, warnings=(judged, *event.warnings))  # the first is told
        metrics.IDENTITY_TOKENS.labels("valid").inc()
        return replace(event, assertion=replace(judged, token=None))

    def _judge(self, site: Site, assertion: Assertion, token: str, uid: str | None, now: int) -> Assertion | str:
        vouched = read_token(token, self._secrets(site))
        if vouched is None or vouched.begins_at - LEEWAY_MS > now:
            return IDENTITY_TOKEN_INVALID
        if not vouched.expires_at + LEEWAY_MS > now:
            return IDENTITY_TOKEN_EXPIRED
        return confirm(assertion, uid, vouched) or IDENTITY_TOKEN_MISMATCH

    def _derive(self, site: Site) -> list[str]:
        return [token_secret(self._secret, site, number) for number in reversed(valid_key_numbers(site))]
