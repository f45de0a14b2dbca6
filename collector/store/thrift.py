"""SQLite without its statistics of memory.

SQLite counts each allocation under a lock, for a figure that nobody here asks for; Debian's allocates a great deal,
since it is built without lookaside buffers. It can be told not to, but only before Python's module has opened it.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

_CONFIG_MEMSTATUS = 9


def count_no_memory() -> bool:
    """Whether SQLite will do without; False where it has begun already, or its library cannot be called."""
    module = find_spec("_sqlite3")
    try:
        library = ctypes.CDLL(module.origin if module else None)
        return bool(library.sqlite3_config(_CONFIG_MEMSTATUS, 0) == 0)
    except (OSError, AttributeError):
        return False
