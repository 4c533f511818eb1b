"""Extracts as they lie on disk: CSV, Parquet or Excel, cell by cell, with the line each row stands on.

Nothing is interpreted here. A CSV row with more or fewer cells than the header is listed, not padded.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from carina.errors import RecordsError
from carina.records.mapping import TableMap

__all__ = ["REJECTED", "Raw", "read_raw"]

REJECTED = pl.Schema({"file": pl.String(), "line": pl.Int64(), "column": pl.String(), "reason": pl.String()})
"""Columns of a list of rejected rows."""

_DELIMITERS = ",;\t|"
_CSV = {".csv", ".txt", ".tsv"}
_PARQUET = {".parquet", ".pq"}
_EXCEL = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
_LARGEST = 8 * 1024**3
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Raw:
    """One file, uninterpreted.

    Attributes
    ----------
    frame : polars.DataFrame
        Cells; text for CSV and Excel, the file's own types for Parquet.
    lines : polars.Series of int
        Where each row starts: the line of a CSV file (1 is the header), the row of a sheet, or the row of a Parquet
        file (1 is the first).
    rejected : polars.DataFrame
        Rows with too many or too few cells, as `REJECTED`.
    name, sha256 : str
        Of the file.
    notes : tuple of str
        What was found out about the file, one sentence each.
    typed_dates : bool
        Whether moments in the cells may be real dates of the file rather than text.
    """

    frame: pl.DataFrame
    lines: pl.Series
    name: str
    sha256: str
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    notes: tuple[str, ...] = ()
    typed_dates: bool = False


def read_raw(path: Path, table: TableMap | None = None) -> Raw:
    """Read a file without interpreting it.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv``, ``.txt``, ``.parquet``, ``.xlsx`` and other spreadsheets.
    table : TableMap or None
        Encoding, delimiter and sheet; found out when None.

    Returns
    -------
    Raw

    Raises
    ------
    RecordsError
        If the file is missing, empty, of another kind, or cannot be decoded.
    """
    kind = path.suffix.lower()
    if kind not in _CSV | _PARQUET | _EXCEL:
        raise RecordsError(
            f"an extract must be a CSV, Parquet or Excel file; found {path.name!r}; export it as one of them"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise RecordsError(
                f"an extract must be at most {_LARGEST // 1024**3} GiB; {path.name!r} is larger; split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise RecordsError(f"an extract must be a readable file; {str(path)!r}: {error.strerror}") from None
    if kind in _CSV:
        return _read_csv(path.name, data, table)
    sha256 = hashlib.sha256(data).hexdigest()
    if kind in _PARQUET:
        return _read_parquet(path.name, data, sha256)
    return _read_excel(path.name, data, sha256, table.sheet if table else None)


def _read_csv(name: str, data: bytes, table: TableMap | None) -> Raw:
    sha256 = hashlib.sha256(data).hexdigest()
    text, notes = _decoded(name, data, table.encoding if table else None)
    header = text[: text.find(b"\n")] if b"\n" in text else text
    if not header.strip():
        raise RecordsError(f"an extract must start with a header; the first line of {name!r} is empty")
    delimiter = (table.delimiter if table else None) or max(_DELIMITERS, key=lambda one: header.count(one.encode()))
    columns = [column.strip() for column in _header(header, delimiter)]
    if len(set(columns)) < len(columns):
        raise RecordsError(f"the columns of an extract must have different names; two of {name!r} share one")
    bad: list[tuple[int, str]] = []

    def keep(row: Any) -> str:
        bad.append((row.number, row.text or ""))
        return "skip"

    try:
        cells = arrow_csv.read_csv(
            io.BytesIO(text),
            # Only one thread knows the number of a row that does not fit.
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=16 * 1024 * 1024),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={column: pa.string() for column in _header(header, delimiter)}, strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise RecordsError(
            f"an extract must be a table with one header; {name!r} cannot be read as one ({type(error).__name__}): "
            f"look for an open quotation mark, or say its delimiter in the mapping"
        ) from None
    frame = pl.from_arrow(cells)
    if not isinstance(frame, pl.DataFrame):
        raise RecordsError(f"an extract must be a table; {name!r} is none")
    frame = frame.select(pl.all().cast(pl.String))
    frame = frame.rename({column: column.strip() for column in frame.columns})
    if _ends_open(text, frame, bad):
        raise RecordsError(
            f"every quotation mark must be closed; one of {name!r} is not, and takes all that follows into one cell; "
            f"correct the extract"
        )
    frame, lines, rejected = _numbered(name, frame, bad)
    return Raw(frame, lines, name, sha256, rejected, tuple(notes))


def _ends_open(text: bytes, frame: pl.DataFrame, bad: list[tuple[int, str]]) -> bool:
    """Whether a quotation mark is open at the end of the file: what follows it would be lost in one cell."""
    number, last = max(bad, default=(0, ""))
    if number == frame.height + len(bad) + 1:
        return last.count('"') % 2 == 1
    runs_over = frame.height > 0 and "\n" in (frame[-1, -1] or "")
    return runs_over and not text.rstrip().endswith(b'"')


def _header(line: bytes, delimiter: str) -> list[str]:
    import csv  # noqa: PLC0415 - for one line of the file

    return next(csv.reader([line.decode("utf-8", "replace").rstrip("\r")], delimiter=delimiter))


def _decoded(name: str, data: bytes, encoding: str | None) -> tuple[bytes, list[str]]:
    """Return the text as UTF-8 without its mark, and a sentence where another encoding was found."""
    notes = []
    if encoding is None:
        encoding = next((of for mark, of in _BOMS.items() if data.startswith(mark)), None)
        if encoding is None:
            encoding = "utf-8"
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                encoding = "cp1252"
                notes.append(f"{name} is not UTF-8 and was read as cp1252; say the encoding in the mapping to be sure")
    if encoding == "utf-8" and not data.startswith(codecs.BOM_UTF8):
        text = data
    else:
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        try:
            text = data.decode(encoding).encode("utf-8")
        except UnicodeDecodeError:
            raise RecordsError(
                f"an extract must be text in UTF-8 or cp1252; {name!r} is neither; save it as UTF-8"
            ) from None
    if b"\0" in text[: 1024 * 1024]:
        raise RecordsError(f"an extract must be text; {name!r} holds binary data; export it as CSV, Parquet or Excel")
    return text, notes


def _numbered(
    name: str, frame: pl.DataFrame, bad: list[tuple[int, str]]
) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame]:
    """Give each row its line: quoted cells may hold line breaks, and rows that do not fit took their place."""
    total = frame.height + len(bad)
    numbers = np.arange(2, total + 2)  # the header is row 1
    skipped = np.isin(numbers, [number for number, _ in bad])
    breaks = np.zeros(total, dtype=np.int64)
    if frame.height:
        inner = frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).cast(pl.Int64)))
        breaks[~skipped] = inner.to_series().to_numpy()
    breaks[skipped] = [text.count("\n") for _, text in bad]
    lines = numbers + np.concatenate([[0], np.cumsum(breaks)[:-1]]) if total else numbers
    rejected = pl.DataFrame(
        [
            (name, int(line), "", _misfit(text))
            for line, (_, text) in zip(lines[skipped], bad, strict=True)
            if text.strip()
        ],
        schema=REJECTED,
        orient="row",
    )
    blank = frame.select(pl.all_horizontal(pl.all().str.strip_chars() == "")).to_series()
    kept = ~blank
    return frame.filter(kept), pl.Series("line", lines[~skipped], dtype=pl.Int64).filter(kept), rejected


def _misfit(text: str) -> str:
    reason = "a row must have as many cells as the header; this one has more or fewer"
    over = text.rstrip().count("\n")
    # Two stray quotation marks swallow the lines between them: they must not be lost in silence.
    return f"{reason}, and runs over {over} more lines: look for a stray quotation mark" if over else reason


def _read_parquet(name: str, data: bytes, sha256: str) -> Raw:
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError):
        raise RecordsError(f"an extract that ends in .parquet must be a Parquet file; {name!r} is none") from None
    lines = pl.Series("line", range(1, frame.height + 1), dtype=pl.Int64)
    return Raw(frame, lines, name, sha256, typed_dates=True)


def _read_excel(name: str, data: bytes, sha256: str, sheet: str | None) -> Raw:
    try:
        import fastexcel  # noqa: PLC0415 - of the extra 'study', for spreadsheets alone
    except ImportError:
        raise RecordsError(
            "reading Excel needs the extra 'study'; install it with: pip install 'carina-cxr[study]'"
        ) from None
    if data.startswith(b"PK"):
        # A spreadsheet is a zip: one that inflates without end would fill the memory.
        try:
            inflated = sum(item.file_size for item in zipfile.ZipFile(io.BytesIO(data)).infolist())
        except zipfile.BadZipFile:
            inflated = 0
        if inflated > _LARGEST:
            raise RecordsError(f"a spreadsheet must be at most {_LARGEST // 1024**3} GiB inflated; {name!r} is larger")
    try:
        book = fastexcel.read_excel(data)
        cells = book.load_sheet(sheet if sheet is not None else 0, header_row=0, dtypes="string")
        frame = cells.to_polars()
    except fastexcel.FastExcelError:
        raise RecordsError(
            f"an extract must be a spreadsheet with the sheet named; {name!r} cannot be read as one"
        ) from None
    frame = frame.select(pl.all().cast(pl.String)).rename({column: column.strip() for column in frame.columns})
    lines = pl.Series("line", range(2, frame.height + 2), dtype=pl.Int64)
    some = (
        frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        if frame.width
        else pl.Series([], dtype=pl.Boolean)
    )
    return Raw(frame.filter(some), lines.filter(some), name, sha256, typed_dates=True)
