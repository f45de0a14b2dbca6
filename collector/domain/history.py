"""What the History API says of stored visits, sessions and events: how they are called, and when they are over.

Pure: rows are given as values, `now` is ms UTC. The JSON that is made of it is in `domain.documents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from collector.domain.page import Page
from collector.domain.recognition import DAY_MS, Moment
from collector.domain.site import Site
from collector.domain.visit import SILENCE_MS, Session, State

VISIT_STARTED = "VisitStarted"
VISIT_CATEGORY = "visit"  # of VisitStarted, which is no stored event
SYSTEM_NAMES = {
    ("page", "view"): "PageEntered",
    ("page", "exit"): "PageExited",
    ("user", "sign_in"): "SignIn",
    ("user", "sign_up"): "SignIn",
    ("user", "identify"): "SignIn",
    ("user", "sign_out"): "SignOut",
    ("user", "info"): "UserInfo",
}
AHEAD_MS = 5 * 60_000  # an event never occurs later than this after its arrival (spec/wire.md)


class EventType(StrEnum):
    """Whether an event is one of the system's own or of the site's."""

    SYSTEM = "SYSTEM"
    BUSINESS = "BUSINESS"


class EndReason(StrEnum):
    """What ended a visit."""

    CAMPAIGN = "campaign"  # the visitor came again by another campaign
    REFERRER = "referrer"  # … from another site
    CLOSED = "closed"  # … in a browser that had been closed
    SILENCE = "silence"  # nothing for 30 minutes
    AGE = "age"  # 24 hours


@dataclass(frozen=True, slots=True)
class NextVisit:
    """The visit that followed on the same device, with what its first page view says of how it came about."""

    started_at: int
    has_campaign: bool = False
    referrer: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A stored visit, and the next one of its device if there is one. `user_agent_id` is a UUID."""

    visit_id: str
    device_id: str | None
    started_at: int
    last_event_at: int
    arrived_at: int
    user_agent_id: str | None
    state: State
    identity_id: str | None
    following: NextVisit | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is listed. `body` is JSON."""

    row_id: int
    event_id: str
    category: str
    action: str
    occurred_at: int
    received_at: int
    moment: Moment  # on the browser's clock
    visit_id: str | None
    page_id: str | None
    url: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who was named, and what is known of them. `devices` are those on which they were seen, some 50 at most."""

    identity_id: str
    first_at: int
    last_at: int
    name: str | None = None
    location: str | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenContact:
    """An identity in a visit, and in a session of it if there was one."""

    contact_id: str
    identity_id: str
    session_id: str | None
    visit_id: str
    device_id: str | None
    occurred_at: int


@dataclass(frozen=True, slots=True)
class Identification:
    """A system event with whom it is about, and in which session; each None for nobody and none.

    `device_id` is that of its visit.
    """

    event: StoredEvent
    device_id: str | None
    identity_id: str | None
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Agent:
    """User agents that are wanted: the one of this id, or those that contain this text, however it is capitalised."""

    agent_id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; None is any. `since` is ms, a `url` that ends with `*` is a beginning.

    `device_id` and `agent` are those of the visit.
    """

    since: int | None = None
    name: str | None = None
    kind: EventType | None = None
    category: str | None = None
    url: str | None = None
    device_id: str | None = None
    agent: Agent | None = None

    def takes_page(self, page: Page) -> bool:
        """Whether a page was entered late enough and is at the address."""
        if self.since is not None and page.entered_at < self.since:
            return False
        if self.url is not None and self.url.endswith("*"):
            return (page.url or "").startswith(self.url[:-1])
        return self.url is None or page.url == self.url

    def takes_visit_started(self, visit: Visit) -> bool:
        """Whether the event that stands for the beginning of `visit` is among them."""
        return (
            self.name in (None, VISIT_STARTED)
            and self.kind in (None, EventType.SYSTEM)
            and self.category in (None, VISIT_CATEGORY)
            and self.url is None
            and (self.since is None or visit.started_at >= self.since)
        )


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """Which visits are wanted; None is any."""

    since: int | None = None
    state: State | None = None
    device_id: str | None = None
    agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class Included:
    """Which lists are wanted inside of a visit, a session or a page."""

    pages: bool = False
    events: bool = False
    sessions: bool = False
    identities: bool = False


@dataclass(frozen=True, slots=True)
class VisitView:
    """A visit with its sessions, and with the lists that were asked for."""

    visit: Visit
    sessions: list[Session]
    pages: list[Page]
    events: list[StoredEvent]
    identities: list[Identity]

    @property
    def size(self) -> int:
        """How many items are in the lists."""
        return len(self.pages) + len(self.events) + len(self.identities)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with its visit, and with the lists that were asked for."""

    visit: Visit
    session: Session
    pages: list[Page]
    events: list[StoredEvent]

    @property
    def size(self) -> int:
        """How many items are in the lists."""
        return len(self.pages) + len(self.events)


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose history is meant: who was asked for, and the leaves of the person they turned out to be (none: unknown)."""

    identity_id: str
    leaves: tuple[str, ...] = ()


def event_name(category: str, action: str) -> tuple[EventType, str]:
    """Type and name of an event: the system's own have names, those of a site are called as it tracked them."""
    name = SYSTEM_NAMES.get((category, action))
    return (EventType.BUSINESS, f"{category}/{action}") if name is None else (EventType.SYSTEM, name)


