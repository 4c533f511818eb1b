"""Blind reading: confidence and times of a call, when films were opened; open films by age; texture sheets."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ENTRY = sa.String(32)
_TIME = sa.Float(53)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"
_FILM = "desk_films.entry_id"


def upgrade() -> None:
    """Add columns, tables and indices."""
    op.add_column("desk_reads", sa.Column("confidence", _TIME))
    op.add_column("desk_reads", sa.Column("opened_at", _TIME))
    op.create_index("ix_desk_reads_blind", "desk_reads", ["entry_id", "user_id"], unique=True, **_where("blind"))
    op.create_index(
        "ix_desk_films_open", "desk_films", ["organisation_id", "received_at", "entry_id"], **_where("due_at < 1e11")
    )
    op.create_table(
        "desk_openings",
        sa.Column("entry_id", _ENTRY, sa.ForeignKey(_FILM), primary_key=True),
        sa.Column("user_id", _SERIAL, sa.ForeignKey(_USER), primary_key=True, autoincrement=False),
        sa.Column("organisation_id", _SERIAL, sa.ForeignKey(_ORGANISATION), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("output_at", _TIME),
    )
    op.create_table(
        "desk_sheets",
        sa.Column("entry_id", _ENTRY, sa.ForeignKey(_FILM), primary_key=True),
        sa.Column("organisation_id", _SERIAL, sa.ForeignKey(_ORGANISATION), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("content", sa.JSON()),
        sa.Column("files", sa.JSON()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", _TIME, nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
    )
    op.create_index("ix_desk_sheets_work", "desk_sheets", ["state", "claimed_until"])


def downgrade() -> None:
    """Remove them with their content."""
    op.drop_table("desk_sheets")
    op.drop_table("desk_openings")
    op.drop_index("ix_desk_films_open", "desk_films")
    op.drop_index("ix_desk_reads_blind", "desk_reads")
    op.drop_column("desk_reads", "opened_at")
    op.drop_column("desk_reads", "confidence")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
