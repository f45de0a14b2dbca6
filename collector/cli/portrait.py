"""A person and the reasons why they are one, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from rich.text import Text

from collector.cli.output import plain, utc
from collector.domain.event import Trust
from collector.domain.explain import (
    CLAIM_TEXT,
    TRUST_NAMES,
    Evidence,
    Explanation,
    JournalledMerge,
    Profile,
    claim_documents,
    rule_text,
)
from collector.domain.recognition import BEGINNING
from collector.domain.traits import fold_traits

HEADING = "bold cyan"
RULE = "bold green"
IDENTIFIER_NAMES = {"cid": "customer id", "email": "e-mail"}


def name_of(profile: Profile) -> str:
    """What to call a person."""
    return plain(profile.identifier("cid") or profile.identifier("email") or "an anonymous visitor")


def portrait(profile: Profile, site_name: str, visit: dict[str, Any] | None = None) -> Iterator[Text]:
    """Who it is, `visit` (the last one), identifiers, traits, and apart from them what was claimed."""
    yield Text(name_of(profile), style="bold").append(f"  on {plain(site_name)}", style="dim")
    yield _pair("profile", profile.profile_id)
    merged = len(profile.leaves) - 1
    if merged:
        yield _pair("made of", f"{merged + 1} profiles that were found to be one person")
    yield _pair("seen", f"{utc(profile.first_seen_at)} to {utc(profile.last_seen_at)}")
    if visit is not None:
        yield _pair("visit", visit["visit_id"], f"   {_standing(visit)}")
    yield Text("Identifiers", style=HEADING)
    for held in profile.identifiers:
        verified = "" if held.trust is Trust.BROWSER else f"   verified by {TRUST_NAMES[held.trust].replace('_', ' ')}"
        yield _pair(IDENTIFIER_NAMES[held.kind], held.value, verified)
    for uid in profile.uids:
        yield _pair("uid", uid)
    counted, _ = fold_traits(profile.traits)
    if counted:
        yield Text("Traits", style=HEADING)
    for name, trait in sorted(counted.items()):
        yield _pair(name, _value(orjson.loads(trait.value)), f"   {TRUST_NAMES[trait.trust].replace('_', ' ')}")
    yield from _claims(profile)


def _standing(visit: dict[str, Any]) -> str:
    when = f"over since {utc(visit['last_event_at'])}" if visit["is_over"] else "going on"
    asks = ", for an agent to confirm" if visit["needs_agent_validation"] else ""
    return f"{visit['state']} ({visit['confidence']:.2f}){asks}, {when}"


def _claims(profile: Profile) -> Iterator[Text]:
    claims = claim_documents(profile)
    if claims:
        yield Text("Claims: said, but not counted", style=HEADING)
    for claim in claims:
        name: str = claim["name"] if claim["kind"] == "trait" else IDENTIFIER_NAMES[claim["kind"]]
        yield _pair(name, _value(claim["value"]), f"   {CLAIM_TEXT.get(claim['reason'], claim['reason'])}")


def reasons(explanation: Explanation) -> Iterator[Text]:
    """The rule behind every identifier and every leaf, with a sentence, the evidence and the time."""
    profile = explanation.profile
    yield Text("Why this is one person", style=HEADING)
    for held in profile.identifiers:
        yield Text(f"  {held.kind} {plain(held.value)}", style="bold")
        yield from _because(held.rule, rule_text(held.rule), explanation.evidence.get(held.event_id), held)
    for leaf, seen in profile.leaves:
        merge = explanation.joined_by(leaf)
        what = "this profile" if leaf == profile.profile_id else "merged into it"
        yield Text(f"  profile {leaf}", style="bold").append(f"  {what}, first seen {utc(seen)}", style="dim")
        for binding in explanation.bindings:
            if binding.profile_id == leaf:
                is_switch = (binding.since_at, binding.since_seq) > BEGINNING
                since = f" since {utc(binding.since_at)} by its own clock" if is_switch else ""
                yield Text(f"    uid {binding.uid}{since}")
                yield from _because(binding.rule, binding.text, explanation.evidence.get(binding.event_id), binding)
        if merge is not None:
            yield Text(f"    joined {merge.winner} by merge {merge.merge_id}")
            yield from _because(merge.rule, rule_text(merge.rule), explanation.evidence.get(merge.event_id), merge)
    yield from _not_held(explanation)
    yield from _undone(explanation)


def _not_held(explanation: Explanation) -> Iterator[Text]:
    """What was only claimed, and what is history, with the event that said so."""
    if explanation.profile.claims:
        yield Text("Why something said does not count", style=HEADING)
    for claim in explanation.profile.claims:
        yield Text(f"  {claim.kind} {plain(claim.value)}", style="bold")
        text = CLAIM_TEXT.get(claim.reason, claim.reason)
        yield from _because(claim.reason, text, explanation.evidence.get(claim.event_id), claim)
    if explanation.history:
        yield Text("Held until it was replaced", style=HEADING)
    for old in explanation.history:
        held = old.held
        yield Text(f"  {held.kind} {plain(held.value)}", style="bold").append(f"  until {utc(old.at)}", style="dim")
        yield from _because(held.rule, rule_text(held.rule), explanation.evidence.get(held.event_id), held)


def _undone(explanation: Explanation) -> Iterator[Text]:
    undone = [merge for merge in explanation.merges if merge.reversed_at is not None]
    if undone:
        yield Text("Merges undone", style=HEADING)
    for merge in undone:
        what = f"  merge {merge.merge_id} of {merge.loser} into {merge.winner}"
        yield Text(what).append(f", undone {utc(merge.reversed_at or 0)}, {apart_until(merge)}", style="yellow")
        yield from _because(merge.rule, rule_text(merge.rule), explanation.evidence.get(merge.event_id), merge)


def apart_until(merge: JournalledMerge) -> str:
    """Whether an undone merge still keeps its two apart, in words."""
    if merge.apart_lifted_at is None:
        return "kept apart"
    return f"may join again since {utc(merge.apart_lifted_at)}"


def _because(rule: str, text: str, evidence: Evidence | None, part: Any) -> Iterator[Text]:
    """The rule with its sentence, and below it the evidence for `part`, which has an `event_id` and a time `at`."""
    yield Text(f"      {rule}", style=RULE).append(f"  {text}", style="default")
    trust = f", trust {TRUST_NAMES[part.trust].replace('_', ' ')}" if hasattr(part, "trust") else ""
    event = "event" if evidence is None else plain(f"{evidence.category}/{evidence.action}")
    at = part.at if evidence is None else evidence.occurred_at
    yield Text(f"      {' ' * len(rule)}  {event} at {utc(at)}{trust}, event {part.event_id}", style="dim")


def event_line(event: dict[str, Any], who: str = "") -> Text:
    """One event as a line: time, who, what, where, and what is odd about it."""
    line = Text(utc(event["occurred_at"]).removesuffix(" UTC"), style="dim")
    if who:
        line.append(f"  {plain(who):24}", style="bold")
    what = plain(f"{event['category']}/{event['action']}")
    line.append(f"  {what:26}" if event["url"] else f"  {what}", style="cyan")
    line.append(f"  {plain(event['url'])}" if event["url"] else "", style="default")
    if event["bot"]:
        line.append("  bot", style="magenta")
    if event["warnings"]:
        line.append(f"  {plain(' '.join(event['warnings']))}", style="yellow")
    return line


def _pair(name: str, value: str, note: str = "") -> Text:
    return Text(f"  {plain(name):12}  ", style="dim").append(plain(value), style="default").append(note, style="dim")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
