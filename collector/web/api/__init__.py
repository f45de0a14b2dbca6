"""The API for servers: what is asked with `Authorization: Bearer SECRET`, and answers for the site of that key alone.

Each module describes its own addresses; here is what there is.
"""

from __future__ import annotations

from collector.web.api import history, identify, interactions, keys, merges, profiles, quarantine, visitors

ENDPOINTS = (
    *profiles.ENDPOINTS,
    *merges.ENDPOINTS,
    *identify.ENDPOINTS,
    *quarantine.ENDPOINTS,
    *keys.ENDPOINTS,
    *interactions.ENDPOINTS,
    *visitors.ENDPOINTS,
    *history.ENDPOINTS,
)
