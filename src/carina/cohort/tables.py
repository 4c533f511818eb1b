"""The five tables that a cohort is made from, pseudonymous and canonical, checked before anything is computed (M6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from carina.errors import CohortError

__all__ = ["TABLES", "CohortTables"]

_TEXT, _TIME, _FLAG, _NUMBER, _WHOLE = pl.String, pl.Datetime("us"), pl.Boolean, pl.Float64, pl.Int64

# Column: type, and whether the table must have it. A column that may be missing is unknown for every row.
TABLES: Mapping[str, Mapping[str, tuple[pl.DataType | type[pl.DataType], bool]]] = {
    "films": {
        "film_id": (_TEXT, True),
        "path": (_TEXT, True),
        "patient_id": (_TEXT, True),
        "sop_instance_uid": (_TEXT, False),
        "accession_number": (_TEXT, True),
        "acquired_at": (_TIME, True),
        "series_number": (_WHOLE, False),
        "instance_number": (_WHOLE, False),
        "view_position": (_TEXT, False),
        "series_description": (_TEXT, False),
        "protocol_name": (_TEXT, False),
        "manufacturer": (_TEXT, False),
        "model_name": (_TEXT, False),
        "age_years": (_NUMBER, False),
        "sex": (_TEXT, False),
        "modality": (_TEXT, True),
        "accepted": (_FLAG, True),
        "refusal": (_TEXT, False),
        "perceptual_hash": (_TEXT, False),
        "before_covid19": (_FLAG, False),
    },
    "admissions": {
        "patient_id": (_TEXT, True),
        "event_id": (_TEXT, True),
        "admitted_at": (_TIME, True),
        "discharged_at": (_TIME, True),
        "sex": (_TEXT, False),
        "birth_date": (pl.Date, False),
        "ethnicity": (_TEXT, False),
        "codes": (pl.List(pl.String), True),
        "reason": (_TEXT, False),
        "before_covid19": (_FLAG, False),
        "over_89": (_FLAG, False),
    },
    "reads": {
        "patient_id": (_TEXT, True),
        "accession_number": (_TEXT, True),
        "sop_instance_uid": (_TEXT, False),
        "read_at": (_TIME, False),
        "request": (_TEXT, False),
        "position": (_TEXT, False),
        "mobile": (_FLAG, False),
        "finding": (_TEXT, True),
        "finding_source": (_TEXT, False),
    },
    "microbiology": {
        "patient_id": (_TEXT, True),
        "collected_at": (_TIME, True),
        "specimen": (_TEXT, True),
        "test": (_TEXT, True),
        "organism": (_TEXT, True),
        "result": (_TEXT, True),
    },
    "vitals": {
        "patient_id": (_TEXT, True),
        "measured_at": (_TIME, True),
        "height_cm": (_NUMBER, False),
        "weight_kg": (_NUMBER, False),
        "bmi": (_NUMBER, False),
    },
}
"""Columns that the cohort reads, by table: type, and whether the column must be there."""


@dataclass(frozen=True)
class CohortTables:
    """Pseudonymous canonical tables, unread.

    Attributes
    ----------
    films, admissions, reads, microbiology, vitals : polars.LazyFrame
        Columns as in `TABLES`; further ones are not read. Times are naive and local.
    """

    films: pl.LazyFrame
    admissions: pl.LazyFrame
    reads: pl.LazyFrame
    microbiology: pl.LazyFrame
    vitals: pl.LazyFrame

    @classmethod
    def empty(cls, **tables: pl.LazyFrame | pl.DataFrame) -> CohortTables:
        """Tables without rows, but for those given.

        Examples
        --------
        >>> CohortTables.empty().reads.collect().height
        0
        """
        made = {
            name: pl.LazyFrame(schema={column: kind for column, (kind, _) in columns.items()})
            for name, columns in TABLES.items()
        }
        return cls(**{**made, **{name: frame.lazy() for name, frame in tables.items()}})

    def checked(self) -> CohortTables:
        """Return the same tables with exactly the columns of `TABLES`, in their types.

        Raises
        ------
        CohortError
            If a table lacks a column it must have, or a column is of another kind.
        """
        return CohortTables(**{name: _checked(name, getattr(self, name)) for name in TABLES})


def _checked(name: str, frame: pl.LazyFrame) -> pl.LazyFrame:
    schema = frame.collect_schema()
    wanted = TABLES[name]
    if missing := [column for column, (_, must) in wanted.items() if must and column not in schema]:
        raise CohortError(
            f"the table of {name} must have the columns {', '.join(c for c, (_, must) in wanted.items() if must)}; "
            f"it lacks {', '.join(missing)}; load its extract again with `carina records`"
        )
    columns = []
    for column, (kind, _) in wanted.items():
        if column not in schema:
            columns.append(pl.lit(None, dtype=kind).alias(column))
            continue
        if not _alike(schema[column], kind):
            raise CohortError(
                f"column {column!r} of the table of {name} must be {_said(kind)}; it is {_said(schema[column])}"
            )
        columns.append(pl.col(column) if schema[column] == kind else pl.col(column).cast(kind))
    return frame.select(columns)


def _alike(found: pl.DataType, wanted: pl.DataType | type[pl.DataType]) -> bool:
    """Whether values of one type are values of the other without guessing."""
    if found in (wanted, pl.Null):
        return True
    if wanted in (_NUMBER, _WHOLE):
        return found.is_integer() or (wanted == _NUMBER and found.is_float())
    if isinstance(wanted, pl.Datetime):
        return isinstance(found, pl.Datetime) and found.time_zone is None
    if wanted == _TEXT:
        return found in (pl.Categorical, pl.Enum)
    return isinstance(wanted, pl.List) and found == pl.List(pl.Null)


def _said(kind: pl.DataType | type[pl.DataType]) -> str:
    return str(kind)
