"""Secrets of webhooks are encrypted, and no answer that is kept for a replay holds one."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_answers = sa.table(
    "idempotency_keys", *(sa.column(name, sa.String()) for name in ("actor", "key", "body"))
)


def upgrade() -> None:
    """Add the columns; the service encrypts what it finds in the old one, which stays."""
    op.add_column(
        "webhooks", sa.Column("encrypted_secret", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "webhooks",
        sa.Column("key_name", sa.String(length=12), nullable=False, server_default=""),
    )
    connection = op.get_bind()
    kept = sa.select(_answers).where(_answers.c.body.like('{"id":%,"secret":"%"}'))
    for actor, key, body in connection.execute(kept).all():
        without = json.dumps(json.loads(body) | {"secret": None}, separators=(",", ":"))
        this = sa.and_(_answers.c.actor == actor, _answers.c.key == key)
        connection.execute(sa.update(_answers).where(this).values(body=without))
