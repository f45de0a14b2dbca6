"""The work of `regulars quarantine`: looking at what was refused, trying it again, dropping it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson
import typer
from rich.text import Text

from collector.cli.opening import choose_site, existing_database, now_ms, patiently, read_settings
from collector.cli.output import plain, say, say_pairs, utc
from collector.cli.trouble import Trouble
from collector.domain.event import EventCode
from collector.domain.quarantine import WHOLE_REQUEST, Quarantined, Replayed, quarantined_document, replayed_document
from collector.domain.site import Site
from collector.store.database import Database
from collector.store.erasure import Erasures
from collector.store.quarantine import (
    Wanted,
    count_quarantine,
    delete_quarantine,
    delete_quarantined,
    fetch_quarantine,
    fetch_quarantine_ids,
    fetch_quarantined,
)

AT_ONCE = 200
CODES = sorted({*EventCode, *WHOLE_REQUEST})


def read_wanted(code: str | None, since: str | None) -> Wanted:
    """The rows that the options name. Raises usage errors as typer does."""
    if code is not None and code not in CODES:
        raise typer.BadParameter(f"--code is none of {', '.join(CODES)}")
    if since is None:
        return Wanted(code)
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter("--since is not a time such as 2026-11-22 or 2026-11-22T14:30") from None
    return Wanted(code, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))


def list_rows(
    file: Path | None, site_name: str | None, wanted: Wanted, *, limit: int, before: int | None, as_json: bool
) -> None:
    """Print rows, newest first. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        rows = database.read_now(fetch_quarantine, site.site_id, wanted, limit, before)
        count = database.read_now(count_quarantine, site.site_id, wanted)
    if as_json:
        for kept in rows:
            say(orjson.dumps(quarantined_document(kept)).decode())
        return
    for kept in rows:
        say(_line(kept))
    if len(rows) < count:
        older = f"; older ones with --before {rows[-1].quarantine_id}" if rows else ""
        say(f"{len(rows)} of {count}{older}")
    elif not rows:
        say("The quarantine is empty." if wanted == Wanted() else "Nothing in the quarantine matches.")


def _line(kept: Quarantined) -> Text:
    reason = f"{kept.code} {plain(kept.field)}".strip()
    line = Text(f"{kept.quarantine_id:>6}", style="bold").append(f"  {utc(kept.received_at)}  ", style="dim")
    line.append(f"{reason:32}", style="yellow").append(
        f"  {kept.event_id or '-':36}  {kept.size:>6} bytes", style="dim"
    )
    return line.append(f"  tried {kept.tries}×", style="dim") if kept.tries else line


