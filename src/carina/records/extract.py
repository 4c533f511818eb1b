"""Extracts to canonical rows; what does not hold is listed with file, line, column and reason, never mended in silence.

One rule for every table: a row with one bad cell is rejected whole. A diagnosis that cannot be read rejects its
admission too: left out alone, it could turn a film with pneumonia into a film without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from carina.errors import RecordsError
from carina.records.checks import PROBLEMS, between_rows, within_rows
from carina.records.contracts import REQUIRED, SCHEMAS, TABLES, check_contract
from carina.records.fields import Setting, parse_column
from carina.records.mapping import ColumnMap, Mapping, TableMap, our_mapping
from carina.records.raw import REJECTED, Raw, read_raw
from carina.records.reports import Agreement, classify_reports, report_agreement

__all__ = ["Extract", "Source", "canonical_rows", "read_extract", "read_extracts"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that an extract came from.

    Attributes
    ----------
    name, sha256 : str
        Of the file.
    rows : int
        Rows below the header, blank ones not counted.
    """

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Extract:
    """One table, canonical, and what was rejected on the way.

    Attributes
    ----------
    table : str
        One of `TABLES`.
    rows : polars.DataFrame
        Columns of ``SCHEMAS[table]``, in the order of the files.
    rejected : polars.DataFrame
        Columns `file`, `line`, `column` (empty for the row as a whole) and `reason`; one row a reason, so that a line
        may stand several times. Holds no cell of the extract.
    sources : tuple of Source
        The files.
    notes : tuple of str
        What was found out about the files or columns as a whole.
    agreement : Agreement or None
        Reads only: coded reads beside the rules for free text.
    mapping_sha256 : str or None
        Of the mapping file.
    """

    table: str
    rows: pl.DataFrame
    rejected: pl.DataFrame
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    agreement: Agreement | None = None
    mapping_sha256: str | None = None

    @property
    def source_sha256(self) -> list[str]:
        """Of each file, lower-case hex."""
        return [one.sha256 for one in self.sources]

    @property
    def source_rows(self) -> int:
        """Rows of all files."""
        return sum(one.rows for one in self.sources)

    @property
    def rejected_rows(self) -> int:
        """Rows that were rejected, each counted once."""
        return self.rejected.select("file", "line").n_unique() if self.rejected.height else 0

    def summary(self) -> dict[str, Any]:
        """Return counts for a person or a program, without any cell."""
        reasons = (
            self.rejected.group_by("column", "reason")
            .len("rows")
            .sort("rows", "column", "reason", descending=[True, False, False])
        )
        found: dict[str, Any] = {
            "rows": self.rows.height,
            "rejected": self.rejected_rows,
            "reasons": reasons.to_dicts(),
            "sources": [{"name": one.name, "sha256": one.sha256, "rows": one.rows} for one in self.sources],
            "notes": list(self.notes),
        }
        if self.agreement is not None and self.agreement.reads:
            found["text_agreement"] = {
                "reads": self.agreement.reads,
                "agreeing": self.agreement.agreeing,
                "proportion": self.agreement.proportion,
                "counts": self.agreement.counts.to_dicts(),
                "rules_version": self.agreement.version,
            }
        return found


def read_extract(path: Path, table: str, mapping: Mapping | None = None) -> Extract:
    """Read one file of one table.

    Parameters
    ----------
    path : Path
        CSV, Parquet or Excel.
    table : {"admissions", "vitals", "reads", "microbiology"}
    mapping : Mapping or None
        The hospital's columns and codes; ours when None.

    Returns
    -------
    Extract

    Raises
    ------
    RecordsError
        If the file cannot be read as a table at all, or lacks a column that the mapping names.
    """
    return read_extracts([path], table, mapping)


def read_extracts(paths: Iterable[Path], table: str, mapping: Mapping | None = None) -> Extract:
    """Read several files of one table as one: duplicates and contradictions are found across them.

    Parameters and errors are those of `read_extract`.
    """
    if table not in TABLES:
        raise RecordsError(f"a table must be one of {', '.join(TABLES)}; found {table!r}")
    wanted = (mapping or our_mapping()).table(table)
    raws = [read_raw(path, wanted) for path in paths]
    if not raws:
        raise RecordsError(f"at least one file of {table} must be named")
    return canonical_rows(table, raws, mapping or our_mapping(), strict=mapping is not None)


