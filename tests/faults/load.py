"""A handle on the clients of clients.py, which run in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.server import ROOT


@dataclass(frozen=True, slots=True)
class Summary:
    """What the clients saw: events acknowledged, answers by status, and answers that they should not have got."""

    acknowledged: int
    answers: dict[str, int]
    surprises: list[str]


@dataclass(frozen=True, slots=True)
class Load:
    """Running clients; `journals` is the folder in which they write down what was acknowledged."""

    process: subprocess.Popen[str]
    journals: Path

    def finish(self) -> Summary:
        """Lets every client bring its last batch home; returns their summary."""
        output, errors = self.process.communicate("", timeout=60)
        assert self.process.returncode == 0, errors
        return Summary(**json.loads(output))

    def acknowledged(self) -> list[str]:
        """Ids that clients were told are stored, as hex."""
        return [line.replace("-", "") for path in self.journals.glob("*.journal") for line in path.read_text().split()]


@contextmanager
def running_load(url: str, write_key: str, folder: Path, seed: int) -> Iterator[Load]:
    """Clients that send until they are told to finish; ended in any case."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.clients", url, write_key, str(folder), str(seed)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Load(process, folder)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
