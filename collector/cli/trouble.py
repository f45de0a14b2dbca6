"""What can go wrong in a command, as one line for the person at the terminal."""

from __future__ import annotations


class Trouble(Exception):
    """Something that the person at the terminal has to know; the message is the line."""


def explain_error(error: Exception) -> str | None:
    """The line for an error that is nobody's bug, None for one that is."""
    # Only now that something went wrong: a command that succeeds must not wait for these.
    from msgspec import ValidationError  # noqa: PLC0415
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415

    from collector.config import ConfigError  # noqa: PLC0415
    from collector.store.database import UnsupportedDatabase  # noqa: PLC0415
    from collector.store.migrate import NewerSchema  # noqa: PLC0415

    if isinstance(error, Trouble | ConfigError | UnsupportedDatabase | NewerSchema | ValidationError):
        return str(error)
    if isinstance(error, DatabaseError):
        return f"the database says: {str(error.orig).splitlines()[0]}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return None