def is_over(visit: Visit, now: int) -> bool:
    """Whether nothing more is to be expected of a visit."""
    is_silent = now >= min(visit.last_event_at + SILENCE_MS, visit.started_at + DAY_MS)
    return visit.following is not None or is_silent


def end_reason(visit: Visit, now: int, own_hosts: tuple[str, ...]) -> EndReason | None:
    """What ended a visit, None while it is open. `own_hosts` are hosts and domains of the site itself."""
    if not is_over(visit, now):
        return None
    silent_at, old_at = visit.last_event_at + SILENCE_MS, visit.started_at + DAY_MS
    following = visit.following
    if following is None or following.started_at > silent_at:
        return EndReason.SILENCE if silent_at <= old_at else EndReason.AGE
    if following.has_campaign:
        return EndReason.CAMPAIGN
    if is_external(following.referrer, following.url, own_hosts):
        return EndReason.REFERRER
    return EndReason.AGE if following.started_at > old_at else EndReason.CLOSED


def is_external(referrer: str | None, url: str | None, own_hosts: tuple[str, ...]) -> bool:
    """Whether `referrer` is a page of another site than the page at `url` and the site's own."""
    host = host_of(referrer)
    if host is None:
        return False
    own = {host for host in (host_of(url), *own_hosts) if host}
    return not any(f".{host}".endswith(f".{domain}") or f".{domain}".endswith(f".{host}") for domain in own)


def own_hosts(site: Site) -> tuple[str, ...]:
    """The hosts and domains of the site itself."""
    return (*filter(None, map(host_of, site.origins)), *site.settings.own_domains)


def host_of(url: str | None) -> str | None:
    """The host that a URL names, in lower case; None where it names none."""
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:
        return None


def session_end(session: Session, visit: Visit, now: int) -> int:
    """When a session ended, ms; one that is open ends with its visit. 0 while it goes on."""
    if session.ended_at is not None:
        return session.ended_at
    return max(visit.last_event_at, session.started_at) if is_over(visit, now) else 0


def active_session(sessions: list[Session], visit: Visit, now: int) -> Session | None:
    """The session that goes on in a visit."""
    return next((s for s in sessions if s.is_open), None) if not is_over(visit, now) else None


def name_of(traits: Mapping[str, object]) -> str | None:
    """How a person is called: `name`, else what there is of `first_name` and `last_name`."""
    return _text(traits.get("name")) or _joined(" ", traits, "first_name", "last_name")


def location_of(traits: Mapping[str, object]) -> str | None:
    """Where a person lives: `location`, else what there is of `city` and `country`."""
    return _text(traits.get("location")) or _joined(", ", traits, "city", "country")


def _joined(between: str, traits: Mapping[str, object], *names: str) -> str | None:
    return between.join(filter(None, (_text(traits.get(name)) for name in names))) or None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
