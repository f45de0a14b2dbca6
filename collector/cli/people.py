"""The work of `regulars profile` and `regulars erase`: finding a person, showing them, deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from sqlalchemy import Connection

from collector.cli.opening import choose_site, existing_database, now_ms, patiently, read_settings
from collector.cli.output import plain, say
from collector.cli.portrait import HEADING, event_line, name_of, portrait, reasons
from collector.cli.trouble import Trouble
from collector.domain.confidence import last_visit_document
from collector.domain.explain import Explanation, event_document, explain_document, profile_document
from collector.domain.identifiers import clean_cid, clean_email
from collector.domain.site import Site
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.people import erase_profile, fetch_explanation, fetch_timeline, find_profile
from collector.store.standing import fetch_last_standing
from collector.wire.ids import parse_id

LAST_EVENTS = 10
PARSERS = {"cid": clean_cid, "email": clean_email, "uid": parse_id, "id": parse_id}
WANTED = {"cid": "a customer id that can be stored", "email": "an e-mail address", "uid": "a UUID", "id": "a UUID"}
LOOK_S = 0.1


def show_person(
    file: Path | None, site_name: str | None, asked: Mapping[str, str | None], *, explain: bool, as_json: bool
) -> None:
    """Print the person that `asked`, a value by kind of identifier, leads to. Raises `Trouble`."""
    kind, value = the_one(asked)
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        found = _find(database, site, kind, value)
        rows = database.read_now(fetch_timeline, site.site_id, found.profile.profile_id, LAST_EVENTS) or ()
        leaves = [leaf for leaf, _ in found.profile.leaves]
        visit = last_visit_document(database.read_now(fetch_last_standing, site.site_id, leaves), now_ms())
    events = [event_document(row) for row in rows]
    if as_json:
        document = (
            profile_document(found.profile)
            | {"visit": visit}
            | ({"explain": explain_document(found)} if explain else {})
        )
        say(orjson.dumps(document | {"events": events}).decode())
        return
    for line in portrait(found.profile, site.name, visit):
        say(line)
    if explain:
        for line in reasons(found):
            say(line)
    say(Text("Last events" if events else "No events", style=HEADING))
    for event in reversed(events):
        say(Text("  ").append_text(event_line(event)))


def the_one(asked: Mapping[str, str | None]) -> tuple[str, str]:
    """The one kind and value that was given, as it would be stored. Raises `Trouble`, or usage errors as typer does."""
    given = [(kind, value) for kind, value in asked.items() if value is not None]
    if len(given) != 1:
        raise typer.BadParameter("give exactly one of --cid, --email, --uid and --id")
    kind, value = given[0]
    clean = PARSERS[kind](value)
    if clean is None:
        raise typer.BadParameter(f"--{kind} is not {WANTED[kind]}")
    return kind, clean


def _find(database: Database, site: Site, kind: str, value: str) -> Explanation:
    def look(conn: Connection) -> Explanation | None:
        profile_id = find_profile(conn, site.site_id, kind, value)
        return None if profile_id is None else fetch_explanation(conn, site.site_id, profile_id)

    found = database.read_now(look)
    if found is None:
        raise Trouble(f"site {site.name} knows nobody with {kind} {plain(value)}")
    return found


def erase_person(file: Path | None, site_name: str | None, asked: Mapping[str, str | None], *, yes: bool) -> None:
    """Delete a person for ever, and the bytes too; asks first unless `yes`. Raises `Trouble`."""
    from collector.app import installation_secret  # noqa: PLC0415 - brings the whole server along; others do without

    kind, value = the_one(asked)
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        profile = _find(database, site, kind, value).profile
        if not yes:
            about = f"{name_of(profile)} on {plain(site.name)} (profile {profile.profile_id})"
            typer.confirm(f"Erase {about} and everything they did? This cannot be undone.", abort=True)
        erasures = Erasures(patiently(lambda: installation_secret(database)))
        with _progress() as progress:
            progress.add_task("Deleting", total=None)
            erased = patiently(
                lambda: database.transact(erase_profile, site.site_id, profile.profile_id, erasures, now_ms())
            )
        if erased is None:
            raise Trouble("somebody else erased this person meanwhile")
        say(f"Erased {', '.join(f'{count} {table}' for table, count in erased.items() if count)}.")
        if not database.has_rivals:
            _report(patiently(database.scrub_now))


def scrub(file: Path | None) -> None:
    """Remove the bytes of what was erased earlier from the database's files."""
    with existing_database(read_settings(file)) as database:
        if database.has_rivals:
            raise Trouble("PostgreSQL removes the bytes of deleted rows by itself, when it vacuums (see the guide)")
        _scrub(database)


def _scrub(database: Database) -> None:
    """Rewrite the file, with a bar: the new content goes through the log, whose length tells how far it is."""
    log, whole = Path(f"{database.path}-wal"), max(database.path.stat().st_size, 1)
    with ThreadPoolExecutor(1) as thread, _progress() as progress:
        task = progress.add_task("Removing the bytes from the file", total=whole)
        running = thread.submit(patiently, lambda: database.scrub_now(rewrites=True))
        while wait([running], LOOK_S).not_done:
            progress.update(task, completed=min(log.stat().st_size if log.exists() else 0, whole))
        progress.update(task, completed=whole)
        is_gone = running.result()
    _report(is_gone)


def _report(is_gone: bool) -> None:
    """Say whether the bytes are gone. Raises `Trouble` if not."""
    if not is_gone:
        raise Trouble(
            "the rows are gone, but a reader holds on to the log and bytes with it: run `regulars scrub` later"
        )
    say("Their bytes are gone from the database file and its log.")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