def canonical_rows(table: str, raws: Sequence[Raw], mapping: Mapping, *, strict: bool = True) -> Extract:
    """Turn uninterpreted files into canonical rows.

    Parameters
    ----------
    table : str
        One of `TABLES`.
    raws : sequence of Raw
    mapping : Mapping
    strict : bool
        Whether every column that the mapping names must be there; otherwise only the required ones.

    Returns
    -------
    Extract

    Raises
    ------
    RecordsError
        If a column is missing.
    """
    build = _Build(table, mapping.table(table), mapping.time_zone)
    for number, raw in enumerate(raws):
        build.add(number, raw, strict=strict)
    sources = [Source(raw.name, raw.sha256, raw.frame.height + raw.rejected.height) for raw in raws]
    return replace(build.finish(sources), mapping_sha256=mapping.sha256)


@dataclass
class _Build:
    """The rows so far, their places and their problems."""

    table: str
    spec: TableMap
    time_zone: str
    frames: list[pl.DataFrame] = field(default_factory=list)
    problems: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int = 0

    def add(self, number: int, raw: Raw, *, strict: bool) -> None:
        """Parse one file."""
        columns: dict[str, pl.Series] = {}
        row = pl.Series("row", range(self.rows, self.rows + raw.frame.height), dtype=pl.UInt32)
        for column, kind in SCHEMAS[self.table].items():
            spec = self._spec(column, raw, strict=strict)
            if spec is None:
                columns[column] = pl.Series([None], dtype=kind).new_from_index(0, raw.frame.height)
                continue
            setting = Setting(self.table, column, spec, self.time_zone, self.spec.nulls, raw.typed_dates)
            parsed = parse_column(raw.frame, setting)
            columns[column] = parsed.values.cast(kind)
            self.notes.extend(f"{raw.name}, {column}: {note}" for note in parsed.notes)
            self.problems.append(
                pl.DataFrame({"row": row, "reason": parsed.reasons})
                .drop_nulls("reason")
                .select("row", pl.lit(column).alias("column"), "reason")
            )
        frame = pl.DataFrame(columns).with_columns(
            row, raw.lines.alias("line"), pl.lit(raw.name).alias("file"), pl.lit(number).alias("source")
        )
        self.frames.append(frame)
        self.rejected.append(raw.rejected)
        self.notes.extend(raw.notes)
        self.rows += raw.frame.height

    def _spec(self, column: str, raw: Raw, *, strict: bool) -> ColumnMap | None:
        """Return the mapping of a column, or None where this file has none."""
        spec = self.spec.columns.get(column)
        if spec is None:
            return None
        missing = [name for name in spec.columns if name not in raw.frame.columns]
        if not missing:
            return spec
        if not strict and column not in REQUIRED[self.table]:
            return None
        raise RecordsError(
            f"{raw.name!r} must have the column {missing[0]!r}, from which {column} comes; it has "
            f"{', '.join(repr(name) for name in raw.frame.columns[:12])}; correct the mapping or the extract"
        )

    def finish(self, sources: list[Source]) -> Extract:
        """Check rows by themselves and together, and part the good from the rejected."""
        rows = pl.concat(self.frames)
        agreement = None
        if self.table == "reads":
            rows, agreement = _with_findings(rows)
        problems = pl.concat([pl.DataFrame(schema=PROBLEMS), *self.problems])
        good = rows.join(problems.select("row"), on="row", how="anti", maintain_order="left")
        alone = within_rows(self.table, good)
        good = good.join(alone.select("row"), on="row", how="anti", maintain_order="left")
        together = between_rows(self.table, good, overlap_minutes=self.spec.overlap_minutes)
        good = good.join(together.select("row"), on="row", how="anti", maintain_order="left")
        if self.table == "vitals":
            derived = pl.col("weight_kg") / (pl.col("height_cm") / 100.0) ** 2
            good = good.with_columns(pl.coalesce("bmi", derived))
        listed = pl.concat([problems, alone, together]).join(rows.select("row", "file", "line"), on="row", how="left")
        rejected = (
            pl.concat([*self.rejected, listed.select(list(REJECTED))]).unique().sort("file", "line", "column", "reason")
        )
        good = good.select(list(SCHEMAS[self.table]))
        check_contract(self.table, good)
        return Extract(self.table, good, rejected, tuple(sources), tuple(dict.fromkeys(self.notes)), agreement)


def _with_findings(rows: pl.DataFrame) -> tuple[pl.DataFrame, Agreement]:
    """Take the finding from the free text where none is coded, and compare where both are there."""
    agreement = report_agreement(rows["finding"], rows["report"])
    coded = rows["finding"].is_not_null()
    text = classify_reports(pl.select(pl.when(~coded).then(rows["report"])).to_series())
    source = pl.when(coded).then(pl.lit("coded")).when(text.is_not_null()).then(pl.lit("text"))
    return rows.with_columns(
        pl.coalesce("finding", pl.lit(text)).alias("finding"), source.alias("finding_source")
    ), agreement
