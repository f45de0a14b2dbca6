"""The requirement files pin what pyproject.toml asks for, with hashes, from no particular index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
RUNTIME = PROJECT["project"]["dependencies"]
DEVELOPMENT = [entry for entry in GROUPS["dev"] if isinstance(entry, str)]

LOCKS = {
    "requirements.txt": RUNTIME + GROUPS["demo"],
    "requirements-build.txt": GROUPS["build"],
    "requirements-dev.txt": RUNTIME + GROUPS["demo"] + GROUPS["build"] + DEVELOPMENT,
    "requirements-node.txt": GROUPS["node"],
}


def pinned(name: str) -> dict[str, str]:
    """Distribution → version, of one requirement file."""
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_project_asks_for_is_pinned(name: str) -> None:
    versions = pinned(name)
    asked = [Requirement(line) for line in LOCKS[name]]
    unmet = [str(r) for r in asked if versions.get(canonicalize_name(r.name), "0") not in r.specifier]
    assert unmet == [], f"run `make lock`: {name} does not hold {unmet}"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(re.findall(r"==[^\n]* \\\n    --hash=sha256:", text)) == len(pinned(name))
    assert not re.search(r"://|^-", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_production_runs_what_was_tested(name: str) -> None:
    assert pinned(name).items() <= pinned("requirements-dev.txt").items()
