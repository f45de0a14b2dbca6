"""What a site is: one customer of the collector, with its keys, origins and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Choices of a site, with the defaults of the spec pages. Stored as JSON; unknown keys are refused."""

    consent: Literal["not_required", "required"] = "not_required"
    gpc_denies: bool = False  # Global Privacy Control counts as denial
    bots: Literal["exclude", "include"] = "exclude"
    own_domains: tuple[str, ...] = ()  # own and payment domains: coming from there does not start a visit
    track_outbound: bool = False
    track_downloads: bool = False
    track_forms: bool = False
    debug: bool = False
    require_verified_identity: bool = False  # R14
    purchases_assert: bool = False  # events that merely carry dims.customers assert too
    retention_days: Annotated[int, Meta(ge=0, le=MOST_DAYS)] = 0  # for how long events and visits are kept; 0: for ever
    uncertain_interactions: Literal["none", "identified", "agent_decides"] = "agent_decides"  # unless one says itself


@dataclass(frozen=True, slots=True)
class Site:
    """A site. `site_id` scopes every key in the system; secret keys are `domain.keys`.

    `token_keys` is how many keys for identity tokens were made; the last two count (`domain.identity_token`).
    """

    site_id: int
    name: str
    write_key: str
    origins: tuple[str, ...]
    settings: SiteSettings
    is_test: bool = False
    disabled: bool = False
    token_keys: int = 0
