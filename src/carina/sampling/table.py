"""The film table: the one input of training, evaluation and calibration, read from CSV or Parquet and checked.

Everything a table may get wrong is found here, before a film is opened: missing columns, labels outside the task,
impossible ages, a film listed twice, a patient in two splits. Messages name rows (1 is the first below the header),
never a patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from carina.errors import TableError, TrainingError
from carina.sampling.groups import UnionFind
from carina.sampling.table_cells import clean_text, labelled, with_ages
from carina.tasks import Task
from carina.tasks.age_cells import OLDEST

__all__ = [
    "SPLITS",
    "FilmTable",
    "patient_key",
    "read_film_table",
    "require_two_classes",
]

SPLITS = ("train", "tune", "calibrate", "test")
"""The four parts of a cohort (M11)."""

_REQUIRED = ("path", "label", "patient_id")
_TEXT = (
    "image_id",
    "source",
    "sex",
    "age_group",
    "view",
    "position",
    "lung_mask",
    "split",
    "episode_id",
    "duplicate_of",
)
_ROW = "\x00row"  # no CSV header of a user reads so
_BLANK = "(blank)"


@dataclass(frozen=True)
class FilmTable:
    """A checked film table.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a film. Columns `image_id`, `path`, `label`, `patient_id` are filled text; `age` (completed years or
        null), `age_low` and `age_high` (from `age`, else from `age_group`) are floats; `row` is the row number in the
        file, from 1. Further columns are kept as read; where the task reads its labels from another column, the table's
        own stand in `label_of_table`.
    folder : Path
        Absolute; `path` and `lung_mask` are relative to it.
    sha256 : str
        Of the table's file, lower-case hex.
    left_out : dict of str to int
        Rows left out because their label is outside the task, by label.
    duplicates : int
        Rows left out because their `duplicate_of` twin stays.
    ages_unusable : int
        Ages that were not blank but no number within 0 to 120 years, set to null.
    outside : int
        Rows left out because the task's ``[labels.where]`` does not want them.
    """

    frame: pl.DataFrame
    folder: Path
    sha256: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    ages_unusable: int = 0
    outside: int = 0

    def __len__(self) -> int:
        return self.frame.height

    @property
    def image_ids(self) -> list[str]:
        """Name of each film, unique."""
        return self._text("image_id")

    @property
    def labels(self) -> list[str]:
        """Class or label set of each film."""
        return self._text("label")

    @property
    def patients(self) -> list[str]:
        """Patient of each film."""
        return self._text("patient_id")

    @property
    def sources(self) -> list[str]:
        """Source of each film; empty text where the table has none."""
        if "source" not in self.frame.columns:
            return [""] * len(self)
        return [value or "" for value in self.frame["source"].to_list()]

    @property
    def paths(self) -> list[Path]:
        """Absolute path of each film."""
        return [self.folder / value for value in self._text("path")]

    @property
    def has_split(self) -> bool:
        """Whether every film has a split."""
        return "split" in self.frame.columns and self.frame["split"].null_count() == 0

    def ages(self) -> NDArray[np.float64]:
        """Age of each film's patient in years, (N,); NaN where unknown."""
        return self.frame["age"].fill_null(float("nan")).to_numpy().astype(np.float64)

    def missing_files(self) -> list[Path]:
        """Films that are not there, in the table's order."""
        return [path for path in self.paths if not path.is_file()]

    def require_files(self) -> None:
        """Refuse a table whose films are not all there.

        Raises
        ------
        TableError
            Names the count and the first three.
        """
        if missing := self.missing_files():
            first = ", ".join(repr(str(path)) for path in missing[:3])
            raise TableError(
                f"every film of the table must exist; {len(missing)} of {len(self)} do not, first {first}; "
                f"paths are relative to the table's folder"
            )

    def part(self, split: str) -> FilmTable:
        """Films of one split.

        Raises
        ------
        TableError
            If the table has no complete `split` column, or no film in this split.
        """
        if split not in SPLITS:
            raise TableError(f"a split must be one of {', '.join(SPLITS)}; found {split!r}")
        if not self.has_split:
            raise TableError("the table must have its `split` column filled to choose films by split")
        chosen = self.with_frame(self.frame.filter(pl.col("split") == split))
        if len(chosen) == 0:
            raise TableError(f"no film of the table is in split {split!r}")
        return chosen

    def with_frame(self, frame: pl.DataFrame) -> FilmTable:
        """Return the same table with other rows or columns."""
        return replace(self, frame=frame)

    def notes(self) -> tuple[str, ...]:
        """Say what was left out or set to unknown, one sentence each."""
        sentences = [
            f"{count} films labelled {label!r} were left out: the task does not know the label"
            for label, count in sorted(self.left_out.items())
        ]
        if self.outside:
            sentences.append(f"{self.outside} films were left out: the task's [labels.where] does not take their rows")
        if self.duplicates:
            sentences.append(f"{self.duplicates} films were left out: the same picture stays under another image_id")
        if self.ages_unusable:
            sentences.append(f"{self.ages_unusable} ages were set to unknown: not a number within 0 to {OLDEST:g}")
        return tuple(sentences)

    def _text(self, column: str) -> list[str]:
        return [str(value) for value in self.frame[column].to_list()]


