"""Interactions with visits, and the decisions of agents on whom they are with."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select, update

from collector.domain.interaction import Identification, Interaction, Said, default_identification, marks_of
from collector.domain.visit import Marker, MarkerKind, State
from collector.store.dialect import insert_or_ignore
from collector.store.events import in_visit
from collector.store.history import Before, fetch_visit, older
from collector.store.history_identities import find_whom
from collector.store.identifiers import fetch_identifier
from collector.store.locks import lock_names, share_site
from collector.store.marks import (
    UserIdentification,
    delete_marker,
    fetch_markers,
    fold_again,
    insert_user_identification,
    upsert_identities,
)
from collector.store.schema import PENDING, events, id_text, interactions
from collector.store.standing import fetch_standing
from collector.store.visits import hold_visit

AFTER_ALL_MS = 2**62  # beyond the clock of every browser


class Refused(ValueError):
    """What is asked contradicts what is stored; `code` says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def insert_interaction(
    conn: Connection, site_id: int, interaction_id: str, said: Said, of_uncertain: Identification, now: int
) -> Interaction | None:
    """Store an interaction, or find it stored; None if there is no such visit.

    Raises `Refused`: `id_conflict` if another one has this id, `visit_is_anonymous` if nobody can be identified.
    """
    share_site(conn, site_id)
    known = fetch_interaction(conn, site_id, interaction_id)
    if known is not None:
        return _same(known, said)
    visit = fetch_visit(conn, site_id, said.visit_id)
    if visit is None:
        return None
    standing = fetch_standing(conn, site_id, visit)
    chosen = said.identification or default_identification(
        visit.state, is_confirmed=standing.folded.is_confirmed, of_uncertain=of_uncertain
    )
    if chosen is Identification.IDENTIFIED and visit.state is State.ANONYMOUS:
        raise Refused("visit_is_anonymous")
    row = {
        "site_id": site_id,
        "interaction_id": interaction_id,
        "visit_id": visit.visit_id,
        "created_at": now,
        "state": visit.state,
        "identification": chosen,
        "identity_id": None if chosen is Identification.NONE else visit.identity_id,
        "confidence": 0 if chosen is Identification.NONE else round(standing.confidence * 100),
        "body": _body(said),
    }
    conn.execute(insert_or_ignore(conn, interactions), row)
    stored = fetch_interaction(conn, site_id, interaction_id)
    assert stored is not None
    return _same(stored, said)


def _same(stored: Interaction, said: Said) -> Interaction:
    if stored.said != said:
        raise Refused("id_conflict")
    return stored


def _body(said: Said) -> str:
    kept = {name: value for name, value in asdict(said).items() if name != "visit_id"}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def fetch_interaction(conn: Connection, site_id: int, interaction_id: str) -> Interaction | None:
    """One interaction, None if there is no such interaction."""
    mine = (interactions.c.site_id == site_id, interactions.c.interaction_id == interaction_id)
    row = conn.execute(select(interactions).where(*mine)).one_or_none()
    return None if row is None else _interaction(row)


def fetch_interactions(
    conn: Connection,
    site_id: int,
    limit: int,
    before: Before | None = None,
    *,
    visit_id: str | None = None,
    pending: bool = False,
) -> list[Interaction]:
    """At most `limit` interactions, newest first; `before` is the (created_at, interaction_id) of the last one shown.

    `pending` leaves those that wait for an agent's decision.
    """
    table = interactions.c
    at: Any = table.created_at
    conditions = [table.site_id == site_id]
    if visit_id is not None:
        at = table.created_at + 0  # those of one visit are few, and are sorted
        conditions.append(table.visit_id == visit_id)
    if pending:
        conditions.append(PENDING)
    if before is not None:
        conditions += older(at, table.interaction_id, before)
    query = select(interactions).where(*conditions).order_by(at.desc(), table.interaction_id.desc()).limit(limit)
    return [_interaction(row) for row in conn.execute(query)]


