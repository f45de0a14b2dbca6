"""The work of `regulars visits` and `regulars visit`: who was on the site, and what they did there, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from collector.cli.opening import choose_site, existing_database, now_ms, read_settings
from collector.cli.output import plain, say, utc
from collector.cli.portrait import HEADING
from collector.cli.trouble import Trouble
from collector.domain.history import (
    Included,
    StoredEvent,
    VisitFilter,
    VisitView,
    end_reason,
    event_name,
    is_over,
    own_hosts,
    session_end,
)
from collector.domain.page import Page, duration_of
from collector.domain.site import Site
from collector.domain.visit import Session, State, session_at
from collector.store.history import fetch_user_agent
from collector.store.history_views import Paging, fetch_visit_page, fetch_visit_view, fetch_visits_of_identity
from collector.wire.history import visit_document
from collector.wire.ids import parse_id

EVERYTHING = Included(pages=True, events=True, sessions=True, identities=True)
WIDE = 400  # characters: a line that is piped is never wrapped


def list_visits(
    file: Path | None, site_name: str | None, asked: dict[str, str | None], *, last: int, as_json: bool
) -> None:
    """Print the newest `last` visits of a site that are as `asked`. Raises `Trouble`, or usage errors as typer does."""
    now = now_ms()
    wanted, identity_id = _read(asked, now)
    paging = Paging(last)
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        if identity_id is None:
            found = database.read_now(fetch_visit_page, site.site_id, now, wanted, paging, Included())
        else:
            theirs = database.read_now(
                fetch_visits_of_identity, site.site_id, now, identity_id, wanted, paging, Included()
            )
            if theirs is None:
                raise Trouble(f"site {site.name} knows nobody called {plain(identity_id)}")
            found = theirs
    views, following = found
    if as_json:
        own = own_hosts(site)
        items = [visit_document(view, Included(), frozenset(), now, own) for view in views]
        say(orjson.dumps({"items": items}).decode())
        return
    if not views:
        say(f"There is no such visit on {plain(site.name)}.")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    console.print(_table(views, now, own_hosts(site)))
    if following is not None:
        say(Text(f"There are more than these {last}; --last shows more.", style="dim"))


def _read(asked: dict[str, str | None], now: int) -> tuple[VisitFilter, str | None]:
    state, device, age = asked["state"], asked["device"], asked["age"]
    states = {each.lower(): each for each in State}
    if state is not None and state.lower() not in states:
        raise typer.BadParameter(f"--state is one of {', '.join(State)}")
    device_id = parse_id(device)
    if device is not None and device_id is None:
        raise typer.BadParameter("--device is not a UUID")
    if age is not None and not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise typer.BadParameter("--age is not a whole number of seconds")
    since = None if age is None else now - int(age) * 1000
    return VisitFilter(since, states[state.lower()] if state else None, device_id), asked["identity"]


def _table(views: list[VisitView], now: int, own: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style=HEADING)
    for name in ("began", "lasted", "state", "who", "ended by", "visit", "device"):
        table.add_column(name, no_wrap=True)
    for view in views:
        visit = view.visit
        ended = end_reason(visit, now, own)
        table.add_row(
            utc(visit.started_at).removesuffix(" UTC"),
            _span(visit.last_event_at - visit.started_at),
            Text(visit.state),
            Text(plain(visit.identity_id or "")),
            Text(ended or "open", style="dim" if ended else "green"),
            visit.visit_id,
            Text(visit.device_id or "", style="dim"),
        )
    return table


def show_visit(file: Path | None, site_name: str | None, visit_id: str, *, as_json: bool) -> None:
    """Print a visit step by step. Raises `Trouble` where there is no such visit."""
    now = now_ms()
    wanted = parse_id(visit_id)
    if wanted is None:
        raise typer.BadParameter("ID is not a UUID")
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)

        def look(conn: Connection) -> tuple[VisitView | None, str | None]:
            view = fetch_visit_view(conn, site.site_id, now, wanted, EVERYTHING)
            agent_id = view.visit.user_agent_id if view else None
            return view, fetch_user_agent(conn, site.site_id, agent_id) if agent_id else None

        view, agent = database.read_now(look)
    if view is None:
        raise Trouble(f"site {site.name} has no visit {wanted}; `regulars visits` lists them")
    if as_json:
        lists = frozenset({"pages", "events", "sessions", "identities"})
        say(orjson.dumps(visit_document(view, EVERYTHING, lists, now, own_hosts(site))).decode())
        return
    for line in _about(view, agent, site, now):
        say(line)
    for line in _timeline(view):
        say(line)


def _about(view: VisitView, agent: str | None, site: Site, now: int) -> Iterator[Text]:
    visit = view.visit
    yield Text(f"Visit {visit.visit_id}", style="bold").append(f"  on {plain(site.name)}", style="dim")
    who = f": {plain(visit.identity_id)}" if visit.identity_id else ""
    yield _pair("state", f"{visit.state}{who}")
    ended = end_reason(visit, now, own_hosts(site))
    yield _pair("from", utc(visit.started_at))
    yield _pair("to", f"{utc(visit.last_event_at)}, ended by {ended}" if is_over(visit, now) else "open")
    yield _pair("device", visit.device_id or "unknown")
    yield _pair("browser", plain(agent or "unknown"))
    others = [each.identity_id for each in view.identities]
    if others:
        yield _pair("named", ", ".join(map(plain, others)))
    if view.sessions:
        yield Text("Sessions", style=HEADING)
    for session in view.sessions:
        end = session_end(session, visit, now)
        lasted = f"for {_span(end - session.started_at)}" if end else "still signed in"
        yield (
            Text(f"  {_clock(session.started_at)}  ", style="dim")
            .append(f"{plain(session.identity_id)}", style="bold")
            .append(f"  {lasted}", style="default")
        )


def _timeline(view: VisitView) -> Iterator[Text]:
    """Pages, and below each what happened on it."""
    yield Text("What happened", style=HEADING)
    entered = {page.event_id: page for page in view.pages}
    width = max((len(plain(session.identity_id)) for session in view.sessions), default=0)
    on: str | None = None
    for event in view.events:
        page = entered.get(event.event_id)
        if page is not None:
            on = page.page_id
            yield _page_line(page, view.sessions, width)
        elif event_name(event.category, event.action)[1] != "PageExited":
            is_on_page = on is not None and event.page_id in (on, None)
            yield _event_line(event, view.sessions, width, is_on_page=is_on_page)
    if not view.events:
        yield Text("  nothing that is still kept", style="dim")


def _page_line(page: Page, sessions: list[Session], width: int) -> Text:
    line = _start(page.entered_at, session_at(sessions, page.moment), width)
    line.append(plain(page.url or "a page"), style="bold")
    line.append(f"  {plain(page.title)}" if page.title else "", style="default")
    if page.exited_at is not None:
        how = "looked at for" if page.active_ms is not None else "there for"
        line.append(f"  {how} {_span(duration_of(page))}", style="green")
    return line


def _event_line(event: StoredEvent, sessions: list[Session], width: int, *, is_on_page: bool) -> Text:
    kind, name = event_name(event.category, event.action)
    line = _start(event.occurred_at, session_at(sessions, event.moment), width).append("  " if is_on_page else "")
    line.append(plain(name), style="cyan" if kind == "BUSINESS" else "magenta")
    if not is_on_page and event.url:
        line.append(f"  {plain(event.url)}", style="dim")
    return line


def _start(at: int, session: Session | None, width: int) -> Text:
    """When, and who was signed in, in a column of `width` characters that is left out where nobody was."""
    who = plain(session.identity_id) if session else ""
    return Text(f"  {_clock(at)}  ", style="dim").append(f"{who:{width}}  " if width else "", style="bold")


def _clock(at: int) -> str:
    return utc(at).removesuffix(" UTC").rpartition(" ")[2]


def _span(ms: int) -> str:
    """A length of time as people say it."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.1f} s" if seconds < 10 else f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def _pair(name: str, value: str) -> Text:
    return Text(f"  {name:12}  ", style="dim").append(value, style="default")
