"""Columns of a large table read a few films at a time, so that nothing is in memory twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from carina.errors import TableError

__all__ = ["ColumnFile", "Looked", "is_feature", "looked_over", "open_columns", "values_of"]

_BATCH = 256
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ColumnFile:
    """A table whose many columns of numbers stay in the file.

    Attributes
    ----------
    path : Path
    names : tuple of str, (F,)
        Columns that stay there.
    rest : polars.DataFrame
        Every other column.
    sha256 : str
    held : polars.DataFrame or None
        The whole table, where its format can only be read whole.
    """

    path: Path
    names: tuple[str, ...]
    rest: pl.DataFrame
    sha256: str
    held: pl.DataFrame | None = None

    def batches(self, names: Sequence[str]) -> Iterator[_Floats]:
        """Values (n, F) of columns in the order asked for, the table's rows in order; NaN where there is no number."""
        if self.held is not None:
            for start in range(0, self.held.height, _BATCH):
                yield _numbers(self.held[start : start + _BATCH].select(names))
            return
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):  # all groups at once would stay in memory to the end
                for batch in file.iter_batches(_BATCH, row_groups=[group], columns=list(names)):
                    yield _numbers(pl.DataFrame(pl.from_arrow(batch)).select(names))

    def about(self, key: str) -> dict[str, Any]:
        """JSON object that the file's metadata hold under a key; empty where they hold none."""
        said = None if self.held is not None else (pq.read_schema(self.path).metadata or {}).get(key.encode())
        return {} if said is None else dict(json.loads(said))


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What a first look over the rows found.

    Attributes
    ----------
    low, high : ndarray of float64, (F,)
        Of the rows asked about; infinity and its opposite where a column has no number.
    empty : ndarray of bool, (N,)
        Rows without any number.
    """

    low: _Floats
    high: _Floats
    empty: NDArray[np.bool_]


def is_feature(name: str, kind: pl.DataType) -> bool:
    """Whether a column holds a feature: numbers, and a dot in its name."""
    return "." in name and (kind.is_numeric() or kind == pl.Null)


def open_columns(path: Path, stays: Callable[[str, pl.DataType], bool]) -> ColumnFile:
    """Open a Parquet or CSV table.

    Parameters
    ----------
    path : Path
    stays : callable
        Whether a column of a name and type stays in the file.

    Raises
    ------
    TableError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
        if path.suffix.lower() == ".csv":
            frame = pl.read_csv(path, infer_schema_length=None, schema_overrides={"image_id": pl.String})
            names = tuple(name for name, kind in frame.schema.items() if stays(name, kind))
            return ColumnFile(path, names, frame.drop(names), digest, frame)
        with pq.ParquetFile(path) as file:
            kinds = pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table())).schema
            names = tuple(name for name, kind in kinds.items() if stays(name, kind))
            rest = [name for name in kinds if name not in set(names)]
            return ColumnFile(path, names, pl.DataFrame(pl.from_arrow(file.read(rest))), digest)
    except (OSError, ValueError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise TableError(f"a table must be a readable Parquet or CSV file; {str(path)!r} is not: {first}") from error


def looked_over(file: ColumnFile, rows: NDArray[np.bool_]) -> Looked:
    """Look over the columns that stay in the file: which hold nothing, and between what their values lie.

    Parameters
    ----------
    file : ColumnFile
    rows : ndarray of bool, (N,)
        Whose values count for `low` and `high`.
    """
    low, high = np.full(len(file.names), np.inf), np.full(len(file.names), -np.inf)
    empty = np.ones(len(rows), np.bool_)
    start = 0
    for values in file.batches(file.names):
        known = np.isfinite(values)
        here = slice(start, start + len(values))
        empty[here] = ~known.any(axis=1)
        known &= rows[here, None]
        low = np.minimum(low, np.where(known, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, values, -np.inf).max(axis=0))
        start += len(values)
    return Looked(low, high, empty)


def values_of(file: ColumnFile, names: Sequence[str], rows: NDArray[np.bool_]) -> _Floats:
    """Values (n, F) of some columns and rows, NaN where there is no finite number."""
    out = np.empty((int(rows.sum()), len(names)))
    start = place = 0
    for values in file.batches(names):
        chosen = values[rows[start : start + len(values)]]
        out[place : place + len(chosen)] = chosen
        start, place = start + len(values), place + len(chosen)
    out[~np.isfinite(out)] = np.nan
    return out


def _numbers(frame: pl.DataFrame) -> _Floats:
    return np.asarray(frame.cast(pl.Float64).to_numpy(), np.float64)
