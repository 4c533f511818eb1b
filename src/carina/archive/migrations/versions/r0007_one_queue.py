"""One queue: films that peers send wait at the desk; the outbox holds every step after the reading."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ID = sa.String(128)


def upgrade() -> None:
    """Remove the second table of received films, whose files stay in the store; index what is asked for."""
    op.drop_table("received")
    op.drop_index("ix_outbox_state", "outbox")
    op.create_index("ix_outbox_state", "outbox", ["state", "kind", "next_at"])
    op.create_index("ix_desk_films_instance", "desk_films", ["organisation_id", "sop_instance_uid"])


def downgrade() -> None:
    """Bring the table back, empty."""
    op.drop_index("ix_desk_films_instance", "desk_films")
    op.drop_index("ix_outbox_state", "outbox")
    op.create_index("ix_outbox_state", "outbox", ["state", "next_at"])
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
        sa.Column("received_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_received_state", "received", ["state", "attempts"])
    op.create_index("ix_received_uid", "received", ["sop_instance_uid"])
