"""Hospital tables without identifiers: pseudonyms, shifted dates, cleaned words (M6), a column at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import polars as pl

from carina.deidentify.policy import OLDEST_AGE, Policy
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.removed import REMOVED_SCHEMA, Removed
from carina.deidentify.text import clean_text
from carina.errors import RemovalError

__all__ = ["pseudonymise_records"]

COVID19_BEGAN: Final = datetime(2019, 12, 1)  # noqa: DTZ001 -- naive, as all moments of the records
"""Pneumonia admitted before this was not COVID-19 (M15)."""

_DROPPED: Final = ("surname", "given_names", "address", "report")
_FREE_TEXT: Final = ("reason", "request")
_NAMES: Final = ("surname", "given_names")
_HASHED: Final = {
    "event_id": ("event", Pseudonymiser.event),
    "accession_number": ("accession", Pseudonymiser.accession),
    "specimen_id": ("specimen", Pseudonymiser.specimen),
    "sop_instance_uid": ("uid", Pseudonymiser.uid),
}
_COLUMNS: Final = {
    "admissions": (
        *("nhi", "event_id", "admitted_at", "discharged_at", "sex", "birth_date", "ethnicity", "codes", "reason"),
        *("surname", "given_names", "address"),
    ),
    "vitals": (
        *("nhi", "measured_at", "height_cm", "weight_kg", "bmi", "temperature_c", "spo2_percent"),
        "respiratory_rate",
    ),
    "reads": (
        *("nhi", "accession_number", "acquired_at", "read_at", "request", "position", "mobile", "finding"),
        *("finding_source", "report", "sop_instance_uid"),
    ),
    "microbiology": ("nhi", "specimen_id", "collected_at", "specimen", "test", "organism", "result"),
}


def pseudonymise_records(
    table: str, frame: pl.DataFrame, pseudonymiser: Pseudonymiser, policy: Policy
) -> tuple[pl.DataFrame, Removed]:
    """Take the identifiers out of one canonical table.

    Parameters
    ----------
    table : {"admissions", "vitals", "reads", "microbiology"}
        Which table it is; a column that the table does not have is dropped, for nobody has said what it holds.
    frame : polars.DataFrame
        Rows with `nhi`.
    pseudonymiser : Pseudonymiser
    policy : Policy

    Returns
    -------
    tuple of (polars.DataFrame, Removed)
        The table with `patient_id` in place of `nhi`, dates shifted by patient, and what was removed. Admissions gain
        `before_covid19` (admitted before December 2019) and `over_89` (90 or older when admitted), which shifted dates
        no longer tell.

    Raises
    ------
    RemovalError
        If the table is unknown, `nhi` is missing, or a row has none.

    Examples
    --------
    >>> import datetime as dt
    >>> rows = pl.DataFrame({"nhi": ["ZZZ0016"], "measured_at": [dt.datetime(2020, 3, 1, 8)], "bmi": [24.0]})
    >>> clean, removed = pseudonymise_records("vitals", rows, Pseudonymiser(bytes(32)), Policy())
    >>> clean.columns, removed.rows["kind"].to_list()
    (['patient_id', 'measured_at', 'bmi'], ['nhi'])
    """
    if table not in _COLUMNS:
        raise RemovalError(f"a table of records is one of {', '.join(_COLUMNS)}; found {table!r}")
    if "nhi" not in frame.columns or frame["nhi"].null_count():
        raise RemovalError(f"every row of {table} must have an NHI before it can be removed; some have none")
    frame = frame.select(column for column in frame.columns if column in _COLUMNS[table])
    patients = _patients(frame["nhi"], pseudonymiser)
    frame = frame.join(patients, on="nhi", how="left", maintain_order="left")
    removed = _removed(frame)
    clean = _cleaned(frame, pseudonymiser, policy)
    clean = clean.drop(column for column in _DROPPED if column in clean.columns)
    if table == "admissions" and "admitted_at" in clean.columns:
        clean = _told_before(clean)
    clean = _shifted(clean)
    if "birth_date" in clean.columns:
        clean = _clamped(clean)
    order = ["patient_id", *(column for column in clean.columns if column not in ("nhi", "patient_id", "shift"))]
    return clean.select(order), removed


def _patients(nhis: pl.Series, pseudonymiser: Pseudonymiser) -> pl.DataFrame:
    """Hash each NHI once."""
    unique = nhis.unique().to_list()
    return pl.DataFrame(
        {
            "nhi": unique,
            "patient_id": [pseudonymiser.patient(nhi) for nhi in unique],
            "shift": [pseudonymiser.shift(nhi) for nhi in unique],
        },
        schema={"nhi": pl.String, "patient_id": pl.String, "shift": pl.Duration("us")},
    )


def _removed(frame: pl.DataFrame) -> Removed:
    parts = [_kind(frame, "nhi", pl.col("nhi"))]
    for column, (kind, _) in _HASHED.items():
        if column in frame.columns:
            parts.append(_kind(frame, kind, pl.col(column)))
    if "birth_date" in frame.columns:
        parts.append(_kind(frame, "birth_date", pl.col("birth_date").dt.strftime("%Y%m%d")))
    if "surname" in frame.columns or "given_names" in frame.columns:
        name = [pl.col(column).fill_null("") if column in frame.columns else pl.lit("") for column in _NAMES]
        parts.append(_kind(frame, "name", pl.concat_str(name, separator="^").str.strip_chars("^ ")))
    if "address" in frame.columns:
        parts.append(_kind(frame, "address", pl.col("address")))
    rows = pl.concat(parts).unique(maintain_order=True)
    return Removed(rows.filter(pl.col("value").str.strip_chars() != ""))


def _kind(frame: pl.DataFrame, kind: str, value: pl.Expr) -> pl.DataFrame:
    found = frame.select("patient_id", pl.lit(kind).alias("kind"), value.cast(pl.String).alias("value"))
    return found.drop_nulls().unique().select(REMOVED_SCHEMA.names())


def _cleaned(frame: pl.DataFrame, pseudonymiser: Pseudonymiser, policy: Policy) -> pl.DataFrame:
    for column, (_, method) in _HASHED.items():
        if column in frame.columns:
            frame = frame.with_columns(_mapped(frame[column], lambda text, m=method: m(pseudonymiser, text)))  # type: ignore[misc]  # a lambda's default has no annotation
    for column in _FREE_TEXT:
        if column in frame.columns:
            frame = frame.with_columns(
                pl.lit(None, pl.String).alias(column) if policy.descriptors == "remove" else _words(frame, column)
            )
    return frame


def _mapped(column: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change each value once, whatever its number of rows."""
    unique = column.drop_nulls().unique().to_list()
    return column.replace_strict(unique, [change(value) for value in unique], default=None, return_dtype=pl.String)


