"""`/api/v1/interactions`: a site's server reports conversations with visitors, and agents say whom they are with."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from aiohttp import web
from msgspec import Meta

from collector.domain.identifiers import clean_cid, clean_email
from collector.domain.interaction import Identification, Interaction, Said, interaction_document
from collector.domain.keys import Scope
from collector.domain.masking import mask_identity_id, mask_value
from collector.store.interactions import (
    Refused,
    decide_interaction,
    fetch_interaction,
    fetch_interactions,
    insert_interaction,
)
from collector.web.api.access import Problem, reply
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Call, Endpoint
from collector.web.api.parameters import EntityId, NoQuery, Page
from collector.web.api.shapes import Id, Ms, Next, StateName
from collector.wire.ids import parse_id

NO_SUCH_VISIT = "There is no such visit."
NO_SUCH_INTERACTION = "There is no such interaction."
MAX_KIND = 100  # characters
MAX_VALUE = 10**15

Identified = Literal["none", "identified", "agent_decides"]
_is_currency = re.compile("[A-Z]{3}", re.ASCII).fullmatch


class Reported(msgspec.Struct, forbid_unknown_fields=True, rename={"visit_id": "visitId"}):
    """An interaction with the visitor of a visit. Without `identification` the state of the visit decides."""

    visit_id: Id
    identification: Identified | None = None
    interaction_id: Annotated[Id, Meta(description="Makes a retry harmless.")] | None = None
    kind: Annotated[str, Meta(description="Such as call or chat.")] | None = None
    value: float | None = None
    currency: Annotated[str, Meta(description="Three capital letters, as in ISO 4217.")] | None = None
    data: dict[str, Any] | None = None


class Answer(msgspec.Struct, forbid_unknown_fields=True, rename={"identity_id": "identityId"}):
    """Whom the agent was talking to: a customer id or an e-mail address, null for somebody else than assumed."""

    identity_id: str | None


class Listed(Page, frozen=True):
    """Which interactions."""

    visit_id: EntityId | None = msgspec.field(default=None, name="visitId")
    pending: Annotated[bool, Meta(description="Only those that wait for a decision.")] = False


class DecisionDocument(TypedDict):
    """An agent's answer; `identityId` null: it was not whom the visit was held to be of."""

    identityId: str | None
    decided_at: Ms


class InteractionDocument(TypedDict):
    """An interaction. `state`, `identity_id` and `confidence` are those of the visit when it was reported."""

    interaction_id: Id
    visitId: Id
    state: StateName
    identification: Identified
    identity_id: str | None
    confidence: float
    needs_agent_validation: bool
    decision: DecisionDocument | None
    kind: str | None
    value: float | None
    currency: str | None
    data: dict[str, Any]
    created_at: Ms


class InteractionPage(TypedDict):
    """A part of the interactions."""

    items: list[InteractionDocument]
    next: Next


async def post_interaction(call: Call[NoQuery]) -> web.Response:
    """Report an interaction. Repeated with its `interaction_id`, it is answered in the same way and stored once.

    409 `id_conflict`: another one has this id; `visit_is_anonymous`: there is nobody to be `identified`.
    """
    interaction_id, said = check_report(call.body)
    of_uncertain = Identification(call.site.settings.uncertain_interactions)
    stored = await _refusable(
        call, insert_interaction, interaction_id or call.edge.fresh_id(), said, of_uncertain, call.now()
    )
    if stored is None:
        raise Problem("not_found", message=NO_SUCH_VISIT)
    return reply(shown(stored, may_see_pii=call.may_see_pii))


async def post_decision(call: Call[NoQuery]) -> web.Response:
    """Keep an agent's answer, in place of an earlier one. The state of the visit follows it; it merges nobody."""
    answers = check_identity(call.body.identity_id)
    decided = await _refusable(call, decide_interaction, call.path["interaction_id"], answers, call.now())
    if decided is None:
        raise Problem("not_found", message=NO_SUCH_INTERACTION)
    return reply(shown(decided, may_see_pii=call.may_see_pii))


async def get_interaction(call: Call[NoQuery]) -> web.Response:
    """One interaction."""
    found = await call.read(fetch_interaction, call.path["interaction_id"])
    if found is None:
        raise Problem("not_found", message=NO_SUCH_INTERACTION)
    return reply(shown(found, may_see_pii=call.may_see_pii))


