"""What is shown of personal data to a key without `pii:read`. Pure: JSON values in, JSON values out.

E-mail addresses keep their first character and their domain, wherever in a text they stand. Values that are called
after a person's name, address, phone, birthday and the like become `***`, also in the query of a URL. Ids that are no
e-mail addresses stay: without them nothing could be joined.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

MASK = "***"

# How values are called, in lower case and without what is no letter: first_name, firstName and "First name" are one.
PERSONAL = frozenset({
    "name", "firstname", "lastname", "middlename", "secondname", "fullname", "givenname", "familyname", "surname",
    "forename", "maidenname", "birthname", "nickname", "username", "namefirst", "namelast", "alias",
    "email", "emailaddress", "mail", "mailaddress", "phone", "phonenumber", "telephone", "telephonenumber", "tel",
    "mobile", "mobilenumber", "mobilephone", "fax", "ip", "ipaddress",
    "address", "addressline", "street", "streetaddress", "housenumber", "postalcode", "postcode", "zip", "zipcode",
    "birthday", "birthdate", "dateofbirth", "dob", "gender", "sex",
    "ssn", "taxid", "passport", "iban", "cardnumber", "password",
})  # fmt: skip
# Before such a word there may be whose it is: billing_address, home phone.
_WHOSE = re.compile("^(?:billing|business|contact|customer|delivery|home|invoice|personal|private|shipping|user|work)")

# What may begin an address, where @ and others may be escaped. It takes each run of characters as a whole, whether an @
# follows or not, and never gives one back: a long text takes linear time.
_CHARACTER = r"[^\s@<>\"'(),;:/?&=#%|\[\]{}]"
_run = re.compile(rf"((?:{_CHARACTER}|%(?!40)[0-9A-Fa-f]{{2}})++)(?:(@|%40)(?={_CHARACTER}))?")
_parameter = re.compile(r"([?&#;])([^=&#?;\s]{1,100})=([^&#;\s]+)")


def mask_email(email: str) -> str:
    """`a***@example.com` for `ann@example.com`; `***` for what is no address."""
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}{MASK}@{domain}" if at and local else MASK


def mask_text(text: str) -> str:
    """The text with every e-mail address in it masked, and every personal value in the query of a URL."""
    if "=" in text:
        text = _parameter.sub(_masked_parameter, text)
    if "@" in text or "%40" in text:
        text = _run.sub(_masked_match, text)
    return text


def mask_value(name: str | None, value: Any) -> Any:
    """A JSON value that is called `name` (None: that has no name), with all that is personal in it masked.

    Recursive: the depth of `value` must have been checked when it was stored.
    """
    if value is None or isinstance(value, bool):
        return value
    if name is not None and is_personal(name):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {mask_text(inner): mask_value(inner, item) for inner, item in value.items()}
    if isinstance(value, list):
        return [mask_value(None, item) for item in value]
    return value


def mask_identity_id(identity_id: str) -> str:
    """An identityId: a customer id as it is, an e-mail address masked."""
    return mask_email(identity_id) if "@" in identity_id else identity_id


def mask_profile(document: dict[str, Any]) -> dict[str, Any]:
    """A profile as `explain.profile_document` makes it."""
    return {
        **document,
        "cid": None if document["cid"] is None else mask_identity_id(document["cid"]),
        "email": None if document["email"] is None else mask_email(document["email"]),
        "traits": mask_value(None, document["traits"]),
        "claims": [mask_named(claim) for claim in document["claims"]],
    }


def mask_explanation(document: dict[str, Any]) -> dict[str, Any]:
    """The reasons as `explain.explain_document` makes them."""
    return document | {part: list(map(mask_named, document[part])) for part in ("identifiers", "history", "claims")}


def mask_named(said: dict[str, Any]) -> dict[str, Any]:
    """An identifier or a claim: `{kind, value, …}`, for a trait with its `name`."""
    name = said["name"] if said["kind"] == "trait" else None
    return said | {"value": mask_value(name, said["value"])}


def mask_unmerged(document: dict[str, Any]) -> dict[str, Any]:
    """What undoing a merge comes to, as `unmerge.unmerge_document` makes it."""
    people = [
        person
        | {
            "cid": None if person["cid"] is None else mask_identity_id(person["cid"]),
            "email": None if person["email"] is None else mask_email(person["email"]),
        }
        for person in document["people"]
    ]
    return document | {"people": people, "restored": mask_value(None, document["restored"])}


def mask_raw(text: str) -> str:
    """What a client sent, if it is JSON; other text could say anything anywhere, and is not shown."""
    try:
        return orjson.dumps(mask_value(None, orjson.loads(text))).decode()
    except (ValueError, TypeError, RecursionError):  # no JSON, or deeper than it can be taken apart
        return MASK


def is_personal(name: str) -> bool:
    """Whether what is called `name` tells who somebody is or how to reach them."""
    word = "".join(char for char in name.lower() if char.isalpha())
    return word in PERSONAL or _WHOSE.sub("", word) in PERSONAL


def _masked_match(match: re.Match[str]) -> str:
    if match[2] is None:
        return match[0]
    first = match[1][0]
    return f"{'' if first == '%' else first}{MASK}{match[2]}"


def _masked_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}={MASK}" if is_personal(match[2]) else match[0]
