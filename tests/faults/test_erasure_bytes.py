"""T18: after an erasure the e-mail's bytes are in no file of a real collector, and what is sent again is suppressed."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server import ORIGIN, Collector, Keys, event, get, post_batch

EMAIL = "ada.lovelace.4711@analytical.example"
CLAIMED = "ada.claims.4711@analytical.example"
CID = "customer-ada-4711"
BOB = "bob.babbage@difference.example"


def traces(uid: str) -> list[bytes]:
    """What may be in no file: identifiers as sent, escaped, and the UID as text and as the database keeps it."""
    texts = [EMAIL, CLAIMED, CID, uid, urllib.parse.quote(EMAIL), r"\u0061da.lovelace.4711", "Ada Lovelace"]
    return [*(text.lower().encode() for text in texts), uuid.UUID(uid).bytes]


def files_holding(folder: Path, needle: bytes) -> list[str]:
    """All files of the collector, its log and SQLite's own files among them, in which `needle` occurs in any case."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"regulars.db", "regulars.db-wal", "regulars.db-shm", "collector.log"} <= {file.name for file in files}
    contents = {file.name: file.read_bytes() for file in files}
    return sorted(name for name, data in contents.items() if needle in data or needle in data.lower())


def found(folder: Path, uid: str) -> dict[bytes, list[str]]:
    """The traces that there are, and where."""
    everywhere = {needle: files_holding(folder, needle) for needle in traces(uid)}
    return {needle: files for needle, files in everywhere.items() if files}


def ask(method: str, url: str, secret: str | None = None, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain"} | (
        {"Authorization": f"Bearer {secret}"} if secret else {}
    )
    request = urllib.request.Request(url, body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            data = response.read()
            return response.status, json.loads(data) if data.startswith(b"{") else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def ada_lives(uid: str) -> list[dict[str, object]]:
    """Her e-mail in every field that may hold text, and an event that is refused."""
    customers = {"customer_id": CID, "email": EMAIL, "first_name": "Ada Lovelace"}
    address = f"https://shop.example/?mail={urllib.parse.quote(EMAIL)}"
    return [
        event(1, uid=uid, url=address, title=f"Hello {EMAIL.upper()}", referrer=address),
        event(2, uid=uid, category="user", action="sign_up", dims={"customers": customers}),
        event(3, uid=uid, category="form", action="submit", email=EMAIL, extra={"note": [EMAIL]}),
        event(4, uid=uid, category="user", action="identify", dims={"customers": customers | {"email": CLAIMED}}),
        event(5, uid=uid, category="user", action="info", dims={"customers": {"email": EMAIL}}),
        event(6, uid=uid, category="cart", action="add", dims=EMAIL),
        event(7, uid=uid, category="user", action="sign_out"),
    ]


def by_http(collector: Collector, keys: Keys) -> None:
    query = urllib.parse.urlencode({"email": EMAIL})
    _, person = ask("GET", f"{collector.url}/api/v1/profiles?{query}", keys.secret_key)
    status, answer = ask("DELETE", f"{collector.url}/api/v1/profiles/{person['profile_id']}", keys.secret_key)
    assert (status, answer["bytes_removed"]) == (200, True)


def by_command(collector: Collector, _: Keys) -> None:
    collector.command("erase", "--email", EMAIL, "--yes")


@pytest.mark.parametrize("erase", [by_http, by_command], ids=["over HTTP", "by command"])
def test_no_file_holds_a_byte_of_the_erased_and_they_do_not_come_back(
    collector: Collector, erase: Callable[[Collector, Keys], None]
) -> None:
    collector.settings = {"REGULARS_LOG_LEVEL": "debug"}
    keys = collector.add_site()
    collector.start()
    uid = str(event(0)["uid"])
    life = ada_lives(uid)
    malformed = rf'{{"events":[{{"email":"\u0061da.lovelace.4711@analytical.example","url":"?{EMAIL}"'.encode()
    page, site = collector.url, f"site={keys.write_key}"
    assert post_batch(page, keys.write_key, life).json()["accepted"] == len(life) - 1
    assert ask("POST", f"{page}/v1/collect?{site}", body=malformed)[0] == 400
    granted = json.dumps({"state": "granted", "uid": uid}).encode()
    assert ask("POST", f"{page}/v1/consent?{site}", body=granted)[0] == 200
    assert get(f"{page}/v1/pixel.gif?{site}&e={urllib.parse.quote(EMAIL)}").status == 200
    bobs = event(1, category="user", action="identify", dims={"customers": {"email": BOB}})
    assert post_batch(page, keys.write_key, [bobs]).json()["accepted"] == 1
    assert set(found(collector.folder, uid)) == set(traces(uid)), "the absence of others would prove nothing"

    erase(collector, keys)

    assert found(collector.folder, uid) == {}
    again = post_batch(collector.url, keys.write_key, life).json()
    assert (again["accepted"], again["quarantined"], again["suppressed"]) == (0, 0, len(life))
    assert collector.rows("SELECT count(*) FROM events") == [(1,)]
    assert found(collector.folder, uid) == {}
    assert files_holding(collector.folder, BOB.encode()) == ["regulars.db"]
    assert collector.stop() == 0
