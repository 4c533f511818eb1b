"""The films to be measured, and the columns that stand beside their features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from carina.errors import InputError, TableError
from carina.evidence.texture_films import MASK_COLUMN, FilmJob
from carina.inference.sources import find_films
from carina.sampling import read_film_table
from carina.tasks import Task

__all__ = ["IDENTITY", "FilmRows", "film_rows", "is_feature"]

IDENTITY = ("image_id", "patient_id", "label", "source")
"""Columns that come first; null where unknown."""

_TABLES = frozenset({".csv", ".parquet"})
_MADE = ("age_low", "age_high")


@dataclass(frozen=True)
class FilmRows:
    """Films and their columns.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a film: `IDENTITY` first, then every further column of the table.
    folder : Path or None
        What `path` and `lung_mask` are relative to; `None` for films named one by one.
    sha256 : str or None
        Of the table's file.
    notes : tuple of str
        What was left out, one sentence each.
    """

    frame: pl.DataFrame
    folder: Path | None
    sha256: str | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.frame.height

    @property
    def image_ids(self) -> list[str]:
        """Name of each film, unique."""
        return [str(value) for value in self.frame["image_id"].to_list()]

    @property
    def films_sha256(self) -> str:
        """Hash of the films' names and files, in order."""
        films = zip(self.image_ids, self.frame["path"].to_list(), strict=True)
        return hashlib.sha256("\n".join(f"{name}\t{path}" for name, path in films).encode()).hexdigest()

    def jobs(self) -> list[FilmJob]:
        """Films as the measurer takes them."""
        masks = self.frame[MASK_COLUMN].to_list() if MASK_COLUMN in self.frame.columns else [None] * len(self)
        return [
            FilmJob(image_id, self._at(str(path)), None if mask is None else self._at(str(mask)))
            for image_id, path, mask in zip(self.image_ids, self.frame["path"].to_list(), masks, strict=True)
        ]

    def _at(self, path: str) -> str:
        return path if self.folder is None else str(self.folder / path)


def is_feature(name: str, kind: pl.DataType) -> bool:
    """Whether a column of a feature table is a feature: a float with a dot in its name.

    Examples
    --------
    >>> is_feature("lungs.original_glcm_Contrast", pl.Float64()), is_feature("age", pl.Float64())
    (True, False)
    """
    return "." in name and kind == pl.Float64


def film_rows(inputs: Sequence[Path], task: Task) -> FilmRows:
    """Films of one table, or of files and folders.

    Parameters
    ----------
    inputs : sequence of Path
        One film table (``.csv``, ``.parquet``), or films and folders, walked at any depth.
    task : Task
        Says which labels a table may hold.

    Returns
    -------
    FilmRows
        Of a table, films labelled outside the task and copies of others (`duplicate_of`) are left out and said; a film
        named twice among files is taken once and said.

    Raises
    ------
    TableError
        If the table breaks its contract, such as by a film listed twice, or stands among other inputs.
    InputError
        If there is no film, or two files have one name.
    """
    tables = [path for path in inputs if path.suffix.lower() in _TABLES and not path.is_dir()]
    if not tables:
        return _named(inputs)
    if len(inputs) > 1:
        raise TableError(f"a film table must stand alone; found {len(inputs)} inputs, {len(tables)} of them tables")
    table = read_film_table(tables[0], task)
    frame = table.frame.drop(_MADE, strict=False).select(pl.exclude(r"^\x00.*$"))
    renamed = {name: name.replace(".", "_") for name, kind in frame.schema.items() if "." in name and kind.is_float()}
    if clash := sorted(set(renamed.values()) & set(frame.columns)):
        raise TableError(f"numbers of a film table may not have a dot in their name; {clash[0]!r} would stand twice")
    notes = table.notes()
    if renamed:
        notes += (f"{len(renamed)} columns of numbers had their dots replaced: a dot marks a feature",)
    return FilmRows(_ordered(frame.rename(renamed)), table.folder, table.sha256, notes)


def _named(inputs: Sequence[Path]) -> FilmRows:
    paths: list[str] = []
    twice = 0
    seen: set[Path] = set()
    for source in find_films(inputs):
        real = Path(source.path).resolve()
        twice += real in seen
        if real not in seen:
            seen.add(real)
            paths.append(source.path)
    if not paths:
        raise InputError("there must be a film to measure; none was found")
    names = [Path(path).stem for path in paths]
    if len(set(names)) != len(names):
        same = next(name for place, name in enumerate(names) if name in names[:place])
        first, second = [place for place, name in enumerate(names, 1) if name == same][:2]
        raise InputError(
            f"films must differ in their file's name, which becomes image_id; films {first} and {second} do not: list "
            "them in a table with image_id"
        )
    frame = pl.DataFrame({"image_id": names, "path": paths}, schema={"image_id": pl.String, "path": pl.String})
    notes = (f"{twice} films were named twice and are measured once",) if twice else ()
    return FilmRows(_ordered(frame), None, None, notes)


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None, pl.String).alias(name) for name in IDENTITY if name not in frame.columns]
    return frame.with_columns(missing).select(*IDENTITY, pl.exclude(*IDENTITY))
