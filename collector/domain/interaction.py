"""Interactions: conversations and the like, whom they are held to be with, and what an agent's answer says.

A decision is about one visit. It never merges anything, and no rule about people looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from collector.domain.visit import UNCERTAIN, MarkerKind, State


class Identification(StrEnum):
    """How an interaction is held to be with somebody."""

    NONE = "none"  # with nobody in particular
    IDENTIFIED = "identified"  # with whom the visit is of
    AGENT_DECIDES = "agent_decides"  # perhaps with them: the agent finds out


@dataclass(frozen=True, slots=True)
class Said:
    """What a site's server says of an interaction. `identification` None leaves it to the state of the visit."""

    visit_id: str
    identification: Identification | None = None
    kind: str | None = None
    value: float | None = None
    currency: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interaction:
    """A stored interaction. `state`, `identity_id` and `confidence` are what held of the visit when it began."""

    interaction_id: str
    said: Said
    created_at: int
    state: State
    identification: Identification
    identity_id: str | None
    confidence: float
    decided_at: int | None = None
    decided_identity_id: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether an agent is yet to decide."""
        return self.identification is Identification.AGENT_DECIDES and self.decided_at is None


def default_identification(state: State, *, is_confirmed: bool, of_uncertain: Identification) -> Identification:
    """How an interaction with a visit is identified unless its site says; `of_uncertain` is what the site chose."""
    if state in UNCERTAIN and not is_confirmed:
        return of_uncertain
    return Identification.NONE if state is State.ANONYMOUS else Identification.IDENTIFIED


def marks_of(assumed: str | None, answer: str | None) -> tuple[tuple[MarkerKind, str], ...]:
    """What an agent's answer does to a visit that was held to be of `assumed`, in order: (kind, identity).

    Naming somebody else than was assumed dismisses the one and confirms the other.
    """
    dismissed = ((MarkerKind.DISMISSAL, assumed),) if assumed is not None and assumed != answer else ()
    return (*dismissed, *(((MarkerKind.CONFIRMATION, answer),) if answer is not None else ()))


def interaction_document(interaction: Interaction) -> dict[str, Any]:
    """The interaction as JSON."""
    said = interaction.said
    answer = {"identityId": interaction.decided_identity_id, "decided_at": interaction.decided_at}
    return {
        "interaction_id": interaction.interaction_id,
        "visitId": said.visit_id,
        "state": str(interaction.state),
        "identification": str(interaction.identification),
        "identity_id": interaction.identity_id,
        "confidence": interaction.confidence,
        "needs_agent_validation": interaction.is_pending,
        "decision": answer if interaction.decided_at is not None else None,
        "kind": said.kind,
        "value": said.value,
        "currency": said.currency,
        "data": said.data,
        "created_at": interaction.created_at,
    }
