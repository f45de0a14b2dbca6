"""What is logged, as the running collector logs it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging
import structlog
from collector.app import configure_logging

configure_logging("info")
log = structlog.get_logger()
log.debug("too fine")
log.info("started", port=1)
logging.getLogger("library").warning("their words")


def fail(email):
    raise ValueError("ours")


try:
    fail("ada@" + "example.com")
except ValueError as error:
    log.error("request_failed", request_id="r1", exc_info=error)
"""


def test_logs_are_json_lines_on_stderr_and_show_no_values_of_variables() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    started, theirs, failed = (json.loads(line) for line in done.stderr.splitlines())
    assert (started["event"], started["level"], started["port"]) == ("started", "info", 1)
    assert (theirs["event"], theirs["level"]) == ("their words", "warning")
    assert (failed["event"], failed["request_id"]) == ("request_failed", "r1")
    assert "ValueError: ours" in failed["exception"]
    assert "ada@example.com" not in done.stderr