async def get_interactions(call: Call[Listed]) -> web.Response:
    """A page of interactions, newest first; `next` is the `start` of the following page, null at the end."""
    query, start = call.query, read_cursor(call.query.start, (int, EntityId))
    before = None if start is None else (start[0], start[1])
    rows = await call.read(fetch_interactions, query.limit + 1, before, visit_id=query.visit_id, pending=query.pending)
    page = rows[: query.limit]
    following = cursor(page[-1].created_at, page[-1].interaction_id) if len(rows) > query.limit else None
    return reply({"items": [shown(each, may_see_pii=call.may_see_pii) for each in page], "next": following})


def shown(interaction: Interaction, *, may_see_pii: bool) -> dict[str, Any]:
    """The interaction as it is answered."""
    document = interaction_document(interaction)
    if may_see_pii:
        return document
    masked: dict[str, Any] = mask_value(None, document)
    for of, name in ((masked, "identity_id"), (masked["decision"] or {}, "identityId")):
        if of.get(name) is not None:
            of[name] = mask_identity_id(of[name])
    return masked


def check_report(body: Reported) -> tuple[str | None, Said]:
    """(interaction_id, what is said) of a request. Raises `Problem` naming the member at fault."""
    visit_id, interaction_id = parse_id(body.visit_id), parse_id(body.interaction_id)
    if visit_id is None:
        raise _invalid("visitId", "is not a UUID")
    if body.interaction_id is not None and interaction_id is None:
        raise _invalid("interaction_id", "is not a UUID")
    if body.kind is not None and not 0 < len(body.kind) <= MAX_KIND:
        raise _invalid("kind", f"is empty or has more than {MAX_KIND} characters")
    if body.value is not None and not (math.isfinite(body.value) and abs(body.value) <= MAX_VALUE):
        raise _invalid("value", f"is beyond {MAX_VALUE}")
    if body.currency is not None and (body.value is None or not _is_currency(body.currency)):
        raise _invalid("currency", "is three capital letters beside a value")
    asked = None if body.identification is None else Identification(body.identification)
    return interaction_id, Said(visit_id, asked, body.kind, body.value, body.currency, body.data or {})


def check_identity(identity_id: str | None) -> tuple[str, ...]:
    """The forms that an identity may be known in: as a customer id, as an e-mail; none for nobody. Raises `Problem`."""
    if identity_id is None:
        return ()
    forms = tuple(form for form in (clean_cid(identity_id), clean_email(identity_id)) if form is not None)
    if not forms:
        raise _invalid("identityId", "is neither a customer id nor an e-mail address that can be stored")
    return forms


async def _refusable(call: Call[NoQuery], function: Any, *args: Any) -> Interaction | None:
    try:
        done: Interaction | None = await call.write(function, *args)
    except Refused as refused:
        is_id = refused.code == "id_conflict"
        message = "Another interaction has this id." if is_id else None
        raise Problem(refused.code, "interaction_id" if is_id else None, message) from refused
    return done


def _invalid(field: str, problem: str) -> Problem:
    return Problem("invalid_parameter", field, f"{field} {problem}.")


ONE = {"interaction_id": EntityId}
ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/interactions",
        post_interaction,
        "Report an interaction with a visitor",
        Scope.INTERACTIONS,
        body=Reported,
        reply=InteractionDocument,
        errors=("not_found", "id_conflict", "visit_is_anonymous", "storage_full"),
    ),
    Endpoint(
        "GET",
        "/api/v1/interactions",
        get_interactions,
        "Interactions, newest first",
        Scope.INTERACTIONS,
        query=Listed,
        reply=InteractionPage,
    ),
    Endpoint(
        "GET",
        "/api/v1/interactions/{interaction_id}",
        get_interaction,
        "One interaction",
        Scope.INTERACTIONS,
        path_types=ONE,
        reply=InteractionDocument,
        errors=("not_found",),
    ),
    Endpoint(
        "POST",
        "/api/v1/interactions/{interaction_id}/decision",
        post_decision,
        "An agent's answer on whom an interaction is with",
        Scope.INTERACTIONS,
        path_types=ONE,
        body=Answer,
        reply=InteractionDocument,
        errors=("not_found", "decision_not_awaited", "storage_full"),
    ),
)
