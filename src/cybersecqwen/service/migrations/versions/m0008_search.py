"""The indexes by which names are found, and descriptions on PostgreSQL: three characters each."""

from __future__ import annotations

import logging

from alembic import op
from sqlalchemy import text
from sqlalchemy.exc import NotSupportedError, ProgrammingError

revision = "0008"
down_revision = "0007"

_log = logging.getLogger(__name__)


def upgrade() -> None:
    """Create the index where PostgreSQL has what it takes; SQLite has one of descriptions."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute("CREATE INDEX records_by_name ON records (name COLLATE NOCASE)")
        return
    columns = "name gin_trgm_ops, text gin_trgm_ops"
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            connection.execute(
                text(f"CREATE INDEX records_by_trigrams ON records USING gin ({columns})")
            )
    except (ProgrammingError, NotSupportedError) as error:  # a lock that is not had is tried again
        _log.warning("searches will read every record: no pg_trgm in PostgreSQL: %s", error.orig)
