"""Bring a database to the schema of this version, under a lock, resuming where an earlier attempt stopped."""

from __future__ import annotations

from importlib import resources

from sqlalchemy import Connection, inspect, text

from collector.store.database import Database
from collector.store.locks import MIGRATION, lock_alone

HEAD = "0001"


class NewerSchema(RuntimeError):
    """The database was written by a newer version; this one must not touch it."""


def fetch_revision(conn: Connection) -> str | None:
    """The revision that the database is at, None for an empty one."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    revision = conn.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def migrate(database: Database) -> tuple[str | None, str]:
    """`upgrade` in the calling thread."""
    return database.transact(upgrade)


def upgrade(conn: Connection) -> tuple[str | None, str]:
    """Migrate to HEAD and return (revision before, revision now). Raises `NewerSchema`.

    One transaction holds a lock from the first look to the last statement, so that two processes that start at once do
    not both migrate, and one that is killed leaves the database as it was.
    """
    lock_alone(conn, MIGRATION)
    before = fetch_revision(conn)
    if before != HEAD:
        _run_alembic(conn, before)
    return before, HEAD


def _run_alembic(conn: Connection, before: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - half a second that a start without a migration does not pay
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(resources.files("collector.store") / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise NewerSchema(f"the database is at revision {before}, which this version does not know; upgrade Regulars")
    config.attributes["connection"] = conn
    command.upgrade(config, HEAD)
