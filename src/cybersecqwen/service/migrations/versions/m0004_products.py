"""The products that records say are affected, and by which words a record is found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, empty for the records that are there, and the index of words."""
    op.add_column("records", sa.Column("affected", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("words", sa.String(length=510), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("words"),
    )
    op.create_table(
        "record_products",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"]),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"]),
        sa.PrimaryKeyConstraint("product_id", "record_id"),
    )
    op.create_index("ix_record_products_record_id", "record_products", ["record_id"], unique=False)
