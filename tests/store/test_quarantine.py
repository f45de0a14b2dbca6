"""The bounds of the quarantine (spec/wire.md, Limits): rows, bytes and age, for each site by itself."""

import pytest

from collector.store import quarantine
from collector.store.quarantine import Refused, count_quarantine, insert_quarantine, purge_quarantine

DAY_MS = 86_400_000
NOW = 100 * DAY_MS


def fill(database, site_id, rows, received_at=NOW, raw=b"{}"):
    database.transact(insert_quarantine, site_id, received_at, [Refused("invalid_field", "dims", raw)] * rows)


def left(database, site_id):
    return database.read_now(count_quarantine, site_id)


def test_rows_beyond_the_bound_of_a_site_go_and_other_sites_keep_theirs(database, monkeypatch):
    monkeypatch.setattr(quarantine, "MAX_ROWS", 10)
    fill(database, 1, 25)
    fill(database, 2, 5)
    assert database.transact(purge_quarantine, NOW) == 15
    assert (left(database, 1), left(database, 2)) == (10, 5)


def test_the_newest_bytes_are_kept(database, monkeypatch):
    monkeypatch.setattr(quarantine, "MAX_BYTES", 1000)
    fill(database, 1, 3, raw=b"x" * 400)
    database.transact(purge_quarantine, NOW)
    assert left(database, 1) == 2


@pytest.mark.parametrize(("age_days", "kept"), [(14, 1), (15, 0)])
def test_rows_older_than_fourteen_days_go(database, age_days, kept):
    fill(database, 1, 1, received_at=NOW - age_days * DAY_MS)
    database.transact(purge_quarantine, NOW)
    assert left(database, 1) == kept
