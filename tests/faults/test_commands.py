"""The commands, each a process of its own, on a PostgreSQL database that a collector is writing to."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.faults.server import ROOT, Collector, event, post_batch

pytestmark = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


def test_people_are_shown_and_erased(collector: Collector) -> None:
    keys = collector.add_site()
    collector.start()
    customers = {"customer_id": "ada-1", "email": "ada@example.com", "first_name": "Ada"}
    said = event(2, category="user", action="sign_in", dims={"customers": customers})
    assert post_batch(collector.url, keys.write_key, [event(1, uid=str(said["uid"])), said]).status == 200
    shown = json.loads(collector.command("profile", "--email", "ada@example.com", "--json"))
    assert shown["cid"] == "ada-1"
    assert "R4a" in collector.command("profile", "--cid", "ada-1", "--explain")
    assert len(collector.command("tail", "--once").splitlines()) == 2
    assert "2 events" in collector.command("erase", "--cid", "ada-1", "--yes")
    assert collector.stored_ids() == []
    repeated = post_batch(collector.url, keys.write_key, [event(3, uid=str(said["uid"]))])
    assert repeated.json()["suppressed"] == 1


def test_a_purge_leaves_what_is_young(collector: Collector) -> None:
    keys = collector.add_site()
    collector.command("site", "set", "shop", "retention_days=1")
    collector.start()
    assert post_batch(collector.url, keys.write_key, [event(1)]).status == 200
    assert "would delete nothing" in collector.command("purge", "--dry-run")
    assert json.loads(collector.command("purge", "--json"))["rows"] == {}
    assert len(collector.stored_ids()) == 1


def test_sites_are_changed_and_the_schema_is_said_to_be_there(collector: Collector) -> None:
    collector.add_site()
    assert "consent=required" in collector.command("site", "set", "shop", "consent=required")
    collector.command("site", "disable", "shop")
    (site,) = json.loads(collector.command("site", "list", "--json"))["sites"]
    assert site["disabled"]
    assert "at revision 0001 already" in collector.command("migrate")


def test_there_is_nothing_to_scrub(collector: Collector) -> None:
    words = [sys.executable, "-m", "collector", "scrub"]
    done = subprocess.run(
        words, cwd=ROOT, env=collector.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("regulars: PostgreSQL removes the bytes")
