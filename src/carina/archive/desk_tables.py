"""Tables of a service study: who may sign in, which films wait, what was read and what doctors said of it.

Every row that is about a patient carries its organisation; `carina.archive.desk` asks for it in every query.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from carina.archive.tables import Base

__all__ = [
    "AccountRequestRow",
    "DeskFilmRow",
    "DeskOpeningRow",
    "DeskReadRow",
    "DeskResultRow",
    "DeskSheetRow",
    "DeskWordRow",
    "FailureRow",
    "GlassRow",
    "OrganisationRow",
    "ResultObjectRow",
    "SessionRow",
    "TokenRow",
    "UserRow",
]

_HASH = String(64)
_ENTRY = String(32)
_ID = String(128)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")
_WORD = String(64).with_variant(String(64, collation="C"), "postgresql")  # compared byte by byte, as prefixes are
_ORGANISATION = "organisations.organisation_id"
_USER = "users.user_id"
_FILM = "desk_films.entry_id"


def _where(condition: str) -> dict[str, Any]:
    """Of an index over some rows alone, in either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class OrganisationRow(Base):
    """A district; its films are seen by its own users alone."""

    __tablename__ = "organisations"

    organisation_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    created_at: Mapped[float] = mapped_column(Float(53))
    takes_requests: Mapped[bool] = mapped_column(Boolean, server_default=false())


class UserRow(Base):
    """A person who may sign in."""

    __tablename__ = "users"

    user_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION), index=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    role: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    password_is_initial: Mapped[bool] = mapped_column(Boolean)
    totp_secret: Mapped[str | None] = mapped_column(String(64))
    totp_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(Float(53))


class FailureRow(Base):
    """Failed sign-ins by one device, or by all unknown ones, against one name; the key is a hash."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(_HASH, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    since: Mapped[float] = mapped_column(Float(53), index=True)


class SessionRow(Base):
    """One signed-in browser; the cookie's hash alone is kept."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(_HASH, primary_key=True)
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER), index=True)
    form_token: Mapped[str] = mapped_column(String(64))
    stage: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Float(53))
    seen_at: Mapped[float] = mapped_column(Float(53), index=True)
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str | None] = mapped_column(String(200))


class TokenRow(Base):
    """An API token; its hash alone is kept."""

    __tablename__ = "api_tokens"

    token_hash: Mapped[str] = mapped_column(_HASH, primary_key=True)
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER), index=True)
    label: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float(53))
    expires_at: Mapped[float] = mapped_column(Float(53))
    used_at: Mapped[float | None] = mapped_column(Float(53))


class DeskFilmRow(Base):
    """One film of one organisation, from its receipt on."""

    __tablename__ = "desk_films"
    __table_args__ = (
        UniqueConstraint("organisation_id", "film_id"),
        Index("ix_desk_films_due", "organisation_id", "due_at", "entry_id"),
        Index("ix_desk_films_received", "organisation_id", "received_at", "entry_id"),
        Index("ix_desk_films_state_due", "organisation_id", "state", "due_at", "entry_id"),
        Index("ix_desk_films_state_received", "organisation_id", "state", "received_at", "entry_id"),
        Index("ix_desk_films_decision_due", "organisation_id", "decision", "due_at", "entry_id"),
        Index("ix_desk_films_decision_received", "organisation_id", "decision", "received_at", "entry_id"),
        Index("ix_desk_films_referrer_due", "organisation_id", "referrer_id", "due_at", "entry_id"),
        Index("ix_desk_films_referrer_received", "organisation_id", "referrer_id", "received_at", "entry_id"),
        Index("ix_desk_films_study", "organisation_id", "study_uid"),
        Index("ix_desk_films_patient", "organisation_id", "patient_id"),
        Index("ix_desk_films_instance", "organisation_id", "sop_instance_uid"),
        Index("ix_desk_films_work", "state", "claimed_until"),
        Index("ix_desk_films_open", "organisation_id", "received_at", "entry_id", **_where("due_at < 1e11")),
        Index(
            "ix_desk_films_open_decision",
            *("organisation_id", "decision", "received_at", "entry_id"),
            **_where("due_at < 1e11"),
        ),
    )

    entry_id: Mapped[str] = mapped_column(_ENTRY, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    film_id: Mapped[str] = mapped_column(_HASH)
    path: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(64))
    referrer_id: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    patient_id: Mapped[str | None] = mapped_column(_ID)
    patient_name: Mapped[str | None] = mapped_column(Text)
    accession_number: Mapped[str | None] = mapped_column(_ID)
    study_uid: Mapped[str | None] = mapped_column(_ID)
    series_uid: Mapped[str | None] = mapped_column(_ID)
    sop_instance_uid: Mapped[str | None] = mapped_column(_ID)
    acquired_at: Mapped[str | None] = mapped_column(String(32))
    received_at: Mapped[float] = mapped_column(Float(53))
    due_at: Mapped[float] = mapped_column(Float(53))
    urgency: Mapped[float | None] = mapped_column(Float(53))
    state: Mapped[str] = mapped_column(String(16))
    decision: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    claimed_until: Mapped[float] = mapped_column(Float(53))


