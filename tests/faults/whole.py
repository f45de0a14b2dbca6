"""What must hold of the people in a database at any time, in SQL that both engines speak."""

from __future__ import annotations

from functools import partial

from tests.faults.server import Collector

FOLLOWERS = "profiles p LEFT JOIN profiles r ON r.site_id = p.site_id AND r.profile_id = p.merged_into"
ASTRAY = (
    f"SELECT count(*) FROM {FOLLOWERS} "
    "WHERE p.merged_into IS NOT NULL AND (r.profile_id IS NULL OR r.merged_into IS NOT NULL)"
)
NOBODYS = (
    "SELECT count(*) FROM {table} t LEFT JOIN profiles p ON p.site_id = t.site_id AND p.profile_id = t.profile_id "
    "WHERE p.profile_id IS NULL"
)
MERGED_TWICE = (
    "SELECT count(*) FROM (SELECT 1 FROM merges WHERE reversed_at IS NULL "
    "GROUP BY site_id, loser_id HAVING count(*) > 1) AS twice"
)
TWO_OF_A_KIND = (
    "SELECT count(*) FROM (SELECT 1 FROM identifiers i "
    "JOIN profiles p ON p.site_id = i.site_id AND p.profile_id = i.profile_id "
    "GROUP BY i.site_id, i.kind, coalesce(p.merged_into, p.profile_id) HAVING count(*) > 1) AS several"
)
MERGED = "SELECT count(*) FROM profiles WHERE merged_into IS NOT NULL"


def count_merged(collector: Collector) -> int:
    """How many profiles were merged into others."""
    return _count(collector, MERGED)


def _count(collector: Collector, query: str) -> int:
    ((found,),) = collector.rows(query)
    return int(found)


def assert_people_are_whole(collector: Collector, at_least_merged: int) -> None:
    """Every event, binding and identifier leads to exactly one root, and the journal of merges agrees with them."""
    count = partial(_count, collector)
    merged = count_merged(collector)
    assert merged >= at_least_merged, "the load is meant to merge people"
    assert count(ASTRAY) == 0, "a pointer that leads nowhere, or further than one step"
    for table in ("events", "bindings", "identifiers", "traits", "sessions", "user_identifications"):
        assert count(NOBODYS.format(table=table)) == 0, f"{table} of nobody"
    assert (
        count(
            "SELECT count(*) FROM bindings b LEFT JOIN uids u ON u.site_id = b.site_id AND u.uid = b.uid "
            "WHERE u.uid IS NULL"
        )
        == 0
    ), "a binding of a UID that nobody knows"
    assert count(MERGED_TWICE) == 0, "merged twice"
    assert count("SELECT count(*) FROM merges WHERE reversed_at IS NULL") == merged
    assert count(TWO_OF_A_KIND) == 0, "two customers, or two e-mails, in one profile"