def _words(frame: pl.DataFrame, column: str) -> pl.Series:
    """Clean each text once with the names of its patient to avoid."""
    names = [name for name in _NAMES if name in frame.columns]
    unique = frame.select(column, *names).unique()
    cleaned = [
        None if text is None else clean_text(text, {word for own in own_names if own for word in own.lower().split()})
        for text, *own_names in unique.iter_rows()
    ]
    known = unique.with_columns(pl.Series("cleaned", cleaned, pl.String))
    joined = frame.select(column, *names).join(
        known, on=[column, *names], how="left", maintain_order="left", nulls_equal=True
    )
    return joined["cleaned"].alias(column)


def _told_before(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep two answers that shifted and clamped dates cannot give: the era of COVID-19 (M15), and 90 or more (M16)."""
    told = [(pl.col("admitted_at") < COVID19_BEGAN).alias("before_covid19")]
    if "birth_date" in frame.columns:
        ninety = pl.col("birth_date").dt.offset_by(f"{OLDEST_AGE}y")
        told.append((ninety <= pl.col("admitted_at").dt.date()).alias("over_89"))
    return frame.with_columns(told)


def _shifted(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Date | pl.Datetime)]
    return frame.with_columns((pl.col(name) + pl.col("shift")).cast(frame.schema[name]) for name in times)


def _clamped(frame: pl.DataFrame) -> pl.DataFrame:
    """Move the birth dates of the over-89s, one date a patient, so that no age above 90 follows from the table."""
    events = [name for name in ("admitted_at", "discharged_at") if name in frame.columns]
    if not events:
        return frame.with_columns(pl.lit(None, pl.Date).alias("birth_date"))
    latest = pl.max_horizontal(pl.col(name).max().over("patient_id") for name in events).cast(pl.Date)
    youngest = latest.dt.offset_by(f"-{OLDEST_AGE}y")
    earliest = pl.col("birth_date").min().over("patient_id")
    return frame.with_columns(
        pl.when(earliest <= youngest).then(youngest).otherwise(pl.col("birth_date")).alias("birth_date")
    )
