"""Films and records side by side: what fits together, and what stays alone on either side (M6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from carina.settings import IngestSettings

__all__ = ["LinkReport", "TableLoad", "judge_links", "link"]

_SUBJECTS = {
    "films_without_admission": "films whose patient has no admission",
    "films_without_read": "films without a read",
    "reads_without_film": "reads without a film",
    "patients_without_film": "admitted patients without a film",
    "vitals_without_admission": "patients with vitals and no admission",
    "microbiology_without_admission": "patients with microbiology and no admission",
}
_GATED = ("films_without_admission", "films_without_read")


@dataclass(frozen=True, slots=True)
class TableLoad:
    """One table of a load.

    Attributes
    ----------
    rows, patients : int
    rejected : int or None
        Rows of the extract that were not read; None where the caller did not say.
    version : int
        The current one after the load.
    changed : bool
        False where the same rows were there already.
    """

    rows: int
    patients: int
    rejected: int | None
    version: int
    changed: bool


@dataclass(slots=True)
class LinkReport:
    """How films and records fit together.

    Attributes
    ----------
    tables : dict of str to TableLoad
        The tables of this load.
    films : int
        Accepted films in the study.
    linked : int
        Those with an admission of their patient and, where reads are loaded, a read.
    unmatched : dict of str to list of str
        Who stays alone, by pseudonym: film ids, accession numbers or patients.
    warnings : list of str
        Shares above the limit that is pointed out.
    identifiers_removed : dict of str to int
        Different identifiers taken out, by kind.
    """

    tables: dict[str, TableLoad] = field(default_factory=dict)
    films: int = 0
    linked: int = 0
    unmatched: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    identifiers_removed: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many stay alone, by kind."""
        return {name: len(found) for name, found in self.unmatched.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "tables": {
                name: {
                    "rows": each.rows,
                    "patients": each.patients,
                    "rejected": each.rejected,
                    "version": each.version,
                    "changed": each.changed,
                }
                for name, each in self.tables.items()
            },
            "films": self.films,
            "linked": self.linked,
            "unmatched": self.unmatched,
            "unmatched_counts": self.counts,
            "warnings": self.warnings,
            "identifiers_removed": self.identifiers_removed,
        }

    def sentences(self) -> list[str]:
        """Say the counts in words, what stays alone included."""
        said = [f"{self.linked} of {self.films} films are linked with their records"]
        return said + [f"{len(found)} {_SUBJECTS[name]}" for name, found in self.unmatched.items() if found]


def link(films: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> LinkReport:
    """Find what fits together, and list what does not.

    Parameters
    ----------
    films : DataFrame
        As `carina.archive.Archive.films` gives them; refused ones take no part, but a read of one is not alone.
    tables : mapping of str to DataFrame
        Pseudonymous admissions, vitals, reads and microbiology, as far as they are loaded.

    Returns
    -------
    LinkReport

    Examples
    --------
    >>> films = pl.DataFrame({"film_id": ["f"], "patient_id": ["P1"], "accession_number": ["A1"],
    ...                       "sop_instance_uid": ["2.25.1"], "accepted": [True]})
    >>> link(films, {"admissions": pl.DataFrame({"patient_id": ["P2"]})}).counts
    {'films_without_admission': 1, 'patients_without_film': 1}
    """
    accepted = films.filter("accepted")
    report = LinkReport(films=accepted.height)
    good = accepted.select("film_id")
    if "admissions" in tables:
        admitted = tables["admissions"].select("patient_id").unique()
        alone = accepted.join(admitted, on="patient_id", how="anti")
        good = good.join(alone, on="film_id", how="anti")
        report.unmatched["films_without_admission"] = alone["film_id"].sort().to_list()
        report.unmatched["patients_without_film"] = _without(admitted, films, "patient_id")
    if "reads" in tables:
        reads = tables["reads"]
        alone = accepted.join(_read(reads, "accession_number"), on="accession_number", how="anti")
        if "sop_instance_uid" in reads.columns:
            alone = alone.join(_read(reads, "sop_instance_uid"), on="sop_instance_uid", how="anti")
        good = good.join(alone, on="film_id", how="anti")
        report.unmatched["films_without_read"] = alone["film_id"].sort().to_list()
        report.unmatched["reads_without_film"] = _without(reads, films, "accession_number")
    for name in ("vitals", "microbiology"):
        if name in tables and "admissions" in tables:
            alone_there = _without(tables[name], tables["admissions"], "patient_id")
            report.unmatched[f"{name}_without_admission"] = alone_there
    report.linked = good.height
    return report


def judge_links(report: LinkReport, limits: IngestSettings) -> str | None:
    """Hold the shares of films that stay alone against the limits; note warnings in the report.

    Returns
    -------
    str or None
        Why the records are refused, or None.
    """
    refusal = None
    for name in _GATED:
        if name not in report.unmatched or report.films == 0:
            continue
        alone = len(report.unmatched[name])
        share = alone / report.films
        found = f"{alone} of {report.films} {_SUBJECTS[name]} ({share:.0%})"
        if share > limits.unlinked_refuse:
            refusal = refusal or f"{found}, more than the limit unlinked_refuse of {limits.unlinked_refuse:.0%}"
        elif share > limits.unlinked_warn:
            report.warnings.append(f"{found}, more than the limit unlinked_warn of {limits.unlinked_warn:.0%}")
    return refusal


def _read(reads: pl.DataFrame, column: str) -> pl.DataFrame:
    return reads.select(column).drop_nulls().unique()


def _without(left: pl.DataFrame, right: pl.DataFrame, column: str) -> list[str]:
    """Return the values of one side that the other lacks, sorted."""
    found: list[str] = _read(left, column).join(_read(right, column), on=column, how="anti")[column].sort().to_list()
    return found
