"""Bring the schema of a database up to date, while processes of an older version go on with it.

A migration adds tables and columns, and takes nothing away that the version before it needs. One
that must take something away says from which revision on versions can work on what it leaves, as
`oldest = "0009"`; the database holds this, so that older versions know when their time is over.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, delete, insert, inspect, select, text
from sqlalchemy.exc import OperationalError

from cybersecqwen.errors import InputError
from cybersecqwen.service.tables import SharedValue

_MIGRATIONS = Path(__file__).parent / "migrations"
_OLDEST = "oldest schema"  # the name of the shared value
_TRIES = 15
_WAIT = 2000  # milliseconds, for a table that somebody reads
_BUSY = "55P03"  # PostgreSQL's code for a lock that was not free in time


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; of several processes that start at once, one does.

    A newer one stays, if this version can work on it: else it raises InputError.
    """
    for again in reversed(range(_TRIES)):
        try:
            with engine.execution_options(writing=True).begin() as connection:
                _migrate(connection)
            return
        except OperationalError as error:
            if not again or getattr(error.orig, "sqlstate", "") != _BUSY:
                raise


def _migrate(connection: Connection) -> None:
    scripts = _scripts()
    held = MigrationContext.configure(connection).get_current_revision()
    if held == scripts.get_current_head():
        return
    if held and not _is_known(held):
        check_schema(connection)
        return
    if connection.dialect.name == "postgresql":
        # Whoever wants a table waits behind a change of it that waits for a long reading.
        connection.execute(text(f"SET LOCAL lock_timeout = {_WAIT}"))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    oldest = max(getattr(script.module, "oldest", "") for script in scripts.walk_revisions())
    connection.execute(delete(SharedValue).where(SharedValue.name == _OLDEST))
    connection.execute(insert(SharedValue).values(name=_OLDEST, value=oldest))


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(_MIGRATIONS)


def _is_known(revision: str) -> bool:
    try:
        return _scripts().get_revision(revision) is not None
    except CommandError:
        return False


def check_schema(connection: Connection) -> None:
    """Raise InputError where a newer version has made a schema that this one cannot work on."""
    own, oldest = str(_scripts().get_current_head()), None
    if inspect(connection).has_table(SharedValue.__tablename__):
        oldest = connection.scalar(select(SharedValue.value).where(SharedValue.name == _OLDEST))
    if oldest is None or own < oldest:
        needed = (
            f"it is for {oldest} and newer, and this is {own}" if oldest else "or is none of ours"
        )
        raise InputError(
            f"the database has a schema that this version does not know: {needed}",
            where=connection.engine.url.render_as_string(),
            tip="start the version of cybersecqwen that wrote it, or a newer one",
        )
