"""Why a request is refused as a whole, and the one shape in which it is said. Never an echo of what was sent."""

from __future__ import annotations

from typing import NamedTuple

import orjson


class Meaning(NamedTuple):
    """What a code stands for. `is_retryable` tells the sender to keep its events and try again."""

    status: int
    message: str
    is_retryable: bool = False


MEANINGS = {
    "malformed_request": Meaning(400, "This is not a well-formed HTTP request."),
    "malformed_gzip": Meaning(400, "The body is not one complete gzip member."),
    "malformed_json": Meaning(400, "The body is not the JSON that this address expects."),
    "unknown_key": Meaning(401, "There is no site with this write key."),
    "unauthorized": Meaning(401, "A secret key is needed: Authorization: Bearer SECRET."),
    "site_disabled": Meaning(403, "This site is disabled."),
    "origin_not_allowed": Meaning(403, "The site does not list the origin of this page."),
    "not_found": Meaning(404, "There is nothing at this address."),
    "method_not_allowed": Meaning(405, "This address does not answer to this method."),
    "request_timeout": Meaning(408, "The request came too slowly.", is_retryable=True),
    "body_too_large": Meaning(413, "The body is too large."),
    "too_many_events": Meaning(413, "There are more than 500 events in one request."),
    "unsupported_media_type": Meaning(415, "The content type must be JSON or text/plain."),
    "unsupported_encoding": Meaning(415, "The content encoding must be gzip, once, or none."),
    "rate_limited": Meaning(429, "There are too many requests.", is_retryable=True),
    "internal": Meaning(500, "Something went wrong here.", is_retryable=True),
    "storage_unavailable": Meaning(503, "Events cannot be stored right now.", is_retryable=True),
    "storage_full": Meaning(503, "There is no room to store events.", is_retryable=True),
}


class Refusal(Exception):
    """Ends a request. `events` is how many were refused with it, 1 where they cannot be counted.

    `closes` asks for the connection to be closed instead of reading the rest of the body.
    """

    def __init__(self, code: str, *, events: int = 1, retry_after_s: int | None = None, closes: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.events = events
        self.retry_after_s = retry_after_s
        self.closes = closes


def error_body(code: str, request_id: str) -> bytes:
    """The JSON of a failure."""
    meaning = MEANINGS[code]
    return orjson.dumps(
        {
            "error": {
                "code": code,
                "message": meaning.message,
                "request_id": request_id,
                "retryable": meaning.is_retryable,
            }
        }
    )