class DeskWordRow(Base):
    """A word by which a film is found: patient's id, accession number, a part of the name; lower case."""

    __tablename__ = "desk_words"

    organisation_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(_WORD, primary_key=True)
    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM), primary_key=True)


class DeskResultRow(Base):
    """What one model said of one film; its files lie in the store."""

    __tablename__ = "desk_results"
    __table_args__ = (UniqueConstraint("entry_id", "model_sha256"),)

    result_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM))
    model_sha256: Mapped[str] = mapped_column(_HASH)
    reading: Mapped[dict[str, Any]] = mapped_column(JSON)
    files: Mapped[dict[str, str]] = mapped_column(JSON)
    seconds: Mapped[float] = mapped_column(Float(53))
    made_at: Mapped[float] = mapped_column(Float(53))


class DeskReadRow(Base):
    """What one doctor said of one film."""

    __tablename__ = "desk_reads"
    __table_args__ = (
        Index("ix_desk_reads_entry", "organisation_id", "entry_id"),
        Index("ix_desk_reads_blind", "entry_id", "user_id", unique=True, **_where("blind")),
    )

    read_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM))
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    blind: Mapped[bool] = mapped_column(Boolean)
    call: Mapped[str | None] = mapped_column(String(64))
    agrees: Mapped[bool | None] = mapped_column(Boolean)
    comment: Mapped[str | None] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Float(53))
    confidence: Mapped[float | None] = mapped_column(Float(53))
    opened_at: Mapped[float | None] = mapped_column(Float(53))


class AccountRequestRow(Base):
    """Somebody who asks an organisation for a referrer's account; the password's hash goes once it was decided."""

    __tablename__ = "account_requests"
    __table_args__ = (Index("ix_account_requests_state", "organisation_id", "state"),)

    request_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    name: Mapped[str] = mapped_column(_ID)
    full_name: Mapped[str] = mapped_column(_ID)
    contact: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    asked_at: Mapped[float] = mapped_column(Float(53))
    decided_at: Mapped[float | None] = mapped_column(Float(53))
    decided_by: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))
    reason: Mapped[str | None] = mapped_column(Text)


class GlassRow(Base):
    """A radiologist who opened the films of another organisation's patient, and why."""

    __tablename__ = "glass_breaks"
    __table_args__ = (
        Index("ix_glass_breaks_user", "user_id", "until_at"),
        Index("ix_glass_breaks_organisation", "organisation_id", "at"),
        Index("ix_glass_breaks_home", "home_id", "at"),
    )

    break_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER))
    home_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM))
    patient_id: Mapped[str | None] = mapped_column(_ID)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Float(53))
    until_at: Mapped[float] = mapped_column(Float(53))
    seen_at: Mapped[float | None] = mapped_column(Float(53))
    seen_by: Mapped[int | None] = mapped_column(_SERIAL, ForeignKey(_USER))


class ResultObjectRow(Base):
    """A DICOM object made of a film's result; its file lies in the store."""

    __tablename__ = "result_objects"
    __table_args__ = (
        UniqueConstraint("organisation_id", "sop_instance_uid"),
        Index("ix_result_objects_study", "organisation_id", "study_uid"),
        Index("ix_result_objects_entry", "entry_id"),
    )

    object_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM))
    model_sha256: Mapped[str] = mapped_column(_HASH)
    kind: Mapped[str] = mapped_column(String(32))
    study_uid: Mapped[str] = mapped_column(_ID)
    series_uid: Mapped[str] = mapped_column(_ID)
    sop_class_uid: Mapped[str] = mapped_column(_ID)
    sop_instance_uid: Mapped[str] = mapped_column(_ID)
    path: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[float] = mapped_column(Float(53))


class DeskOpeningRow(Base):
    """When a user first opened a film, and when they first saw what the model said of it."""

    __tablename__ = "desk_openings"

    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM), primary_key=True)
    user_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_USER), primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    opened_at: Mapped[float] = mapped_column(Float(53))
    output_at: Mapped[float | None] = mapped_column(Float(53))


class DeskSheetRow(Base):
    """A film's texture sheet: asked for, made by a worker, or why not; its files lie in the store."""

    __tablename__ = "desk_sheets"
    __table_args__ = (Index("ix_desk_sheets_work", "state", "claimed_until"),)

    entry_id: Mapped[str] = mapped_column(_ENTRY, ForeignKey(_FILM), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(_SERIAL, ForeignKey(_ORGANISATION))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    files: Mapped[dict[str, str] | None] = mapped_column(JSON)
    attempts: Mapped[int] = mapped_column(Integer)
    claimed_until: Mapped[float] = mapped_column(Float(53))
    asked_at: Mapped[float] = mapped_column(Float(53))
