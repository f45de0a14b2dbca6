"""Interactions: how they are identified unless their site says, and what an agent's answer marks."""

from __future__ import annotations

import pytest

from collector.domain.interaction import Identification, default_identification, marks_of
from collector.domain.visit import MarkerKind, State
from collector.web.api.access import Problem
from collector.web.api.interactions import check_identity

NONE, IDENTIFIED, AGENT = Identification
CONFIRM, DISMISS = MarkerKind.CONFIRMATION, MarkerKind.DISMISSAL


@pytest.mark.parametrize("chosen", list(Identification))
def test_the_state_decides_and_the_site_where_it_is_uncertain(chosen: Identification) -> None:
    found = {state: default_identification(state, is_confirmed=False, of_uncertain=chosen) for state in State}
    assert found == {
        State.ANONYMOUS: NONE,
        State.WM_RECOGNIZED: chosen,
        State.RECOGNIZED: chosen,
        State.AUTHENTICATED: IDENTIFIED,
    }


def test_what_an_agent_confirmed_is_not_asked_again() -> None:
    assert default_identification(State.RECOGNIZED, is_confirmed=True, of_uncertain=AGENT) is IDENTIFIED


@pytest.mark.parametrize(
    ("assumed", "answer", "marks"),
    [
        ("ada", "ada", [(CONFIRM, "ada")]),
        ("ada", None, [(DISMISS, "ada")]),
        ("ada", "bob", [(DISMISS, "ada"), (CONFIRM, "bob")]),
        (None, "bob", [(CONFIRM, "bob")]),
        (None, None, []),
    ],
)
def test_an_answer_confirms_dismisses_or_both(
    assumed: str | None, answer: str | None, marks: list[tuple[MarkerKind, str]]
) -> None:
    assert list(marks_of(assumed, answer)) == marks


@pytest.mark.parametrize(
    ("said", "forms"),
    [
        (None, ()),
        (" ada-1 ", ("ada-1",)),
        (" Ada@Example.COM", ("Ada@Example.COM", "ada@example.com")),
    ],
)
def test_an_answer_is_cleaned_like_what_a_browser_says(said: str | None, forms: tuple[str, ...]) -> None:
    assert check_identity(said) == forms


@pytest.mark.parametrize("said", ["", "  ", "undefined", "NULL", "x" * 257, "a\nb", "5e543256c480ac577d30f76f9120eb74"])
def test_an_answer_that_could_be_many_peoples_is_refused(said: str) -> None:
    with pytest.raises(Problem) as refused:
        check_identity(said)
    assert (refused.value.code, refused.value.field) == ("invalid_parameter", "identityId")
