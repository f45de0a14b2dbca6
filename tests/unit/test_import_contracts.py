"""The import directions hold, and every one of them can be broken: a rule that cannot fail protects nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

# (module that gets the line, the line, what is said about it, first word of the contract that it breaks)
VIOLATIONS = [
    ("collector/app.py", "import collector.cli", "collector.app -> collector.cli", "Layers"),
    ("collector/web/__init__.py", "import collector.app", "collector.web -> collector.app", "Layers"),
    ("collector/recorder/__init__.py", "import collector.web", "collector.recorder -> collector.web", "Layers"),
    ("collector/store/__init__.py", "import collector.recorder", "collector.store -> collector.recorder", "Layers"),
    ("collector/store/__init__.py", "import collector.wire", "collector.store -> collector.wire", "Layers"),
    ("collector/domain/site.py", "import collector.wire", "collector.domain.site -> collector.wire", "Layers"),
    ("collector/elsewhere.py", "", "not listed as layers: - collector.elsewhere", "Layers"),
    ("collector/web/__init__.py", "import collector.config", "collector.web -> collector.config", "Only"),
    ("collector/domain/site.py", "import time", "collector.domain.site -> time", "The domain"),
    ("collector/domain/site.py", "from os import environ", "collector.domain.site -> os", "The domain"),
    ("collector/domain/site.py", "def f(): import sqlalchemy", "collector.domain.site -> sqlalchemy", "The domain"),
    ("collector/recorder/__init__.py", "from aiohttp import web", "collector.recorder -> aiohttp", "Bytes"),
    ("collector/web/__init__.py", "from sqlalchemy import select", "collector.web -> sqlalchemy", "SQL"),
    ("demo_site/__init__.py", "from collector.domain import site", "demo_site -> collector.domain.site", "The demo"),
    ("collector/web/__init__.py", "import demo_site", "collector.web -> demo_site", "The collector"),
]


def lint_imports(folder: Path) -> tuple[int, str]:
    """Exit status and report of import-linter run in `folder`; white space is folded, for it wraps long lines."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def copy_packages(folder: Path) -> Path:
    """Put what the contracts speak of into `folder`, where it may be spoilt."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("collector", "demo_site"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy that holds every violation."""
    folder = copy_packages(tmp_path_factory.mktemp("spoilt"))
    for module, line, _, _ in VIOLATIONS:
        with (folder / module).open("a") as source:
            source.write(f"\n{line}\n")
    status, text = lint_imports(folder)
    assert status == 1, text
    return text


def test_every_contract_is_kept(tmp_path: Path) -> None:
    status, text = lint_imports(copy_packages(tmp_path))
    assert status == 0, text


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_can_be_broken(report: str, contract: str) -> None:
    assert f"{contract} BROKEN" in report
    assert any(contract.startswith(words) for _, _, _, words in VIOLATIONS)


@pytest.mark.parametrize(("said", "words"), [violation[2:] for violation in VIOLATIONS])
def test_a_forbidden_import_is_found(report: str, said: str, words: str) -> None:
    broken = report.partition("Broken contracts")[2]
    sections = {name: broken.find(f"{name} ---") for name in CONTRACTS}
    start = next(place for name, place in sections.items() if name.startswith(words))
    end = min((place for place in sections.values() if place > start), default=len(broken))
    assert said in broken[start:end]
