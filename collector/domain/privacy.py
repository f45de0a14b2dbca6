"""What a browser may be told (R17): ids, counts, and warnings about its own input; never what is known of a person."""

from __future__ import annotations

from collections.abc import Iterable

TELLABLE_WARNINGS = frozenset(
    {
        "blocked_identifier",
        "invalid_email",
        "conflicting_identifiers",
        "cid_hashes_unnormalised_email",
        "identify_rate_limited",
        "identity_token_invalid",
        "identity_token_expired",
        "identity_token_mismatch",
        "replaced_characters",
        "big_integer",
        "clock_skew",
        "clock_out_of_range",
        "no_sent_at",
        "no_at",
        "identify_type_not_exact",
        "bot",
    }
)


def tellable(warnings: Iterable[str]) -> list[str]:
    """Those of `warnings` that say nothing about whether an e-mail or a customer id is known."""
    return [warning for warning in warnings if warning in TELLABLE_WARNINGS]
