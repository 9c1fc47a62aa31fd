"""What several replicas share: values of the whole service, and the limits of clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
oldest = "0007"  # a version before it shares neither the locks of jobs nor the tokens of forms


def upgrade() -> None:
    """Create the tables; limits need not outlast a crash of the database."""
    op.create_table(
        "shared_values",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "rate_limit_buckets",
        sa.Column("client", sa.String(length=64), nullable=False),
        sa.Column("full_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("client"),
        prefixes=[] if op.get_bind().dialect.name == "sqlite" else ["UNLOGGED"],
    )
