"""What peers stored here, and what they are owed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ID = sa.String(128)
_AT = sa.String(32)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "received",
        sa.Column("sha256", _HASH, primary_key=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sop_class_uid", _ID, nullable=False),
        sa.Column("sop_instance_uid", _ID, nullable=False),
        sa.Column("peer", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("received_at", _AT, nullable=False),
    )
    op.create_index("ix_received_state", "received", ["state", "attempts"])
    op.create_index("ix_received_uid", "received", ["sop_instance_uid"])
    op.create_table(
        "outbox",
        sa.Column("item_id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("peer", sa.String(16), nullable=False),
        sa.Column("sop_class_uid", _ID, nullable=False),
        sa.Column("sop_instance_uid", _ID, nullable=False),
        sa.Column("path", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("sent_at", _AT),
        sa.UniqueConstraint("kind", "peer", "sop_instance_uid"),
    )
    op.create_index("ix_outbox_state", "outbox", ["state", "next_at"])


def downgrade() -> None:
    """Remove both tables."""
    op.drop_table("outbox")
    op.drop_table("received")
