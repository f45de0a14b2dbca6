"""asyncpg's errors as SQLAlchemy's, so that callers know one kind only; and which of them pass by themselves.

Messages about data are left out: they quote it.
"""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Serialization failure, deadlock: nothing is wrong with the transaction, others got in its way.
TRANSIENT = frozenset({"40001", "40P01"})
# By the class of the SQLSTATE; whatever is not listed says that the server cannot do it now.
KINDS: dict[str, type[DBAPIError]] = {
    "22": DataError,
    "23": IntegrityError,
    "42": ProgrammingError,
    "54": DataError,  # a limit of the engine, such as the size of an index entry
}


class ServerError(Exception):
    """What the server said, as far as it may be repeated. `sqlstate` is None where no server said anything."""

    def __init__(self, error: BaseException) -> None:
        self.sqlstate: str | None = getattr(error, "sqlstate", None)
        kind = type(error).__name__
        quotes = (self.sqlstate or "")[:2] in ("22", "23", "54")
        super().__init__(kind if quotes else f"{kind}: {str(error).splitlines()[0] if str(error) else ''}")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is begun again at once."""
    return getattr(error.orig, "sqlstate", None) in TRANSIENT


def translated(error: Exception) -> DBAPIError | None:
    """SQLAlchemy's error for one of asyncpg's, or of the way to the server; None for any other."""
    if isinstance(error, PoolTimeout):
        return OperationalError("connect", None, ServerError(error))
    origin: BaseException = error
    if isinstance(error, DBAPIError):
        adapted = error.orig
        if adapted is None or isinstance(adapted, ServerError) or adapted.__cause__ is None:
            return None
        origin = adapted.__cause__
    if isinstance(origin, asyncpg.PostgresError):
        kind = KINDS.get((origin.sqlstate or "")[:2], OperationalError)
        return kind("", None, ServerError(origin))
    if isinstance(origin, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return OperationalError("", None, ServerError(origin))
    return None
