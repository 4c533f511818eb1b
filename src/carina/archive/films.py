"""Films in the database: the film table, and the decision under which a film enters it.

Two films are the same when their SOP Instance UID and what they show and say are the same; a film under a known UID
that shows or says something else is kept apart, and so is a picture that is there already under another UID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import polars as pl
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.tables import FilmRow, LedgerRow

__all__ = ["FILM_SCHEMA", "FilmRecord", "LedgerEntry", "Outcome", "admit", "film_table", "note_source"]

Outcome: TypeAlias = Literal["accepted", "refused", "duplicate", "changed", "conflict", "review", "unreadable", "known"]
"""What became of one source file; `carina.ingest` explains each."""

FILM_SCHEMA = pl.Schema(
    {
        "film_id": pl.String(),
        "path": pl.String(),
        "patient_id": pl.String(),
        "study_uid": pl.String(),
        "series_uid": pl.String(),
        "sop_instance_uid": pl.String(),
        "accession_number": pl.String(),
        "acquired_at": pl.Datetime("us"),
        "series_number": pl.Int64(),
        "instance_number": pl.Int64(),
        "view_position": pl.String(),
        "series_description": pl.String(),
        "protocol_name": pl.String(),
        "manufacturer": pl.String(),
        "model_name": pl.String(),
        "age_years": pl.Float64(),
        "sex": pl.String(),
        "modality": pl.String(),
        "accepted": pl.Boolean(),
        "refusal": pl.String(),
        "perceptual_hash": pl.String(),
        "rows": pl.Int64(),
        "columns": pl.Int64(),
    }
)
"""Columns of `Archive.films`, in order."""

_CHANGED = "another film is stored under the same SOP Instance UID; this one is kept apart"
_SAME_PICTURE = "the same picture of this patient is stored under another SOP Instance UID"
_OTHER_PATIENT = "the same picture is stored under another patient; this one is kept apart"
_CONTENT = (
    "patient_id",
    "study_uid",
    "series_uid",
    "accession_number",
    "acquired_at",
    "view_position",
    "series_description",
    "pixels_sha256",
)


@dataclass(frozen=True, slots=True)
class FilmRecord:
    """A film whose file lies in the store already, as it is to stand in the database.

    Attributes
    ----------
    film_id : str
        SHA-256 of the stored file, hex.
    path : str
        Relative to the store.
    rows, columns : int
        Pixels.
    pixels_sha256 : str
        Of the decoded pixels, hex: what makes two pictures the same.
    accepted : bool
        Whether the quality gate lets it through.
    refusal : str or None
        Why not, in a sentence.
    corrected : str or None
        What the gate would put right, such as ``"inverted"``, joined by commas.
    patient_id, study_uid, series_uid, sop_instance_uid, accession_number : str or None
        In a research study pseudonyms; in a service study as in the file.
    acquired_at : datetime or None
        Naive local time; shifted in a research study.
    age_years : float or None
    others
        As in DICOM.
    """

    film_id: str
    path: str
    rows: int
    columns: int
    pixels_sha256: str
    accepted: bool = True
    refusal: str | None = None
    corrected: str | None = None
    perceptual_hash: str | None = None
    patient_id: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    accession_number: str | None = None
    acquired_at: datetime | None = None
    series_number: int | None = None
    instance_number: int | None = None
    view_position: str | None = None
    series_description: str | None = None
    protocol_name: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    age_years: float | None = None
    sex: str | None = None
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of one source file.

    Attributes
    ----------
    source_key : str
        64 hex digits: the file's sha-256, in a research study under the study's key.
    outcome : str
        See `Outcome`.
    code, reason : str or None
        Why it was not accepted.
    film_id : str or None
        The film stored for it, or the one it repeats.
    """

    source_key: str
    outcome: Outcome
    code: str | None = None
    reason: str | None = None
    film_id: str | None = None


