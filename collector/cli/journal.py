"""The work of `regulars merges`, `unmerge` and `apart`: what was merged, undoing it, and whom that keeps apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
from rich.text import Text

from collector.cli.opening import choose_site, existing_database, now_ms, patiently, read_settings
from collector.cli.output import plain, say, utc
from collector.cli.portrait import HEADING, RULE, apart_until
from collector.cli.trouble import Trouble
from collector.domain.explain import JournalledMerge, apart_document, merge_document, rule_text
from collector.domain.unmerge import Half, Refused, Unmerge, unmerge_document
from collector.store.merges import fetch_apart, lift_apart, reverse_merge
from collector.store.people import fetch_journal, fetch_names

Names = dict[str, tuple[str, str | None]]  # profile to (root, what the person is called)
SHOWN = 500


def list_merges(file: Path | None, site_name: str | None, *, last: int, as_json: bool) -> None:
    """Print the newest `last` merges of a site, newest first. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        merges = database.read_now(fetch_journal, site.site_id, last)
        names = database.read_now(fetch_names, site.site_id, _sides(merges))
    if as_json:
        say(orjson.dumps({"items": [merge_document(merge) for merge in merges]}).decode())
        return
    if not merges:
        say(f"Nobody was merged on {plain(site.name)}.")
    for merge in merges:
        for line in _merge_lines(merge, names):
            say(line)


def undo_merge(file: Path | None, site_name: str | None, merge_id: int, *, dry_run: bool, as_json: bool) -> None:
    """Undo a merge, or with `dry_run` only print what that comes to. Raises `Trouble` where it is refused."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        if dry_run:
            done = database.read_now(reverse_merge, site.site_id, merge_id, now_ms(), dry_run=True)
        else:
            done = patiently(lambda: database.transact(reverse_merge, site.site_id, merge_id, now_ms()))
    if done is None:
        raise Trouble(f"site {site.name} has no merge {merge_id}; `regulars merges` lists them")
    if isinstance(done, Refused):
        raise Trouble(_why_not(merge_id, done))
    if as_json:
        say(orjson.dumps({"dry_run": dry_run, **unmerge_document(done)}).decode())
        return
    for line in _undone_lines(done, dry_run=dry_run):
        say(line)


def list_apart(file: Path | None, site_name: str | None, *, as_json: bool) -> None:
    """Print whom undone merges keep apart. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        pairs = database.read_now(fetch_apart, site.site_id, SHOWN)
        names = database.read_now(fetch_names, site.site_id, _sides([pair.merge for pair in pairs]))
    if as_json:
        say(orjson.dumps({"items": [apart_document(pair) for pair in pairs]}).decode())
        return
    if not pairs:
        say(f"Nobody is kept apart on {plain(site.name)}.")
    for pair in pairs:
        for line in _merge_lines(pair.merge, names):
            say(line)


def lift(file: Path | None, site_name: str | None, merge_id: int) -> None:
    """Let automatic rules join the two of an undone merge again. Raises `Trouble`."""
    with existing_database(read_settings(file)) as database:
        site = choose_site(database, site_name)
        lifted = patiently(lambda: database.transact(lift_apart, site.site_id, merge_id, now_ms()))
    if lifted is None:
        raise Trouble(f"merge {merge_id} keeps nobody apart; `regulars apart list` shows those that do")
    say(f"Merge {merge_id} keeps nobody apart any more: the next event that says so joins the two again.")


def _sides(merges: list[JournalledMerge]) -> set[str]:
    return {leaf for merge in merges for leaf in (merge.winner, merge.loser)}


def _merge_lines(merge: JournalledMerge, names: Names) -> Iterator[Text]:
    yield Text(f"merge {merge.merge_id}", style=HEADING).append(f"  {utc(merge.at)}", style="dim")
    yield Text(f"  {merge.loser}  {_name(merge.loser, names)}")
    yield Text(f"  {_into(merge)} {merge.winner}  {_name(merge.winner, names)}")
    yield Text(f"  {merge.rule}", style=RULE).append(f"  {rule_text(merge.rule)}", style="default")
    if merge.reversed_at is not None:
        kept = apart_until(merge)
        yield Text(f"  undone {utc(merge.reversed_at)}, {kept}", style="yellow")


def _into(merge: JournalledMerge) -> str:
    return "into" if merge.reversed_at is None else "was in"


def _name(profile_id: str, names: Names) -> str:
    _, name = names.get(profile_id, ("", None))
    return plain(name or "anonymous")


def _undone_lines(done: Unmerge, *, dry_run: bool) -> Iterator[Text]:
    would = "Would undo" if dry_run else "Undid"
    yield Text(f"{would} merge {done.merge.merge_id}: two people, kept apart from now on.", style="bold")
    for half in (done.winner, done.loser):
        yield Text(f"  {half.profile_id}  {_half_name(half)}")
        for leaf in half.leaves[1:]:
            yield Text(f"    with {leaf}", style="dim")
    for old in done.restored:
        yield Text(f"  {plain(old.held.value)} is the {old.held.kind} of {old.held.profile_id} again")
    if dry_run:
        yield Text("Nothing was changed.", style="yellow")


def _half_name(half: Half) -> str:
    return plain(", ".join(value for value in (half.cid, half.email) if value) or "anonymous")


def _why_not(merge_id: int, refused: Refused) -> str:
    if refused.code == "merge_has_dependents":
        first = ", ".join(map(str, refused.merges))
        return f"other merges rest on merge {merge_id} (merge_has_dependents): undo these first, in this order: {first}"
    if refused.code == "identifier_taken":
        given = f"the {refused.kind} that it would give back belongs to {refused.profile_id} now"
        return f"merge {merge_id} cannot be undone (identifier_taken): {given}"
    return f"merge {merge_id} has been undone already (already_reversed)"
