"""The feature table on disk: Parquet, one row a film, with what it depends on in its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from carina.errors import OutputError, TableError
from carina.evidence.texture_columns import open_columns, values_of
from carina.evidence.texture_films import FilmMeasured, MeasureOptions
from carina.evidence.texture_rows import FilmRows
from carina.texture import TextureSettings

__all__ = ["METADATA", "OUTCOME", "FeatureTable", "measured_as", "read_features", "write_features"]

METADATA = "carina_texture"
"""Key of the file's metadata: JSON with settings, models and versions."""

OUTCOME = ("status", "error", "lung_flags", "film_sha256", "same_film_as")
"""Columns after the features that say what became of a film."""

_GROUP = 512


@dataclass(frozen=True)
class FeatureTable:
    """A feature table.

    Attributes
    ----------
    films : polars.DataFrame
        Every column but the features, one row a film.
    features : tuple of str
    values : ndarray of float64, (N, F)
        NaN where not measured.
    about : dict
        What the table depends on.
    """

    films: pl.DataFrame
    features: tuple[str, ...]
    values: NDArray[np.float64]
    about: dict[str, Any]

    def __len__(self) -> int:
        return self.films.height

    def of(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Values of these features, (N, F)."""
        if tuple(columns) == self.features:
            return self.values
        place = {name: number for number, name in enumerate(self.features)}
        return self.values[:, [place[name] for name in columns]]


def write_features(
    path: Path, rows: FilmRows, columns: Sequence[str], measured: Iterator[FilmMeasured], about: Mapping[str, Any]
) -> int:
    """Write the table, 512 films at a time, whole or not at all.

    Parameters
    ----------
    path : Path
    rows : FilmRows
    columns : sequence of str
        Names of the features.
    measured : iterator of FilmMeasured
        One for each film, in the order of the rows.
    about : mapping
        Goes into the metadata, as JSON.

    Returns
    -------
    int
        Films whose file has the same content as another's; they name it in `same_film_as`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    TableError
        If a column of the table has the name of a feature or of an outcome.
    """
    frame = rows.frame
    if clash := sorted(set(frame.columns) & {*columns, *OUTCOME}):
        raise TableError(
            f"a film table may not have a column of the name {clash[0]!r}: the feature table makes its own"
        )
    known = frame.head(0).to_arrow().schema
    fields = [*known, *(pa.field(name, pa.float64()) for name in columns), *(pa.field(n, pa.string()) for n in OUTCOME)]
    schema = pa.schema(fields, metadata={METADATA: json.dumps(about, sort_keys=True)})
    first: dict[str, str] = {}
    part = path.with_name(path.name + ".part")
    twins = 0
    try:
        with pq.ParquetWriter(
            part, schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
        ) as writer:
            for start in range(0, frame.height, _GROUP):
                here = frame.slice(start, _GROUP)
                films = [next(measured) for _ in range(here.height)]
                same = [_twin(film, first) for film in films]
                twins += sum(twin is not None for twin in same)
                writer.write_table(_group(here, films, same, schema))
        part.replace(path)
    except OSError as error:
        raise OutputError(f"the feature table must be writable; {str(path)!r}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return twins


def read_features(path: Path) -> FeatureTable:
    """Read a feature table.

    Parameters
    ----------
    path : Path
        As `write_features` wrote it, or any Parquet file with `image_id` and float64 columns with a dot in their name;
        read a few films at a time.

    Returns
    -------
    FeatureTable

    Raises
    ------
    TableError
        If it cannot be read, has no features, no `image_id`, or a film twice.
    """
    file = open_columns(path, lambda name, kind: "." in name and kind == pl.Float64())
    if not file.names or "image_id" not in file.rest.columns:
        raise TableError(
            f"a feature table must have the column image_id and features, numbers with a dot in their name; "
            f"{str(path)!r} has {len(file.names)} features"
        )
    if (twice := file.rest["image_id"].is_duplicated().sum()) > 0:
        raise TableError(f"every film of a feature table must stand once; {twice} rows of {str(path)!r} share image_id")
    values = values_of(file, file.names, np.ones(file.rest.height, np.bool_))
    return FeatureTable(file.rest, file.names, values, file.about(METADATA))


def measured_as(table: FeatureTable, options: MeasureOptions) -> MeasureOptions:
    """Options under which more films are measured as the table's were, in the regions of `options` that it has.

    Raises
    ------
    TableError
        If the table does not say, or its features are others than those settings give.
    """
    about = table.about
    try:
        settings = TextureSettings.from_json(json.dumps(about["settings"]))
        found = replace(
            options,
            settings=settings,
            regions=tuple(name for name in about["regions"] if name in options.regions),
            lungs=about["lungs"]["from"],
            doubtful=bool(about["doubtful_lungs_measured"]),
        )
    except (KeyError, TypeError) as error:
        raise TableError(
            "a feature table must say how it was measured; this one, not of `carina texture`, does not"
        ) from error
    if not set(found.columns) <= set(table.features):
        raise TableError("a feature table must have the features of its settings; this one has others: measure again")
    return found


def _twin(film: FilmMeasured, first: dict[str, str]) -> str | None:
    if film.content_sha256 is None:
        return None
    known = first.setdefault(film.content_sha256, film.image_id)
    return None if known == film.image_id else known


def _group(frame: pl.DataFrame, films: list[FilmMeasured], same: list[str | None], schema: pa.Schema) -> pa.Table:
    if [film.image_id for film in films] != [str(value) for value in frame["image_id"].to_list()]:
        raise OutputError("the films of the feature table must come in the table's order; they did not")
    values = np.stack([film.values for film in films])
    outcome: tuple[list[str | None], ...] = (
        [film.status for film in films],
        [film.error for film in films],
        [film.lung_flags for film in films],
        [film.content_sha256 for film in films],
        same,
    )
    left = frame.to_arrow().cast(pa.schema(list(schema)[: frame.width]))
    arrays = [*left.columns, *(np.ascontiguousarray(column) for column in values.T)]
    arrays += [pa.array(column, pa.string()) for column in outcome]
    return pa.table(arrays, schema=schema)