def show_row(file: Path | None, site_name: str | None, quarantine_id: int, *, as_json: bool) -> None:
    """Print one row with what was sent. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        kept = database.read_now(fetch_quarantined, site.site_id, quarantine_id)
    if kept is None:
        raise _no_row(site, quarantine_id)
    document = quarantined_document(kept)
    if as_json:
        say(orjson.dumps(document).decode())
        return
    raw, received_at = document.pop("raw"), document.pop("received_at")
    sent_at = document.pop("sent_at")
    times = {"received": utc(received_at), "sent": "unknown" if sent_at is None else utc(sent_at)}
    say_pairs({name.replace("_", " "): plain(str(value)) for name, value in (document | times).items() if value != ""})
    say()
    say("\n".join(map(plain, raw.splitlines())))


def replay_row(
    file: Path | None, site_name: str | None, quarantine_id: int, corrected: BinaryIO | None, *, as_json: bool
) -> None:
    """Record one row, or what is in `corrected` instead. Raises `Trouble` where it stays in the quarantine."""
    text = None if corrected is None else corrected.read()
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        replayed = _replay(database, site, quarantine_id, _erasures(database), text)
    if replayed is None:
        raise _no_row(site, quarantine_id)
    if replayed.status == "unreadable":
        wrong = "what was kept" if text is None else "the correction"
        raise Trouble(f"{wrong} is no JSON that can be recorded; --body FILE records a corrected version instead")
    say(orjson.dumps(replayed_document(replayed)).decode() if as_json else _outcome(replayed))
    if replayed.status == "quarantined":
        raise typer.Exit(1)


def replay_rows(file: Path | None, site_name: str | None, wanted: Wanted, *, as_json: bool) -> None:
    """Record all rows that are wanted, oldest first, each in a transaction of its own."""
    counts: Counter[str] = Counter()
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        erasures = _erasures(database)
        for quarantine_id in _walk(database, site, wanted):
            replayed = _replay(database, site, quarantine_id, erasures)
            if replayed is None:
                continue  # somebody else was faster
            counts.update(dict(replayed.counts) or {replayed.status: 1})
            if as_json:
                say(orjson.dumps(replayed_document(replayed)).decode())
            elif replayed.status in ("quarantined", "unreadable"):
                say(_outcome(replayed))
    if not as_json:
        say(", ".join(f"{count} {status}" for status, count in counts.items() if count) or "There was nothing to do.")


def _walk(database: Database, site: Site, wanted: Wanted) -> Iterator[int]:
    """The ids that are there now; what a replay itself brings in is left for the next one."""
    last = database.read_now(fetch_quarantine, site.site_id, wanted, 1)
    after = 0
    while last:
        ids = database.read_now(fetch_quarantine_ids, site.site_id, wanted, AT_ONCE, after)
        yield from (each for each in ids if each <= last[0].quarantine_id)
        if len(ids) < AT_ONCE:
            return
        after = ids[-1]


def _replay(
    database: Database, site: Site, quarantine_id: int, erasures: Erasures, corrected: bytes | None = None
) -> Replayed | None:
    from collector.app import mint_id  # noqa: PLC0415 - brings the whole server along; others do without
    from collector.recorder.replay import blames_event, note_refusal, replay  # noqa: PLC0415

    try:
        return patiently(lambda: database.transact(replay, site, quarantine_id, now_ms(), mint_id, erasures, corrected))
    except Exception as error:
        if not blames_event(error):
            raise
        return patiently(lambda: database.transact(note_refusal, site, quarantine_id))


def _erasures(database: Database) -> Erasures:
    from collector.app import installation_secret  # noqa: PLC0415

    return Erasures(patiently(lambda: installation_secret(database)))


def _outcome(replayed: Replayed) -> str:
    if replayed.counts:
        became = ", ".join(f"{count} {status}" for status, count in replayed.counts if count) or "no event"
        return f"{replayed.quarantine_id}: {became}"
    reason = f"{replayed.code} {plain(replayed.field)}".strip()
    return f"{replayed.quarantine_id}: {replayed.status}" + (f", {reason}" if reason else "")


def purge_rows(
    file: Path | None, site_name: str | None, quarantine_id: int | None, wanted: Wanted, *, yes: bool, as_json: bool
) -> None:
    """Drop one row, or all that are wanted; asks first unless `yes`. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        count = 1 if quarantine_id is not None else database.read_now(count_quarantine, site.site_id, wanted)
        if not yes and count:
            typer.confirm(
                f"Drop {_rows(count)} of the quarantine of {plain(site.name)}? They cannot be had back.", abort=True
            )
        if quarantine_id is None:
            dropped = patiently(lambda: database.transact(delete_quarantine, site.site_id, wanted))
        else:
            dropped = int(patiently(lambda: database.transact(delete_quarantined, site.site_id, quarantine_id)))
            if not dropped:
                raise _no_row(site, quarantine_id)
    say(orjson.dumps({"deleted": dropped}).decode() if as_json else f"Dropped {_rows(dropped)}.")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _no_row(site: Site, quarantine_id: int) -> Trouble:
    return Trouble(f"the quarantine of {plain(site.name)} has no row {quarantine_id}")
