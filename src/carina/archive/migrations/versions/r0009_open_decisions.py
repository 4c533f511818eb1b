"""Open films of one decision, by receipt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NAME = "ix_desk_films_open_decision"


def upgrade() -> None:
    """Create the index."""
    where = sa.text("due_at < 1e11")
    columns = ["organisation_id", "decision", "received_at", "entry_id"]
    op.create_index(_NAME, "desk_films", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Remove it."""
    op.drop_index(_NAME, "desk_films")
