"""Tables of a service study behind its study and equity pages: jobs, approvals, reading models, people, programmes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from carina.archive.tables import Base

__all__ = ["ActivationRow", "ApprovalRow", "DeskProgrammeRow", "PersonRow", "ProgrammeRow", "StudyJobRow"]

_HASH = String(64)
_ENTRY = String(32)
_TIME = Float(53)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"


class StudyJobRow(Base):
    """A verb of the command line that a user started from a study's page."""

    __tablename__ = "study_jobs"
    __table_args__ = (
        Index("ix_study_jobs_study", "study", "ordered_at"),
        Index("ix_study_jobs_state", "state", "ordered_at"),
    )

    job_id: Mapped[str] = mapped_column(_ENTRY, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    study: Mapped[str] = mapped_column(String(64))
    verb: Mapped[str] = mapped_column(String(16))
    choices: Mapped[dict[str, str]] = mapped_column(JSON)
    run: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    ordered_at: Mapped[float] = mapped_column(_TIME)
    started_at: Mapped[float | None] = mapped_column(_TIME)
    ended_at: Mapped[float | None] = mapped_column(_TIME)
    holder: Mapped[str | None] = mapped_column(_ENTRY)
    held_until: Mapped[float] = mapped_column(_TIME)
    cancelled_by: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    exit_status: Mapped[int | None] = mapped_column(Integer)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    log: Mapped[str] = mapped_column(Text)


class ApprovalRow(Base):
    """One entry of a study's approvals record; the database refuses to change or remove it."""

    __tablename__ = "study_approvals"
    __table_args__ = (Index("ix_study_approvals_study", "study", "approval_id"),)

    approval_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    study: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(128))
    body: Mapped[str] = mapped_column(String(128))
    decided_on: Mapped[str] = mapped_column(String(10))
    expires_on: Mapped[str | None] = mapped_column(String(10))
    note: Mapped[str] = mapped_column(Text)
    replaces: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey("study_approvals.approval_id"))
    withdrawn: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[float] = mapped_column(_TIME)


class ActivationRow(Base):
    """A model proposed to read, and what became of the proposal; without a path, the model that the settings name."""

    __tablename__ = "model_activations"
    __table_args__ = (Index("ix_model_activations_state", "state", "activation_id"),)

    activation_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    path: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(64))
    model_sha256: Mapped[str] = mapped_column(_HASH)
    bundle_sha256: Mapped[str] = mapped_column(_HASH)
    origin: Mapped[str] = mapped_column(Text)
    verdicts: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    proposed_at: Mapped[float] = mapped_column(_TIME)
    decided_by: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    decided_at: Mapped[float | None] = mapped_column(_TIME)
    decision_reason: Mapped[str | None] = mapped_column(Text)


class PersonRow(Base):
    """What an organisation's hospital records say of a patient."""

    __tablename__ = "desk_people"

    organisation_id: Mapped[int] = mapped_column(
        _SERIAL, ForeignKey(_ORGANISATION), primary_key=True, autoincrement=False
    )
    patient_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    ethnicity: Mapped[str | None] = mapped_column(String(16))
    sex: Mapped[str | None] = mapped_column(String(1))
    birth_date: Mapped[str | None] = mapped_column(String(10))
    linked_at: Mapped[float] = mapped_column(_TIME)


class ProgrammeRow(Base):
    """An access programme of an organisation; its rule never changes, it is ended and another begun."""

    __tablename__ = "access_programmes"
    __table_args__ = (Index("ix_access_programmes_organisation", "organisation_id", "ended_at"),)

    programme_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    name: Mapped[str] = mapped_column(String(64))
    sentence: Mapped[str] = mapped_column(Text)
    ethnicities: Mapped[list[str]] = mapped_column(JSON)
    youngest: Mapped[int | None] = mapped_column(Integer)
    oldest: Mapped[int | None] = mapped_column(Integer)
    on_request: Mapped[bool] = mapped_column(Boolean)
    added_by: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    added_at: Mapped[float] = mapped_column(_TIME)
    ended_by: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    ended_at: Mapped[float | None] = mapped_column(_TIME)


class DeskProgrammeRow(Base):
    """A film that an access programme covers: by its rule, or because a user asked for it."""

    __tablename__ = "desk_programmes"
    __table_args__ = (Index("ix_desk_programmes_programme", "organisation_id", "programme_id"),)

    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey("desk_films.entry_id"), primary_key=True)
    programme_id: Mapped[int] = mapped_column(
        _SERIAL, ForeignKey("access_programmes.programme_id"), primary_key=True, autoincrement=False
    )
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    how: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    at: Mapped[float] = mapped_column(_TIME)
