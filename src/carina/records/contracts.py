"""Contracts of the canonical tables: columns, types, permitted values, and what no row may break.

`SCHEMAS` are the columns that every extract is turned into; `contract` is the same as a pandera schema with the
permitted values and ranges, which `carina.records` holds its own output to.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from carina.errors import RecordsError
from carina.records.ethnicity import GROUPS
from carina.records.organisms import organism_names

if TYPE_CHECKING:
    import pandera.polars as pa

__all__ = ["CHOICES", "IDENTIFIERS", "RANGES", "REQUIRED", "SCHEMAS", "TABLES", "check_contract", "contract"]

_MOMENT = pl.Datetime("us")

SCHEMAS: dict[str, pl.Schema] = {
    "admissions": pl.Schema(
        {
            "nhi": pl.String(),
            "event_id": pl.String(),
            "admitted_at": _MOMENT,
            "discharged_at": _MOMENT,
            "sex": pl.String(),
            "birth_date": pl.Date(),
            "ethnicity": pl.String(),
            "codes": pl.List(pl.String()),
            "reason": pl.String(),
            "surname": pl.String(),
            "given_names": pl.String(),
            "address": pl.String(),
        }
    ),
    "vitals": pl.Schema(
        {
            "nhi": pl.String(),
            "measured_at": _MOMENT,
            "height_cm": pl.Float64(),
            "weight_kg": pl.Float64(),
            "bmi": pl.Float64(),
            "temperature_c": pl.Float64(),
            "spo2_percent": pl.Float64(),
            "respiratory_rate": pl.Float64(),
        }
    ),
    "reads": pl.Schema(
        {
            "nhi": pl.String(),
            "accession_number": pl.String(),
            "sop_instance_uid": pl.String(),
            "acquired_at": _MOMENT,
            "read_at": _MOMENT,
            "request": pl.String(),
            "position": pl.String(),
            "mobile": pl.Boolean(),
            "finding": pl.String(),
            "finding_source": pl.String(),
            "report": pl.String(),
        }
    ),
    "microbiology": pl.Schema(
        {
            "nhi": pl.String(),
            "specimen_id": pl.String(),
            "collected_at": _MOMENT,
            "specimen": pl.String(),
            "test": pl.String(),
            "organism": pl.String(),
            "result": pl.String(),
        }
    ),
}
"""Columns and types of the identified canonical tables. Moments are naive local time."""

TABLES = tuple(SCHEMAS)
"""Names of the four tables."""

IDENTIFIERS: dict[str, tuple[str, ...]] = {
    "admissions": ("nhi", "event_id", "surname", "given_names", "address"),
    "vitals": ("nhi",),
    "reads": ("nhi", "accession_number", "sop_instance_uid", "report"),
    "microbiology": ("nhi", "specimen_id"),
}
"""Columns that name a person, or could."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "admissions": ("nhi", "event_id", "admitted_at", "sex", "birth_date", "ethnicity", "codes"),
    "vitals": ("nhi", "measured_at"),
    "reads": ("nhi", "accession_number"),
    "microbiology": ("nhi", "specimen_id", "collected_at", "specimen", "test", "organism", "result"),
}
"""Columns that are never null."""

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "admissions": {"sex": ("F", "M", "X", "U"), "ethnicity": GROUPS},
    "vitals": {},
    "reads": {
        "position": ("erect", "supine"),
        "finding": ("none", "pneumonia", "equivocal"),
        "finding_source": ("coded", "text"),
    },
    "microbiology": {
        "specimen": (
            "nasopharyngeal_swab",
            "throat_swab",
            "sputum",
            "bronchoalveolar_lavage",
            "tracheal_aspirate",
            "blood",
            "pleural_fluid",
            "urine",
            "other",
        ),
        "test": ("pcr", "culture", "antigen", "serology"),
        "organism": tuple(organism_names()),
        "result": ("positive", "negative", "indeterminate"),
    },
}
"""Permitted values of the columns that hold a choice."""

RANGES: dict[str, tuple[float, float]] = {
    "height_cm": (25.0, 250.0),
    "weight_kg": (0.3, 400.0),
    "bmi": (6.0, 110.0),
    "temperature_c": (25.0, 45.0),
    "spo2_percent": (30.0, 100.0),
    "respiratory_rate": (1.0, 120.0),
}
"""Limits of what a measurement can be, inclusive: cm, kg, kg/m2, degrees Celsius, percent, breaths a minute."""


@cache
def contract(table: str) -> pa.DataFrameSchema:
    """Pandera schema of a canonical table.

    Parameters
    ----------
    table : {"admissions", "vitals", "reads", "microbiology"}

    Returns
    -------
    pandera.polars.DataFrameSchema
        Strict: no column more, none missing.

    Raises
    ------
    RecordsError
        If there is no such table.
    """
    import pandera.polars as pa  # noqa: PLC0415 - of the extra 'study', which the schemas alone do not need

    if table not in SCHEMAS:
        raise RecordsError(f"a table must be one of {', '.join(TABLES)}; found {table!r}")
    columns = {}
    for name, kind in SCHEMAS[table].items():
        checks = []
        if name in CHOICES[table]:
            checks.append(pa.Check.isin(list(CHOICES[table][name])))
        if table == "vitals" and name in RANGES:
            low, high = RANGES[name]
            checks.append(pa.Check.in_range(low, high))
        if name == "nhi":
            checks.append(pa.Check.str_matches(r"^[A-HJ-NP-Z]{3}[0-9]{2}([0-9]{2}|[A-HJ-NP-Z]{2})$"))
        columns[name] = pa.Column(kind, checks, nullable=name not in REQUIRED[table])
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def check_contract(table: str, rows: pl.DataFrame) -> None:
    """Hold rows to the contract of their table.

    Parameters
    ----------
    table : str
        One of `TABLES`.
    rows : polars.DataFrame
        With the columns of ``SCHEMAS[table]``.

    Raises
    ------
    RecordsError
        Names the columns that break it, never a value.
    """
    import pandera.errors  # noqa: PLC0415 - of the extra 'study'

    try:
        contract(table).validate(rows, lazy=True)
    except (pandera.errors.SchemaErrors, pandera.errors.SchemaError) as error:
        cases = error.failure_cases
        columns = sorted({str(name) for name in cases["column"].to_list()}) if hasattr(cases, "columns") else []
        # The cause is not chained: it carries values.
        raise RecordsError(
            f"the rows of {table} must meet their contract; they do not in {', '.join(columns) or 'their columns'}; "
            f"see docs/records.md for what each column may hold"
        ) from None