def read_film_table(path: Path, task: Task, *, strict: bool = False) -> FilmTable:
    """Read and check a film table.

    Parameters
    ----------
    path : Path
        CSV (UTF-8, with header) or Parquet (suffix ``.parquet``). Columns as in the film table contract.
    task : Task
        Says which labels are known.
    strict : bool
        Refuse labels outside the task instead of leaving their films out.

    Returns
    -------
    FilmTable

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column, is empty, lists a film twice, has an unknown split or a patient in
        two splits, or (with `strict`) a label outside the task.
    """
    frame, digest = _load(path)
    frame, outside = labelled(_named_columns(frame, path), task.labels, path)
    frame = _with_ids(_checked_columns(frame, path), path)
    frame, left_out = _known_labels(frame, task, path, strict=strict)
    frame, duplicates = _without_twins(frame)
    frame, unusable = with_ages(frame)
    _check_splits(frame)
    return FilmTable(
        frame=frame,
        folder=path.resolve().parent,
        sha256=digest,
        left_out=left_out,
        duplicates=duplicates,
        ages_unusable=unusable,
        outside=outside,
    )


def require_two_classes(labels: Iterable[str], task: Task) -> None:
    """Refuse to train where nothing is to be told apart.

    Raises
    ------
    TrainingError
        If no two labels exclude each other: ``pneumonia`` and ``covid19`` alone do not, for one holds the other.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> require_two_classes(["normal", "pneumonia"], default_task())
    """
    members = {label: set(task.members(label)) for label in set(labels)}
    if not any(not (one & other) for one in members.values() for other in members.values()):
        raise TrainingError(
            f"training needs films of at least two labels that exclude each other; found only {sorted(members)!r}"
        )