def _interaction(row: Row[Any]) -> Interaction:
    kept = orjson.loads(row.body)
    asked = kept.pop("identification")
    return Interaction(
        row.interaction_id,
        Said(row.visit_id, None if asked is None else Identification(asked), **kept),
        row.created_at,
        State(row.state),
        Identification(row.identification),
        row.identity_id,
        row.confidence / 100,
        row.decided_at,
        row.decided_identity_id,
    )


def decide_interaction(
    conn: Connection, site_id: int, interaction_id: str, answers: tuple[str, ...], now: int
) -> Interaction | None:
    """Keep an agent's answer in place of an earlier one, and fold the visit again; None if there is no interaction.

    `answers` are the forms in which the identity may be known, none for nobody. Raises `Refused`
    `decision_not_awaited` for an interaction that is not the agent's to decide. It merges nothing.
    """
    share_site(conn, site_id)
    found = fetch_interaction(conn, site_id, interaction_id)
    if found is None:
        return None
    if found.identification is not Identification.AGENT_DECIDES:
        raise Refused("decision_not_awaited")
    lock_names(conn, site_id, [("visit", found.said.visit_id)])  # what its events lock before they fold it
    answer = _choose(conn, site_id, answers, found.identity_id)
    mine = (interactions.c.site_id == site_id, interactions.c.interaction_id == interaction_id)
    conn.execute(update(interactions).where(*mine).values(decided_at=now, decided_identity_id=answer))
    _mark(conn, site_id, found, answer, now)
    return fetch_interaction(conn, site_id, interaction_id)


def _choose(conn: Connection, site_id: int, answers: tuple[str, ...], assumed: str | None) -> str | None:
    """An identity in the form in which it is known: as assumed, else as a customer id; the last form otherwise."""
    if not answers or assumed in answers:
        return assumed if answers else None
    held = [answer for answer in answers if fetch_identifier(conn, site_id, "cid", answer) is not None]
    answer = (*answers, *held)[-1]
    is_same = assumed is not None and _find_leaves(conn, site_id, answer) & _find_leaves(conn, site_id, assumed)
    return assumed if is_same else answer


def _find_leaves(conn: Connection, site_id: int, identity_id: str) -> set[str]:
    whom = find_whom(conn, site_id, identity_id)
    return set(whom.leaves) if whom else set()


def _mark(conn: Connection, site_id: int, decided: Interaction, answer: str | None, now: int) -> None:
    visit_id = decided.said.visit_id
    leaf = _fetch_last_speaker(conn, site_id, visit_id)
    if hold_visit(conn, site_id, visit_id) is None or leaf is None:
        return  # its time was over: there is nothing left to say it of
    for kind in (MarkerKind.DISMISSAL, MarkerKind.CONFIRMATION):
        delete_marker(conn, site_id, _marker_id(decided.interaction_id, kind))
    for place, (kind, identity_id) in enumerate(marks_of(decided.identity_id, answer)):
        marker_id = _marker_id(decided.interaction_id, kind)
        marker = Marker(marker_id, kind, AFTER_ALL_MS, 2 * now + place, now, leaf, identity_id)
        insert_user_identification(conn, site_id, UserIdentification(marker, visit_id, None, None, None))
        if kind is MarkerKind.CONFIRMATION:
            upsert_identities(conn, site_id, {identity_id: (now, now)}, now)
    fold_again(conn, site_id, visit_id)


def _marker_id(interaction_id: str, kind: MarkerKind) -> str:
    """The id of a mark: one of its own, for an interaction may be called by the id of an event that is marked too."""
    return id_text(hashlib.blake2b(f"{kind} {interaction_id}".encode(), digest_size=16).digest())


def _fetch_last_speaker(conn: Connection, site_id: int, visit_id: str) -> str | None:
    order = (events.c.occurred_at.desc(), events.c.row_id.desc())
    leaf: str | None = conn.scalar(
        select(events.c.profile_id).where(*in_visit(site_id, visit_id)).order_by(*order).limit(1)
    )
    if leaf is None:  # its events had their time
        leaf = next((marker.profile_id for marker in fetch_markers(conn, site_id, visit_id)), None)
    return leaf
