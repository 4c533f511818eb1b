"""What was removed, to be kept apart with the key: the proof needs it, and so do corrected extracts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

__all__ = ["REMOVED_SCHEMA", "Removed"]

REMOVED_SCHEMA: Final = pl.Schema({"patient_id": pl.String, "kind": pl.String, "value": pl.String})
"""Columns of what was removed: the patient's pseudonym, the kind of identifier, its value."""


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=REMOVED_SCHEMA)


@dataclass(frozen=True, slots=True)
class Removed:
    """Identifiers taken out of films or records.

    Attributes
    ----------
    rows : polars.DataFrame
        ``patient_id`` (pseudonym), ``kind`` (``nhi``, ``name``, ``birth_date``, ``address``, ``phone``, ``accession``,
        ``uid``, ``mrn``, ``event``, ``specimen``, ``staff``, ``place``), ``value`` as it was written; dates are
        YYYYMMDD, names surname first with ``^`` between surname and given names. One row each.
    """

    rows: pl.DataFrame = field(default_factory=_empty)

    @classmethod
    def of(cls, patient_id: str, found: Iterable[tuple[str, str]]) -> Removed:
        """Collect the identifiers of one patient from pairs of kind and value.

        Examples
        --------
        >>> Removed.of("P1", [("nhi", "ZZZ0016"), ("nhi", "ZZZ0016")]).rows.height
        1
        """
        rows = [(patient_id, kind, value) for kind, value in dict.fromkeys(found)]
        return cls(pl.DataFrame(rows, schema=REMOVED_SCHEMA, orient="row"))

    def __len__(self) -> int:
        return self.rows.height