def patient_key(patient_id: str) -> str:
    """Hash of a patient id by which a bundle recognises its training patients without naming them.

    It keeps honest people from mistakes, not attackers from guessing: ids must already be pseudonyms (M6).

    Returns
    -------
    str
        First 16 hex digits of the SHA-256 of the UTF-8 text.

    Examples
    --------
    >>> patient_key("")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(patient_id.encode()).hexdigest()[:16]


def _load(path: Path) -> tuple[pl.DataFrame, str]:
    try:
        content = path.read_bytes()
        frame = (
            # Polars' own reader ends the process on damaged files: its panic is no Exception.
            pl.read_parquet(content, use_pyarrow=True)
            if path.suffix.lower() == ".parquet"
            else pl.read_csv(content, infer_schema=False, truncate_ragged_lines=False)
        )
    except pl.exceptions.NoDataError as error:
        raise TableError(f"a film table must have rows; {str(path)!r} is empty") from error
    except (OSError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise TableError(
            f"a film table must be a readable CSV or Parquet file; {str(path)!r} is not: {_first_line(error)}"
        ) from error
    if frame.height == 0:
        raise TableError(f"a film table must have rows; {str(path)!r} has none")
    return frame, hashlib.sha256(content).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _named_columns(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    names = [name.strip() for name in frame.columns]
    if twice := [number for number, name in enumerate(names, start=1) if names.count(name) > 1]:
        raise TableError(
            f"every column of a film table must have its own name; in {str(path)!r} columns {twice[0]} and {twice[1]} "
            "have one name"
        )
    frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    return frame.drop(_ROW, strict=False).with_row_index(_ROW, offset=1)


def _checked_columns(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if missing := [name for name in _REQUIRED if name not in frame.columns]:
        raise TableError(
            f"a film table must have the columns {', '.join(_REQUIRED)}; {str(path)!r} lacks {', '.join(missing)}"
        )
    text = [name for name in (*_REQUIRED, *_TEXT) if name in frame.columns]
    frame = frame.with_columns(clean_text(name) for name in text)
    for name in ("path", "patient_id"):
        if (blank := frame.filter(pl.col(name).is_null())).height:
            raise TableError(
                f"every row of a film table must have a {name}; {blank.height} do not, first row {blank[_ROW][0]}"
            )
    return frame


def _with_ids(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    stems = pl.Series("image_id", [Path(value).stem for value in frame["path"].to_list()], dtype=pl.String)
    frame = (
        frame.with_columns(pl.col("image_id").fill_null(stems))
        if "image_id" in frame.columns
        else frame.with_columns(stems)
    )
    for name, hint in (("image_id", "give each film its own image_id"), ("path", "list each film once")):
        twice = frame.filter(pl.col(name).is_duplicated())
        if twice.height:
            same = twice.filter(pl.col(name) == twice[name][0])[_ROW].to_list()
            raise TableError(
                f"every {name} of a film table must differ; {str(path)!r} repeats one in rows {same[0]} and {same[1]} "
                f"({twice.height} rows share theirs); {hint}"
            )
    return frame


def _known_labels(frame: pl.DataFrame, task: Task, path: Path, *, strict: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    counts = frame["label"].fill_null(_BLANK).value_counts()
    found = dict(zip(counts["label"].to_list(), counts["count"].to_list(), strict=True))
    left_out = {label: count for label, count in sorted(found.items()) if not task.knows(label)}
    if strict and left_out:
        raise TableError(
            f"with strict labels every label must be in task {task.name!r}; {str(path)!r} also has {left_out!r}"
        )
    kept = frame.filter(pl.col("label").fill_null(_BLANK).is_in(list(left_out)).not_())
    if kept.height == 0:
        raise TableError(f"no film of {str(path)!r} has a label of task {task.name!r}; found {left_out!r}")
    return kept, left_out


def _without_twins(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Keep one film of each set of twins: the one that names no other, else the first."""
    if "duplicate_of" not in frame.columns or frame["duplicate_of"].null_count() == frame.height:
        return frame, 0
    ids, twins = frame["image_id"].to_list(), frame["duplicate_of"].to_list()
    sets = UnionFind()
    for name, twin in zip(ids, twins, strict=True):
        sets.join(name, twin if twin is not None else name)
    keeper: dict[str, int] = {}
    for row in sorted(range(len(ids)), key=lambda row: (twins[row] is not None, row)):
        keeper.setdefault(sets.find(ids[row]), row)
    kept = sorted(keeper.values())
    return frame[kept], frame.height - len(kept)


def _check_splits(frame: pl.DataFrame) -> None:
    if "split" not in frame.columns:
        return
    given = frame.filter(pl.col("split").is_not_null())
    if (unknown := given.filter(pl.col("split").is_in(SPLITS).not_())).height:
        raise TableError(
            f"a split must be one of {', '.join(SPLITS)}; found {unknown['split'][0]!r} in row {unknown[_ROW][0]} "
            f"({unknown.height} such rows)"
        )
    check_patients_apart(given)


def check_patients_apart(frame: pl.DataFrame) -> None:
    """Refuse a patient in two splits (M11).

    Raises
    ------
    TableError
        Names how many patients, and two rows of the first.
    """
    if _ROW not in frame.columns:
        frame = frame.with_row_index(_ROW, offset=1)
    counts = frame.group_by("patient_id").agg(pl.col("split").n_unique().alias("splits"), pl.col(_ROW).min())
    shared = counts.filter(pl.col("splits") > 1).sort(_ROW)
    if shared.height == 0:
        return
    rows = frame.filter(pl.col("patient_id") == shared["patient_id"][0]).sort(_ROW)
    other = rows.filter(pl.col("split") != rows["split"][0])[_ROW][0]
    raise TableError(
        f"a patient must be in one split only; {shared.height} are in two or more, such as rows {rows[_ROW][0]} and "
        f"{other} are one patient; split by patient"
    )
