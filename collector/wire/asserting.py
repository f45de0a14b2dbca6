"""Which events say who the visitor is, and what exactly they say (spec/identity.md, Objects).

What is said is passed on as sent; cleaning it (R1) and believing it are for the identity rules.
"""

from __future__ import annotations

from collector.domain.event import Assertion
from collector.wire.ids import parse_id
from collector.wire.sent import Sent
from collector.wire.warnings import CONFLICTING_IDENTIFIERS, IDENTIFY_TYPE_NOT_EXACT

IDENTIFYING_ACTIONS = frozenset({"sign_in", "sign_up", "identify"})


def find_wrong_type(event: Sent) -> str | None:
    """The path of the first identity field that is neither text nor (for ids) an integer, None if all are well."""
    customers = (event.dims or {}).get("customers") or {}
    if type(customers) is not dict:
        return "dims.customers"
    if _not_an_id(customers.get("customer_id")):
        return "dims.customers.customer_id"
    if type(customers.get("email")) not in (str, type(None)):
        return "dims.customers.email"
    return "extra.identify_id" if _not_an_id((event.extra or {}).get("identify_id")) else None


def _not_an_id(value: object) -> bool:
    return value is not None and type(value) not in (str, int)


def read_assertion(event: Sent, always: bool = False) -> tuple[Assertion | None, tuple[str, ...]]:
    """(assertion, warnings) of an event whose identity fields `find_wrong_type` has checked.

    `always` is the site's choice that any event carrying `dims.customers` asserts.
    """
    traits = dict((event.dims or {}).get("customers") or {})
    cid = _text(traits.pop("customer_id", None))
    email = _text(traits.pop("email", None)) or _text(event.email or None)
    is_hint = event.category == "user" and event.action == "info"
    if is_hint or (event.category == "user" and event.action in IDENTIFYING_ACTIONS):
        extra = event.extra or {}
        if not is_hint and extra.get("identify_type") not in (None, "exact"):
            return None, (IDENTIFY_TYPE_NOT_EXACT,)
        identify_id = _text(extra.get("identify_id"))
        if cid and identify_id and cid.strip() != identify_id.strip():
            return None, (CONFLICTING_IDENTIFIERS,)
        cid = cid or identify_id
    elif not always:
        cid, email = None, _text(event.email or None)
        if email is None:
            return None, ()
    visit_id = parse_id((event.extra or {}).get("visit_id")) if is_hint else None
    if cid is None and email is None and not traits and visit_id is None:
        return None, ()
    return Assertion(cid, email, traits, is_hint, visit_id=visit_id), ()


def _text(value: object) -> str | None:
    """An identifier as text, None where nothing is said."""
    if value is None:
        return None
    text = str(value)
    return None if not text or text.isspace() else text
