"""Whatever is sent to any address of the API gets an answer that the document speaks of (T13).

schemathesis reads `/openapi.json` of a running collector and asks every address what fits the document and what does
not: with no key, with one that opens nothing, with one that opens everything, and the last also about what there is:
people, merges, refused events. With REGULARS_SOAK=1 it takes its time.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server import ORIGIN, Collector
from tests.unit.wire_samples import event

IS_SOAK = os.environ.get("REGULARS_SOAK") == "1"
MORE = 50 if IS_SOAK else 1  # times as many
TWINS = () if IS_SOAK else ("--exclude-path-regex", "^/server/")  # the same endpoints under another name
HELD = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth"
)
EMAIL = "ada@analytical.example"


@dataclass(frozen=True)
class Shop:
    """A running collector with a few people. `known` are ids of what there is, by the name of the parameter."""

    collector: Collector
    write_key: str
    secrets: dict[str, str]
    known: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, secret: str = "") -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}", "Origin": ORIGIN}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.collector.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    collector = Collector(tmp_path_factory.mktemp("fuzzed"))
    keys = collector.add_site()
    shop = Shop(collector, keys.write_key, {"everything": keys.secret_key}, {})
    collector.start()
    try:
        made = shop.ask("POST", "/api/v1/keys", {"name": "bare", "scopes": []}, keys.secret_key)
        shop.secrets["nothing"] = made["secret_key"]
        for cid in ("ada-1", "bob-1", "eve-1"):
            visitor = event()
            shop.ask("POST", f"/v1/collect?site={keys.write_key}", {"events": [visitor, event(seq="x", email=EMAIL)]})
            said = {"uid": visitor["uid"], "cid": cid, "email": f"{cid}@analytical.example"}
            person = shop.ask("POST", "/api/v1/identify", said, keys.secret_key)
        (row, *_) = shop.ask("GET", "/api/v1/quarantine", secret=keys.secret_key)["items"]
        shop.known.update(profile_id=person["profile_id"], quarantine_id=str(row["id"]), key_id=made["key_id"])
        shop.known["merge_id"] = "1"
        yield shop
        assert '"level": "error"' not in collector.log.read_text(), collector.last_words()
        assert collector.stop() == 0
    finally:
        collector.close()


def configuration(shop: Shop, secret: str, known: dict[str, str]) -> str:
    """How schemathesis is told of keys and ids."""
    lines = [f'[auth.openapi.secretKey]\nbearer = "{secret}"'] if secret else []
    if secret:
        lines.append(f'[auth.openapi.writeKey]\napi_key = "{shop.write_key}"')
    if known:
        lines.append("[parameters]\n" + "\n".join(f'"path.{name}" = "{value}"' for name, value in known.items()))
    return "\n".join(lines)


def attack(shop: Shop, folder: Path, configured: str, examples: int, *chosen: str) -> None:
    """Ask every address `examples` things; `chosen` are further options."""
    seed = int(os.environ.get("REGULARS_SEED", "0")) or random.randrange(1, 2**31)
    file = folder / "schemathesis.toml"
    file.write_text(configured)
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(file), "--no-color",
        "run", f"{shop.collector.url}/openapi.json", "--max-examples", str(examples * MORE),
        "--seed", str(seed), "--request-timeout", "20", "--generation-database", "none", "--continue-on-failure",
        *TWINS, *chosen,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300 * MORE)
    found = done.stdout.partition("FAILURES")[2] or done.stdout[-6000:]
    print(f"REGULARS_SEED={seed}")  # noqa: T201 - pytest shows it where the test fails
    assert done.returncode == 0, f"REGULARS_SEED={seed}\n{found[:6000]}\n{done.stderr[-2000:]}"
    asked = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", done.stdout)
    assert asked is not None
    assert int(asked[1]) == int(asked[2]) > 15, "every address was asked"


@pytest.mark.parametrize("opens", ["no key", "nothing"])
def test_whoever_may_do_nothing_is_told_so_as_the_document_says(shop: Shop, tmp_path: Path, opens: str) -> None:
    configured = configuration(shop, shop.secrets.get(opens, ""), {})
    attack(shop, tmp_path, configured, 4, "--phases", "fuzzing", "--checks", HELD)


def test_every_answer_is_one_that_the_document_speaks_of(shop: Shop, tmp_path: Path) -> None:
    configured = configuration(shop, shop.secrets["everything"], {})
    attack(shop, tmp_path, configured, 6, "--phases", "coverage,fuzzing", "--checks", HELD)


def test_answers_about_what_there_is_fit_too(shop: Shop, tmp_path: Path) -> None:
    configured = configuration(shop, shop.secrets["everything"], shop.known)
    attack(shop, tmp_path, configured, 8, "--phases", "fuzzing", "--checks", HELD)


def test_servers_are_told_of_every_slip(shop: Shop, tmp_path: Path) -> None:
    configured = configuration(shop, shop.secrets["everything"], {})
    addresses = ("--include-path-regex", "^/(api|backend|server)/")
    checks = ("--phases", "fuzzing", "--mode", "negative", "--checks", "negative_data_rejection")
    attack(shop, tmp_path, configured, 8, *checks, *addresses)
