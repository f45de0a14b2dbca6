"""SQLite is told to count no memory before it begins."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes
import {imported}
import sqlite3
import _sqlite3

connection = sqlite3.connect(":memory:")
connection.execute("CREATE TABLE things (name TEXT)")
library = ctypes.CDLL(_sqlite3.__file__)
library.sqlite3_memory_used.restype = ctypes.c_int64
print(library.sqlite3_memory_used())
"""


def memory_that_sqlite_counts(imported: str) -> int:
    """What SQLite says that it uses in a process that imported this first."""
    program = PROGRAM.format(imported=imported)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_server_counts_none_of_sqlites_memory() -> None:
    assert memory_that_sqlite_counts("collector.app") == 0


def test_that_is_no_matter_of_course() -> None:
    assert memory_that_sqlite_counts("json") > 0
