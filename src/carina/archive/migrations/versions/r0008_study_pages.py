"""Study jobs, the append-only approvals record, reading models, people from records, access programmes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_HASH = sa.String(64)
_ENTRY = sa.String(32)
_NAME = sa.String(128)
_TIME = sa.Float(53)
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"
_APPROVALS = "study_approvals"


def upgrade() -> None:
    """Create the tables, and the triggers of the one that is append-only."""
    _jobs()
    _approvals()
    _activations()
    op.create_table(
        "desk_people",
        sa.Column("organisation_id", _SERIAL, sa.ForeignKey(_ORGANISATION), primary_key=True, autoincrement=False),
        sa.Column("patient_id", _NAME, primary_key=True),
        sa.Column("ethnicity", sa.String(16)),
        sa.Column("sex", sa.String(1)),
        sa.Column("birth_date", sa.String(10)),
        _needed("linked_at", _TIME),
    )
    _programmes()


def downgrade() -> None:
    """Remove the tables with their content."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {_APPROVALS}_append_only ON {_APPROVALS}")
    for table in (
        "desk_programmes",
        "access_programmes",
        "desk_people",
        "model_activations",
        _APPROVALS,
        "study_jobs",
    ):
        op.drop_table(table)


def _jobs() -> None:
    op.create_table(
        "study_jobs",
        sa.Column("job_id", _ENTRY, primary_key=True),
        _link("organisation_id", _ORGANISATION),
        _link("user_id", _USER),
        _needed("study", sa.String(64)),
        _needed("verb", sa.String(16)),
        _needed("choices", sa.JSON()),
        _needed("run", _NAME),
        _needed("state", sa.String(16)),
        _needed("attempts", sa.Integer()),
        _needed("ordered_at", _TIME),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("holder", _ENTRY),
        _needed("held_until", _TIME),
        _link("cancelled_by", _USER, nullable=True),
        sa.Column("exit_status", sa.Integer()),
        sa.Column("progress", sa.JSON()),
        _needed("log", sa.Text()),
    )
    op.create_index("ix_study_jobs_study", "study_jobs", ["study", "ordered_at"])
    op.create_index("ix_study_jobs_state", "study_jobs", ["state", "ordered_at"])


def _approvals() -> None:
    op.create_table(
        _APPROVALS,
        _serial("approval_id"),
        _link("organisation_id", _ORGANISATION),
        _link("user_id", _USER),
        _needed("study", sa.String(64)),
        _needed("kind", sa.String(32)),
        _needed("reference", _NAME),
        _needed("body", _NAME),
        _needed("decided_on", sa.String(10)),
        sa.Column("expires_on", sa.String(10)),
        _needed("note", sa.Text()),
        _link("replaces", f"{_APPROVALS}.approval_id", nullable=True),
        _needed("withdrawn", sa.Boolean()),
        _needed("at", _TIME),
    )
    op.create_index("ix_study_approvals_study", _APPROVALS, ["study", "approval_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {_APPROVALS}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {_APPROVALS} "
            "FOR EACH STATEMENT EXECUTE FUNCTION carina_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {_APPROVALS}_no_{verb.lower()} BEFORE {verb} ON {_APPROVALS} "
            "BEGIN SELECT RAISE(ABORT, 'this table is append-only'); END"
        )


def _activations() -> None:
    op.create_table(
        "model_activations",
        _serial("activation_id"),
        sa.Column("path", sa.Text()),
        _needed("name", _NAME),
        _needed("version", sa.String(64)),
        _needed("model_sha256", _HASH),
        _needed("bundle_sha256", _HASH),
        _needed("origin", sa.Text()),
        _needed("verdicts", sa.JSON()),
        _needed("state", sa.String(16)),
        _needed("reason", sa.Text()),
        _link("proposed_by", _USER),
        _needed("proposed_at", _TIME),
        _link("decided_by", _USER, nullable=True),
        sa.Column("decided_at", _TIME),
        sa.Column("decision_reason", sa.Text()),
    )
    op.create_index("ix_model_activations_state", "model_activations", ["state", "activation_id"])


def _programmes() -> None:
    op.create_table(
        "access_programmes",
        _serial("programme_id"),
        _link("organisation_id", _ORGANISATION),
        _needed("name", sa.String(64)),
        _needed("sentence", sa.Text()),
        _needed("ethnicities", sa.JSON()),
        sa.Column("youngest", sa.Integer()),
        sa.Column("oldest", sa.Integer()),
        _needed("on_request", sa.Boolean()),
        _link("added_by", _USER),
        _needed("added_at", _TIME),
        _link("ended_by", _USER, nullable=True),
        sa.Column("ended_at", _TIME),
    )
    op.create_index("ix_access_programmes_organisation", "access_programmes", ["organisation_id", "ended_at"])
    op.create_table(
        "desk_programmes",
        sa.Column("entry_id", _ENTRY, sa.ForeignKey("desk_films.entry_id"), primary_key=True),
        sa.Column(
            "programme_id",
            _SERIAL,
            sa.ForeignKey("access_programmes.programme_id"),
            primary_key=True,
            autoincrement=False,
        ),
        _link("organisation_id", _ORGANISATION),
        _needed("how", sa.String(16)),
        _link("user_id", _USER, nullable=True),
        _needed("at", _TIME),
    )
    op.create_index("ix_desk_programmes_programme", "desk_programmes", ["organisation_id", "programme_id"])


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, _SERIAL, primary_key=True, autoincrement=True)


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _link(name: str, target: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _SERIAL, sa.ForeignKey(target), nullable=nullable)
