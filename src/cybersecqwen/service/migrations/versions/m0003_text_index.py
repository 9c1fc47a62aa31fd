"""The index of three characters each by which SQLite finds what a description contains."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLE = """
CREATE VIRTUAL TABLE record_texts
USING fts5(text, content='records', content_rowid='id', tokenize='trigram')
"""
_ADD = "INSERT INTO record_texts (rowid, text) VALUES (new.id, new.text);"
_REMOVE = (
    "INSERT INTO record_texts (record_texts, rowid, text) VALUES ('delete', old.id, old.text);"
)
_TRIGGERS = (
    f"CREATE TRIGGER record_texts_insert AFTER INSERT ON records BEGIN {_ADD} END",
    f"CREATE TRIGGER record_texts_delete AFTER DELETE ON records BEGIN {_REMOVE} END",
    "CREATE TRIGGER record_texts_update AFTER UPDATE OF text ON records "
    f"BEGIN {_REMOVE} {_ADD} END",
)


def upgrade() -> None:
    """Create the index and keep it; PostgreSQL gets one of its own in 0008."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(_TABLE)
    op.execute("INSERT INTO record_texts (record_texts) VALUES ('rebuild')")
    for trigger in _TRIGGERS:
        op.execute(trigger)
