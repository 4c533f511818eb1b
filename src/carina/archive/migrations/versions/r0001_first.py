"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ID = sa.String(128)
_AT = sa.String(32)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INDEXED = ("sop_instance_uid", "patient_id", "accession_number", "pixels_sha256")


def upgrade() -> None:
    """Create every table."""
    op.create_table("meta", sa.Column("key", sa.String(32), primary_key=True), _text("value"))
    _films()
    op.create_table(
        "ledger",
        sa.Column("source_key", _HASH, primary_key=True),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text()),
        sa.Column("film_id", _HASH),
        sa.Column("run_id", _SERIAL, nullable=False),
        sa.Column("at", _AT, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("started_at", _AT, nullable=False),
        sa.Column("ended_at", _AT),
    )
    op.create_table(
        "record_sets",
        sa.Column("record_set_id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("table_name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("path"),
        sa.Column("sha256", _HASH, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("loaded_at", _AT, nullable=False),
        sa.UniqueConstraint("table_name", "version"),
    )
    _labels()
    op.create_table(
        "audit",
        sa.Column("sequence", _SERIAL, primary_key=True, autoincrement=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        _text("details"),
        sa.Column("previous", _HASH, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
    )


def downgrade() -> None:
    """Remove every table."""
    for table in ("audit", "label_changes", "labels", "record_sets", "runs", "ledger", "films", "meta"):
        op.drop_table(table)


def _films() -> None:
    op.create_table(
        "films",
        sa.Column("film_id", _HASH, primary_key=True),
        _text("path"),
        *(
            sa.Column(name, _ID)
            for name in ("patient_id", "study_uid", "series_uid", "sop_instance_uid", "accession_number")
        ),
        sa.Column("acquired_at", sa.DateTime()),
        sa.Column("series_number", sa.BigInteger()),
        sa.Column("instance_number", sa.BigInteger()),
        *(
            sa.Column(name, sa.Text())
            for name in ("view_position", "series_description", "protocol_name", "manufacturer", "model_name")
        ),
        sa.Column("age_years", sa.Float()),
        sa.Column("sex", sa.String(16)),
        sa.Column("modality", sa.String(16)),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("refusal", sa.Text()),
        sa.Column("perceptual_hash", _HASH),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("corrected", sa.Text()),
        sa.Column("pixels_sha256", _HASH, nullable=False),
        sa.Column("stored_at", _AT, nullable=False),
    )
    for column in _INDEXED:
        op.create_index(f"ix_films_{column}", "films", [column])


def _labels() -> None:
    op.create_table(
        "labels",
        sa.Column("film_id", _HASH, primary_key=True),
        _text("label"),
        sa.Column("labelled_at", _AT, nullable=False),
    )
    op.create_table(
        "label_changes",
        sa.Column("change_id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("film_id", _HASH, nullable=False),
        sa.Column("old", sa.Text()),
        sa.Column("new", sa.Text()),
        _text("reason"),
        sa.Column("changed_at", _AT, nullable=False),
    )
    op.create_index("ix_label_changes_film_id", "label_changes", ["film_id"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
