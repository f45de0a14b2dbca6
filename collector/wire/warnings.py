"""The names of what can be odd about an event that is stored all the same. One place, because docs list them.

Those of recognition (`blocked_identifier`, `email_change_unverified` and so on) belong to the identity rules.
"""

from __future__ import annotations

from typing import Final

REPLACED_CHARACTERS: Final = "replaced_characters"  # a lone surrogate, NUL or C0 control became U+FFFD
BIG_INTEGER: Final = "big_integer"  # beyond +-(2^53-1), kept as exact decimal text
NO_SENT_AT: Final = "no_sent_at"  # the device's clock could not be compared with ours
NO_AT: Final = "no_at"  # nobody said when it was tracked: the time in a UUIDv7 stands in, else that of sending
CLOCK_SKEW: Final = "clock_skew"  # the device's clock is more than 60 s off; occurred_at is corrected
CLOCK_OUT_OF_RANGE: Final = "clock_out_of_range"  # more than 5 min ahead or 30 days old: occurred_at = received_at
CONFLICTING_IDENTIFIERS: Final = "conflicting_identifiers"  # customer_id and identify_id differ: asserts nothing
IDENTIFY_TYPE_NOT_EXACT: Final = "identify_type_not_exact"  # asserts nothing
# An identity token that proves nothing, so that the assertion counts as any other: not signed by the site's server, too
# old, or about somebody else than the event.
IDENTITY_TOKEN_INVALID: Final = "identity_token_invalid"  # noqa: S105
IDENTITY_TOKEN_EXPIRED: Final = "identity_token_expired"  # noqa: S105
IDENTITY_TOKEN_MISMATCH: Final = "identity_token_mismatch"  # noqa: S105
PROVIDER_FAILED: Final = "provider_failed"  # the site's own recognition (R15) did not answer: the built-in one did
IDENTIFY_RATE_LIMITED: Final = "identify_rate_limited"  # too many assertions from here: this one is dropped
