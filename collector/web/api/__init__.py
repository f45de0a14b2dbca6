"""Administration over HTTP, for a site's own servers: every URL on one screen.

All of it needs `Authorization: Bearer SECRET`, and answers for the site of that key alone.
"""

from __future__ import annotations

from collector.web.api.identify import post_identification
from collector.web.api.merges import delete_apart, get_apart, get_merges, post_reversal
from collector.web.api.profiles import delete_profile, find_one, get_events, get_explanation, get_profile
from collector.web.api.quarantine import (
    delete_row,
    delete_rows,
    get_quarantine,
    get_quarantined,
    post_replay,
    post_replays,
)

# Method, path behind the prefix, handler.
ROUTES = (
    ("GET", "/api/v1/profiles", find_one),
    ("GET", "/api/v1/profiles/{profile_id}", get_profile),
    ("DELETE", "/api/v1/profiles/{profile_id}", delete_profile),
    ("GET", "/api/v1/profiles/{profile_id}/events", get_events),
    ("GET", "/api/v1/profiles/{profile_id}/explain", get_explanation),
    ("GET", "/api/v1/merges", get_merges),
    ("POST", "/api/v1/merges/{merge_id}/reverse", post_reversal),
    ("GET", "/api/v1/apart", get_apart),
    ("DELETE", "/api/v1/apart/{merge_id}", delete_apart),
    ("POST", "/api/v1/identify", post_identification),
    ("GET", "/api/v1/quarantine", get_quarantine),
    ("DELETE", "/api/v1/quarantine", delete_rows),
    ("POST", "/api/v1/quarantine/replay", post_replays),
    ("GET", "/api/v1/quarantine/{quarantine_id}", get_quarantined),
    ("DELETE", "/api/v1/quarantine/{quarantine_id}", delete_row),
    ("POST", "/api/v1/quarantine/{quarantine_id}/replay", post_replay),
)
