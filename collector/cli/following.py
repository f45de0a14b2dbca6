"""The work of `regulars tail`: events as they arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, RowMapping

from collector.cli.opening import choose_site, existing_database, read_settings
from collector.cli.output import say
from collector.cli.portrait import event_line
from collector.domain.explain import event_document
from collector.store.events import fetch_events_after, fetch_last_row_id
from collector.store.people import fetch_latest_events, fetch_names
from collector.store.sites import fetch_sites

AT_ONCE = 500
LOOK_S = 0.25


class Heard(NamedTuple):
    """A stored event, the person behind it (root) and what they are called, None for what is not known."""

    row: RowMapping
    profile_id: str | None
    name: str | None


def follow(file: Path | None, site_name: str | None, *, last: int, once: bool, as_json: bool) -> None:
    """Print the `last` events and then, unless `once`, each that arrives, until Ctrl-C."""
    with existing_database(read_settings(file)) as database:
        site_id = None if site_name is None else choose_site(database, site_name).site_id
        names = {site.site_id: site.name for site in database.read_now(fetch_sites)}
        shown = names if len(names) > 1 else {}
        try:
            heard, place = database.read_now(_begin, site_id, last)
            while True:
                for one in heard:
                    _print(
                        one, names.get(one.row["site_id"], "") if as_json else shown.get(one.row["site_id"]), as_json
                    )
                if once:
                    return
                time.sleep(0 if len(heard) == AT_ONCE else LOOK_S)
                heard, place = database.read_now(_listen, site_id, place)
        except KeyboardInterrupt:
            return


def _begin(conn: Connection, site_id: int | None, last: int) -> tuple[list[Heard], int]:
    """The `last` events, and the place in the log to go on from."""
    place = fetch_last_row_id(conn)
    return _recognise(conn, fetch_latest_events(conn, last, site_id)), place


def _listen(conn: Connection, site_id: int | None, place: int) -> tuple[list[Heard], int]:
    """What arrived after `place`, and the new place. After an erasure the log may end before the old one."""
    place = min(place, fetch_last_row_id(conn))
    rows = fetch_events_after(conn, place, AT_ONCE, site_id)
    return _recognise(conn, rows), rows[-1]["row_id"] if rows else place


def _recognise(conn: Connection, rows: Sequence[RowMapping]) -> list[Heard]:
    people: dict[tuple[int, str], tuple[str, str | None]] = {}
    for site_id in {row["site_id"] for row in rows}:
        leaves = {row["profile_id"] for row in rows if row["site_id"] == site_id and row["profile_id"]}
        people |= {(site_id, leaf): person for leaf, person in fetch_names(conn, site_id, leaves).items()}
    return [Heard(row, *people.get((row["site_id"], row["profile_id"]), (None, None))) for row in rows]


def _print(heard: Heard, site_name: str | None, as_json: bool) -> None:
    event = event_document(heard.row)
    if as_json:
        say(orjson.dumps({"site": site_name, "person": heard.profile_id, "name": heard.name, **event}).decode())
        return
    who = heard.name or (f"anonymous {heard.profile_id[-6:]}" if heard.profile_id else "nobody")
    say(event_line(event, f"{site_name}: {who}" if site_name else who))
