"""What the API answers, as types: the document at `/openapi.json` is made of them, and tests hold replies against them.

Ids are UUIDs, times milliseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from collector.domain.quarantine import ReplayStatus

Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Ms = Annotated[int, Meta(description="Milliseconds since 1970 UTC.")]
Next = Annotated[str | None, Meta(description="The `start` of the following page; null at the end.")]
Trust = Literal["browser", "signed_token", "secret_key"]
IdentifierKind = Literal["cid", "email"]


class Evidence(TypedDict):
    """The event behind a rule."""

    category: str
    action: str
    occurred_at: Ms


class Claim(TypedDict):
    """What was said about a person and does not count: an identifier, or the value of a trait."""

    kind: Literal["cid", "email", "trait"]
    name: NotRequired[str]
    value: Any
    reason: str
    profile_id: NotRequired[Id]
    event_id: Id
    trust: Trust
    at: Ms
    event: NotRequired[Evidence | None]


StateName = Literal["Anonymous", "Recognized", "WM-Recognized", "Authenticated"]


class LastVisit(TypedDict):
    """The visit in which a person was last, and how sure it is that it was of them."""

    visit_id: Id
    state: StateName
    is_over: bool
    confidence: float
    needs_agent_validation: bool
    last_event_at: Ms


class Profile(TypedDict):
    """A person. Without `pii:read` personal data is masked."""

    profile_id: Id
    cid: str | None
    email: str | None
    uids: list[Id]
    merged_profile_ids: list[Id]
    traits: dict[str, Any]
    claims: list[Claim]
    first_seen_at: Ms
    last_seen_at: Ms
    visit: LastVisit | None


class Event(TypedDict):
    """An event as it was stored; `body` is what it said beyond the other members."""

    event_id: Id
    category: str
    action: str
    profile_id: Id | None
    uid: Id | None
    visit_id: Id | None
    page_id: Id | None
    seq: int
    url: str | None
    occurred_at: Ms
    tracked_at: Ms
    received_at: Ms
    bot: bool
    warnings: list[str]
    body: dict[str, Any]


class EventPage(TypedDict):
    """A part of what a person did."""

    items: list[Event]
    next: Next


class Replacement(TypedDict):
    """What replaced an identifier."""

    event_id: Id
    trust: Trust
    at: Ms
    event: Evidence | None


class Held(TypedDict):
    """An identifier of a person, and why they have it; `replaced` says by what they had it no longer."""

    kind: IdentifierKind
    value: str
    profile_id: Id
    rule: str
    text: str
    event_id: Id
    trust: Trust
    at: Ms
    event: Evidence | None
    replaced: NotRequired[Replacement]


class Binding(TypedDict):
    """From when on a UID speaks for a profile; `since_at` is on the browser's clock."""

    uid: Id
    profile_id: Id
    since_at: int
    since_seq: int
    rule: str
    text: str
    event_id: Id
    trust: Trust
    at: Ms
    event: Evidence | None


class Merge(TypedDict):
    """Two profiles that were found to be one person."""

    merge_id: int
    winner: Id
    loser: Id
    rule: str
    text: str
    event_id: Id
    trust: Trust
    at: Ms
    reversed_at: Ms | None
    apart_lifted_at: Ms | None
    event: NotRequired[Evidence | None]


class MergePage(TypedDict):
    """A part of the journal of merges."""

    items: list[Merge]
    next: Next


class Apart(TypedDict):
    """Two profiles that an undone merge keeps apart, and the people they belong to."""

    merge_id: int
    profile_ids: list[Id]
    people: list[Id]
    rule: str
    text: str
    since_at: Ms | None


class ApartPage(TypedDict):
    """A part of the pairs that are kept apart."""

    items: list[Apart]
    next: Next


class Explanation(TypedDict):
    """Why a profile is one person."""

    profile_id: Id
    identifiers: list[Held]
    history: list[Held]
    bindings: list[Binding]
    merges: list[Merge]
    apart: list[Apart]
    claims: list[Claim]


class Erased(TypedDict):
    """Rows deleted by table, and whether their bytes have left the files of the database."""

    erased: dict[str, int]
    bytes_removed: bool


class Half(TypedDict):
    """One of the two people that a merge had joined."""

    profile_id: Id
    cid: str | None
    email: str | None
    merged_profile_ids: list[Id]


class Restored(TypedDict):
    """An identifier that a merge had replaced."""

    kind: IdentifierKind
    value: str
    profile_id: Id


class Unmerged(TypedDict):
    """What undoing a merge comes to: the winner's person, then the loser's."""

    dry_run: bool
    merge_id: int
    people: list[Half]
    restored: list[Restored]


class Identified(TypedDict):
    """Who it led to."""

    profile_id: Id | None
    event_id: Id
    status: str
    warnings: list[str]


class Rule(TypedDict):
    """A rule of recognition."""

    rule: str
    text: str


class ForetoldMerge(TypedDict):
    """Two profiles that would become one; null: a new one."""

    winner: Id | None
    loser: Id | None
    rule: str


class Rehearsed(TypedDict):
    """What would happen."""

    dry_run: bool
    status: str
    rules: list[Rule]
    profile_id: Id | None
    merges: list[ForetoldMerge]
    warnings: list[str]


class Quarantined(TypedDict):
    """Something that was refused. Shown by itself it has what was sent in `raw`."""

    id: int
    received_at: Ms
    code: str
    field: str
    event_id: Id | None
    whole_request: bool
    size: int
    truncated: bool
    tries: int
    raw: NotRequired[str]
    exact: NotRequired[bool]
    sent_at: NotRequired[Ms | None]
    bot: NotRequired[bool]


class QuarantinePage(TypedDict):
    """A part of what was refused."""

    items: list[Quarantined]
    next: Next


class Deleted(TypedDict):
    """How many rows were dropped."""

    deleted: int


class ReplayedOne(TypedDict):
    """What became of a row that was recorded again."""

    id: int
    status: ReplayStatus
    code: str
    field: str
    events: NotRequired[dict[str, int]]


class ReplayedPage(TypedDict):
    """What became of many rows."""

    items: list[ReplayedOne]
    next: Next
