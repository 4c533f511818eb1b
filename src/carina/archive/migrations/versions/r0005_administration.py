"""Administration: requests for accounts, break-glass, result objects of films; where sessions come from."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ENTRY = sa.String(32)
_ID = sa.String(128)
_TIME = sa.Float(53)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"
_FILM = "desk_films.entry_id"


def upgrade() -> None:
    """Create the tables and columns."""
    for table, column in _added():
        op.add_column(table, column)
    op.create_table(
        "account_requests",
        _serial("request_id"),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _needed("name", _ID),
        _needed("full_name", _ID),
        _needed("contact", sa.Text()),
        sa.Column("password_hash", sa.Text()),
        _needed("state", sa.String(16)),
        _needed("asked_at", _TIME),
        sa.Column("decided_at", _TIME),
        sa.Column("decided_by", _SERIAL, sa.ForeignKey(_USER)),
        sa.Column("reason", sa.Text()),
    )
    op.create_index("ix_account_requests_state", "account_requests", ["organisation_id", "state"])
    op.create_table(
        "glass_breaks",
        _serial("break_id"),
        _link("user_id", _SERIAL, _USER),
        _link("home_id", _SERIAL, _ORGANISATION),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _link("entry_id", _ENTRY, _FILM),
        sa.Column("patient_id", _ID),
        _needed("reason", sa.Text()),
        _needed("at", _TIME),
        _needed("until_at", _TIME),
        sa.Column("seen_at", _TIME),
        sa.Column("seen_by", _SERIAL, sa.ForeignKey(_USER)),
    )
    op.create_index("ix_glass_breaks_user", "glass_breaks", ["user_id", "until_at"])
    op.create_index("ix_glass_breaks_organisation", "glass_breaks", ["organisation_id", "at"])
    op.create_index("ix_glass_breaks_home", "glass_breaks", ["home_id", "at"])
    op.create_table(
        "result_objects",
        _serial("object_id"),
        _link("organisation_id", _SERIAL, _ORGANISATION),
        _link("entry_id", _ENTRY, _FILM),
        _needed("model_sha256", _HASH),
        _needed("kind", sa.String(32)),
        _needed("study_uid", _ID),
        _needed("series_uid", _ID),
        _needed("sop_class_uid", _ID),
        _needed("sop_instance_uid", _ID),
        _needed("path", sa.Text()),
        _needed("size", sa.BigInteger()),
        _needed("made_at", _TIME),
        sa.UniqueConstraint("organisation_id", "sop_instance_uid"),
    )
    op.create_index("ix_result_objects_study", "result_objects", ["organisation_id", "study_uid"])
    op.create_index("ix_result_objects_entry", "result_objects", ["entry_id"])


def downgrade() -> None:
    """Remove them with their content."""
    for table in ("result_objects", "glass_breaks", "account_requests"):
        op.drop_table(table)
    for table, column in reversed(_added()):
        op.drop_column(table, str(column.name))


def _added() -> list[tuple[str, sa.Column[Any]]]:
    return [
        ("organisations", sa.Column("takes_requests", sa.Boolean(), nullable=False, server_default=sa.false())),
        ("sessions", sa.Column("address", sa.String(64))),
        ("sessions", sa.Column("agent", sa.String(200))),
        ("api_tokens", sa.Column("used_at", _TIME)),
    ]


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, _SERIAL, primary_key=True, autoincrement=True)


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _link(name: str, kind: sa.types.TypeEngine[Any], target: str) -> sa.Column[Any]:
    return sa.Column(name, kind, sa.ForeignKey(target), nullable=False)
