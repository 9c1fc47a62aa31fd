"""Which verdicts were given at once, so that they are undone at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column, empty for the verdicts that are there."""
    op.add_column(
        "reviews", sa.Column("bulk", sa.String(length=32), nullable=False, server_default="")
    )
    op.create_index("ix_reviews_bulk", "reviews", ["bulk"], unique=False)
