"""Tables of the archive, typed; what a migration must arrive at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Float, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "AuditRow",
    "Base",
    "FilmRow",
    "LabelChangeRow",
    "LabelRow",
    "LedgerRow",
    "MetaRow",
    "OutboxRow",
    "RecordSetRow",
    "RunRow",
]

_HASH = String(64)
_ID = String(128)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Base of all tables."""


class MetaRow(Base):
    """What the database belongs to: the study's id and kind."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class FilmRow(Base):
    """One stored film (M10's fields among them)."""

    __tablename__ = "films"
    __table_args__ = (
        Index("ix_films_sop_instance_uid", "sop_instance_uid"),
        Index("ix_films_patient_id", "patient_id"),
        Index("ix_films_accession_number", "accession_number"),
        Index("ix_films_pixels_sha256", "pixels_sha256"),
    )

    film_id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str | None] = mapped_column(_ID)
    study_uid: Mapped[str | None] = mapped_column(_ID)
    series_uid: Mapped[str | None] = mapped_column(_ID)
    sop_instance_uid: Mapped[str | None] = mapped_column(_ID)
    accession_number: Mapped[str | None] = mapped_column(_ID)
    acquired_at: Mapped[datetime | None] = mapped_column(DateTime)
    series_number: Mapped[int | None] = mapped_column(BigInteger)
    instance_number: Mapped[int | None] = mapped_column(BigInteger)
    view_position: Mapped[str | None] = mapped_column(Text)
    series_description: Mapped[str | None] = mapped_column(Text)
    protocol_name: Mapped[str | None] = mapped_column(Text)
    manufacturer: Mapped[str | None] = mapped_column(Text)
    model_name: Mapped[str | None] = mapped_column(Text)
    age_years: Mapped[float | None] = mapped_column(Float)
    sex: Mapped[str | None] = mapped_column(String(16))
    modality: Mapped[str | None] = mapped_column(String(16))
    accepted: Mapped[bool] = mapped_column(Boolean)
    refusal: Mapped[str | None] = mapped_column(Text)
    perceptual_hash: Mapped[str | None] = mapped_column(_HASH)
    rows: Mapped[int] = mapped_column(Integer)
    columns: Mapped[int] = mapped_column(Integer)
    corrected: Mapped[str | None] = mapped_column(Text)
    pixels_sha256: Mapped[str] = mapped_column(_HASH)
    stored_at: Mapped[str] = mapped_column(String(32))


class LedgerRow(Base):
    """One source file that ingest has dealt with; its key never leads back to the file without the study's key."""

    __tablename__ = "ledger"

    source_key: Mapped[str] = mapped_column(_HASH, primary_key=True)
    outcome: Mapped[str] = mapped_column(String(32))
    code: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(Text)
    film_id: Mapped[str | None] = mapped_column(_HASH)
    run_id: Mapped[int] = mapped_column(_SERIAL)
    at: Mapped[str] = mapped_column(String(32))


class RunRow(Base):
    """One run of a verb that writes; without an end it was killed, and its orphaned files are to be cleaned."""

    __tablename__ = "runs"

    run_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    verb: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[str] = mapped_column(String(32))
    ended_at: Mapped[str | None] = mapped_column(String(32))


class RecordSetRow(Base):
    """One version of a table of records."""

    __tablename__ = "record_sets"
    __table_args__ = (UniqueConstraint("table_name", "version"),)

    record_set_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    table_name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(_HASH)
    rows: Mapped[int] = mapped_column(BigInteger)
    provenance: Mapped[dict[str, Any]] = mapped_column(JSON)
    loaded_at: Mapped[str] = mapped_column(String(32))


class LabelRow(Base):
    """The current label of a film: the row of the cohort as canonical JSON."""

    __tablename__ = "labels"

    film_id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    label: Mapped[str] = mapped_column(Text)
    labelled_at: Mapped[str] = mapped_column(String(32))


class LabelChangeRow(Base):
    """One change of a label, kept for ever."""

    __tablename__ = "label_changes"

    change_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    film_id: Mapped[str] = mapped_column(_HASH, index=True)
    old: Mapped[str | None] = mapped_column(Text)
    new: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[str] = mapped_column(String(32))


class AuditRow(Base):
    """One link of the audit chain."""

    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(_HASH)
    hash: Mapped[str] = mapped_column(_HASH)


class OutboxRow(Base):
    """One thing to be done: result objects to be made, sent or stored, an answer to a peer, films to be fetched."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("kind", "peer", "sop_instance_uid"),
        Index("ix_outbox_state", "state", "kind", "next_at"),
    )

    item_id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    peer: Mapped[str] = mapped_column(String(16))
    sop_class_uid: Mapped[str] = mapped_column(_ID)
    sop_instance_uid: Mapped[str] = mapped_column(_ID)
    path: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[float] = mapped_column(Float)
    error: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[str | None] = mapped_column(String(32))
