"""T22: each protection is taken off, one at a time, and the test that is meant to notice goes red."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.nets import NETS
from tests.faults.server import ROOT
from tests.postgresql import Cluster


@pytest.mark.parametrize("name", NETS)
def test_a_test_goes_red_without(name: str, postgresql: Cluster) -> None:
    plugin = ["-p", "tests.faults.nets", "--without", name, "--cluster", f"{postgresql.folder}:{postgresql.port}"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, NETS[name].red]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed" in done.stdout, done.stdout
    assert "error" not in done.stdout.splitlines()[-1], done.stdout