def film_table(connection: Connection) -> pl.DataFrame:
    """All films, in the order of patient, time, series, instance and id."""
    columns = [getattr(FilmRow, name) for name in FILM_SCHEMA]
    found = connection.execute(select(*columns)).fetchall()
    table = pl.DataFrame([tuple(row) for row in found], schema=FILM_SCHEMA, orient="row")
    return table.sort("patient_id", "acquired_at", "series_number", "instance_number", "film_id", nulls_last=True)


def admit(connection: Connection, film: FilmRecord, entry: LedgerEntry, run_id: int) -> LedgerEntry:
    """Decide what a film is to those already there, and note film and source in the caller's transaction.

    Returns
    -------
    LedgerEntry
        The entry as it was noted; its outcome is ``"known"`` where the source was dealt with before.
    """
    if connection.dialect.name == "postgresql":  # two machines must not both find a UID free
        connection.execute(text("LOCK TABLE films IN SHARE ROW EXCLUSIVE MODE"))
    earlier = _earlier(connection, entry.source_key)
    if earlier is not None:
        return earlier
    decided, stored = _judge(connection, film, entry)
    if stored is not None:
        connection.execute(insert(FilmRow).values(**asdict(stored), stored_at=_now()))
    note_source(connection, decided, run_id)
    return decided


def note_source(connection: Connection, entry: LedgerEntry, run_id: int) -> None:
    """Write one ledger row, over an earlier one of the same source."""
    values = {**asdict(entry), "run_id": run_id, "at": _now()}
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(LedgerRow).values(**values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["source_key"], set_={name: values[name] for name in values if name != "source_key"}
        )
    )


def _earlier(connection: Connection, key: str) -> LedgerEntry | None:
    row = connection.execute(select(LedgerRow.film_id).where(LedgerRow.source_key == key)).first()
    if row is None or row.film_id is None:  # nothing was stored for it then; it was let in for another try
        return None
    return LedgerEntry(key, "known", film_id=row.film_id)


def _judge(connection: Connection, film: FilmRecord, entry: LedgerEntry) -> tuple[LedgerEntry, FilmRecord | None]:
    if connection.execute(select(FilmRow.film_id).where(FilmRow.film_id == film.film_id)).first() is not None:
        return replace(entry, outcome="duplicate", film_id=film.film_id), None
    for twin in _with(connection, "sop_instance_uid", film.sop_instance_uid):
        if _same_content(twin, film):
            return replace(entry, outcome="duplicate", film_id=twin["film_id"]), None
    if film.sop_instance_uid is not None and _with(connection, "sop_instance_uid", film.sop_instance_uid):
        return _apart(entry, film, "changed", "changed_film", _CHANGED)
    same = [row for row in _with(connection, "pixels_sha256", film.pixels_sha256) if row["accepted"]]
    if same and film.accepted:
        if any(row["patient_id"] == film.patient_id for row in same):
            return _apart(entry, film, "duplicate", "duplicate_picture", _SAME_PICTURE)
        return _apart(entry, film, "conflict", "same_picture_other_patient", _OTHER_PATIENT)
    return replace(entry, film_id=film.film_id), film


def _apart(
    entry: LedgerEntry, film: FilmRecord, outcome: Outcome, code: str, reason: str
) -> tuple[LedgerEntry, FilmRecord]:
    """Keep the film, but out of every cohort."""
    kept = replace(film, accepted=False, refusal=reason)
    return replace(entry, outcome=outcome, code=code, reason=reason, film_id=film.film_id), kept


def _with(connection: Connection, column: str, value: str | None) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    wanted = [getattr(FilmRow, name) for name in ("film_id", "accepted", *_CONTENT)]
    found = connection.execute(
        select(*wanted).where(getattr(FilmRow, column) == value).order_by(FilmRow.stored_at, FilmRow.film_id)
    )
    return [dict(row) for row in found.mappings()]


def _same_content(row: Mapping[str, Any], film: FilmRecord) -> bool:
    return all(row[name] == getattr(film, name) for name in _CONTENT)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
