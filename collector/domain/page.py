"""A page view as the events of its visit tell it: entered, maybe exited, and how long it was looked at.

Pages are not stored; they are folded whenever they are read. The fold commutes, so late, repeated and reordered events
end in the same page. A page that was exited and whose entering never came is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collector.domain.recognition import Moment


@dataclass(frozen=True, slots=True)
class PageEvent:
    """A `page/view` or a `page/exit`. `moment` is on the browser's clock, `occurred_at` ms on ours.

    `active_ms` is how long the page was visible and focused, so far; None where the browser did not say.
    """

    page_id: str
    event_id: str
    is_exit: bool
    occurred_at: int
    moment: Moment
    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    active_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page view. `exited_at` is None until an exit is known."""

    page_id: str
    event_id: str  # that entered it
    entered_at: int
    moment: Moment
    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    exited_at: int | None = None
    active_ms: int | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What orders the pages of a visit."""
        return (self.entered_at, self.page_id)


def fold_pages(events: Iterable[PageEvent]) -> list[Page]:
    """The pages of one visit in the order in which they were entered.

    The first entering counts; of several exits the latest time and the greatest active time, each by itself.
    """
    entered: dict[str, PageEvent] = {}
    left: dict[str, tuple[int, int | None]] = {}
    for event in events:
        if event.is_exit:
            left[event.page_id] = _later(left.get(event.page_id), event)
        elif event.page_id not in entered or _rank(event) < _rank(entered[event.page_id]):
            entered[event.page_id] = event
    pages = [_page(view, left.get(view.page_id)) for view in entered.values()]
    return sorted(pages, key=lambda page: page.key)


def close_pages(pages: Iterable[Page], last_seen: Mapping[str, int]) -> list[Page]:
    """The pages of a visit that is over: one without an exit was left with its last event, as `last_seen` says."""
    return [
        page
        if page.exited_at is not None
        else replace(page, exited_at=max(page.entered_at, last_seen.get(page.page_id, 0)))
        for page in pages
    ]


def duration_of(page: Page) -> int:
    """How long the page was looked at, ms: the active time, else from entering to exit; 0 while it is open."""
    if page.exited_at is None:
        return 0
    return page.active_ms if page.active_ms is not None else page.exited_at - page.entered_at


def _rank(event: PageEvent) -> tuple[int, str]:
    return (event.occurred_at, event.event_id)


def _later(known: tuple[int, int | None] | None, event: PageEvent) -> tuple[int, int | None]:
    if known is None:
        return (event.occurred_at, event.active_ms)
    told = [active for active in (known[1], event.active_ms) if active is not None]
    return (max(known[0], event.occurred_at), max(told, default=None))


def _page(view: PageEvent, exit_: tuple[int, int | None] | None) -> Page:
    exited_at, active_ms = exit_ or (None, None)
    if exited_at is not None:
        exited_at = max(exited_at, view.occurred_at)  # the two came in requests whose clocks were corrected apart
    return Page(
        view.page_id,
        view.event_id,
        view.occurred_at,
        view.moment,
        view.url,
        view.title,
        view.referrer,
        exited_at,
        active_ms,
    )
