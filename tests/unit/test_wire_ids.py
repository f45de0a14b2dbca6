"""Ids of a whole request looked at together: the same answer as one by one."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from collector.wire.ids import are_canonical_ids, is_canonical_id

NIL = "00000000-0000-0000-0000-000000000000"
ONE = f"{NIL[:-1]}1"
ids = st.uuids().map(str)
wrong = (
    st.sampled_from(["", NIL])
    | st.text(max_size=40)
    | ids.map(str.upper)
    | st.builds(lambda one, cut: one[:cut], ids, st.integers(0, 36))
    | st.builds(
        lambda one, at, put: one[:at] + put + one[at + 1 :], ids, st.integers(0, 36), st.characters(codec="utf-8")
    )
)


@given(st.lists(ids | wrong, max_size=4))
@example([ONE[:-1], f"1{ONE}"])  # one too short and one too long
@example([f"{ONE},{ONE}"])
@example([NIL])
def test_together_or_one_by_one(texts: list[str]) -> None:
    assert are_canonical_ids(texts) == all(map(is_canonical_id, texts))
