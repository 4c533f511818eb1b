"""Tables of a service study: organisations, users, sessions, tokens, films at the desk, results and doctors' reads."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ENTRY = sa.String(32)
_ID = sa.String(128)
_TIME = sa.Float(53)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WORD = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"
_FILM = "desk_films.entry_id"
_TABLES = (
    "desk_reads",
    "desk_results",
    "desk_words",
    "desk_films",
    "api_tokens",
    "sessions",
    "sign_in_failures",
    "users",
    "organisations",
)
_INDEXES = {
    "due": ("organisation_id", "due_at", "entry_id"),
    "received": ("organisation_id", "received_at", "entry_id"),
    "state_due": ("organisation_id", "state", "due_at", "entry_id"),
    "state_received": ("organisation_id", "state", "received_at", "entry_id"),
    "decision_due": ("organisation_id", "decision", "due_at", "entry_id"),
    "decision_received": ("organisation_id", "decision", "received_at", "entry_id"),
    "referrer_due": ("organisation_id", "referrer_id", "due_at", "entry_id"),
    "referrer_received": ("organisation_id", "referrer_id", "received_at", "entry_id"),
    "study": ("organisation_id", "study_uid"),
    "patient": ("organisation_id", "patient_id"),
    "work": ("state", "claimed_until"),
}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "organisations",
        _serial("organisation_id"),
        sa.Column("name", _ID, nullable=False, unique=True),
        _needed("created_at", _TIME),
    )
    _people()
    _films()
    op.create_table(
        "desk_words",
        sa.Column("organisation_id", _SERIAL, primary_key=True, autoincrement=False),
        sa.Column("word", _WORD, primary_key=True),
        sa.Column("entry_id", _ENTRY, sa.ForeignKey(_FILM), primary_key=True),
    )
    op.create_table(
        "desk_results",
        _serial("result_id"),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _link("entry_id", _ENTRY, _FILM),
        _needed("model_sha256", _HASH),
        _needed("reading", sa.JSON()),
        _needed("files", sa.JSON()),
        _needed("seconds", _TIME),
        _needed("made_at", _TIME),
        sa.UniqueConstraint("entry_id", "model_sha256"),
    )
    op.create_table(
        "desk_reads",
        _serial("read_id"),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _link("entry_id", _ENTRY, _FILM),
        _link("user_id", _SERIAL, _USER),
        _needed("blind", sa.Boolean()),
        sa.Column("call", sa.String(64)),
        sa.Column("agrees", sa.Boolean()),
        sa.Column("comment", sa.Text()),
        _needed("at", _TIME),
    )
    op.create_index("ix_desk_reads_entry", "desk_reads", ["organisation_id", "entry_id"])


def downgrade() -> None:
    """Remove the tables with their content."""
    for table in _TABLES:
        op.drop_table(table)


def _people() -> None:
    op.create_table(
        "users",
        _serial("user_id"),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        sa.Column("name", _ID, nullable=False, unique=True),
        _needed("role", sa.String(32)),
        _needed("state", sa.String(16)),
        _needed("password_hash", sa.Text()),
        _needed("password_is_initial", sa.Boolean()),
        sa.Column("totp_secret", sa.String(64)),
        _needed("totp_step", sa.BigInteger()),
        _needed("created_at", _TIME),
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("key", _HASH, primary_key=True),
        _needed("failures", sa.Integer()),
        _needed("since", _TIME),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", _HASH, primary_key=True),
        _link("user_id", _SERIAL, _USER),
        _needed("form_token", sa.String(64)),
        _needed("stage", sa.String(16)),
        _needed("created_at", _TIME),
        _needed("seen_at", _TIME),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token_hash", _HASH, primary_key=True),
        _link("user_id", _SERIAL, _USER),
        _needed("label", sa.String(64)),
        _needed("scopes", sa.JSON()),
        _needed("created_at", _TIME),
        _needed("expires_at", _TIME),
    )
    for table, column in (
        ("users", "organisation_id"),
        ("sign_in_failures", "since"),
        ("sessions", "user_id"),
        ("sessions", "seen_at"),
        ("api_tokens", "user_id"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])


def _films() -> None:
    op.create_table(
        "desk_films",
        sa.Column("entry_id", _ENTRY, primary_key=True),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _needed("film_id", _HASH),
        _needed("path", sa.Text()),
        _needed("source", sa.String(64)),
        sa.Column("referrer_id", _SERIAL, sa.ForeignKey(_USER)),
        sa.Column("patient_id", _ID),
        sa.Column("patient_name", sa.Text()),
        *(sa.Column(name, _ID) for name in ("accession_number", "study_uid", "series_uid", "sop_instance_uid")),
        sa.Column("acquired_at", sa.String(32)),
        _needed("received_at", _TIME),
        _needed("due_at", _TIME),
        sa.Column("urgency", _TIME),
        _needed("state", sa.String(16)),
        sa.Column("decision", sa.String(64)),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text()),
        _needed("attempts", sa.Integer()),
        _needed("claimed_until", _TIME),
        sa.UniqueConstraint("organisation_id", "film_id"),
    )
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_desk_films_{name}", "desk_films", list(columns))


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, _SERIAL, primary_key=True, autoincrement=True)


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _link(name: str, kind: sa.types.TypeEngine[Any], target: str) -> sa.Column[Any]:
    return sa.Column(name, kind, sa.ForeignKey(target), nullable=False)
