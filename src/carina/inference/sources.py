"""Where films come from: files, folders and film tables, one at a time and in a fixed order."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carina.errors import InputError, TableError
from carina.inference.reading import Problem
from carina.tasks.age_cells import parse_age, parse_age_group

__all__ = ["HEATMAPS", "LAYERS", "LUNGS", "OPACITY", "PREDICTIONS", "FilmSource", "find_films", "possible_ages"]

HEATMAPS, LUNGS, OPACITY = "heatmaps", "lungs", "opacity"
LAYERS = (HEATMAPS, LUNGS, OPACITY)
"""Folders beside predictions that hold pictures, which are not films."""
"""Folder of the heatmaps, below the output folder."""
PREDICTIONS = "predictions.jsonl"
"""File of the predictions, in the output folder."""

_FILM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_TABLE_SUFFIXES = frozenset({".csv", ".parquet"})
_TABLE_COLUMNS = ("path", "age", "age_group")
_BATCH = 1024
# A DICOM file: 128 bytes of preamble, then DICM (PS3.10 section 7.1).
_PREAMBLE = 128
_MAGIC = b"DICM"


@dataclass(frozen=True, slots=True)
class FilmSource:
    """One film to be read.

    Attributes
    ----------
    path : str
        The file, as the caller named it or found below what the caller named.
    ages : tuple of float or None
        Youngest and oldest age the film may be of, from its table row, years.
    problem : Problem or None
        Why it cannot even be tried, such as a folder without permission.
    """

    path: str
    ages: tuple[float, float] | None = None
    problem: Problem | None = None


def find_films(inputs: Sequence[Path], *, leave_out: Sequence[Path] = ()) -> Iterator[FilmSource]:
    """Walk files, folders and tables, in the order given.

    A file named is always tried. In a folder, at any depth, a file is a film if its suffix says so or it carries the
    DICOM mark; files come before subfolders, each in the order of their names; hidden files and folders and
    ``DICOMDIR`` are left out, and a folder reached twice, as by a loop of links, is walked once. A table (``.csv``,
    ``.parquet``) gives its column ``path``, relative to the table, and, where there is one, ``age`` or ``age_group``
    such as ``1-5``.

    Parameters
    ----------
    inputs : sequence of Path
    leave_out : sequence of Path
        Folders never walked into: where the layers go.

    Yields
    ------
    FilmSource

    Raises
    ------
    InputError
        If a path named does not exist.
    TableError
        If a table cannot be read or has no column ``path``.
    """
    for path in inputs:
        try:
            # A loop of links raises here, as a missing file does.
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            raise InputError(
                f"films are named by existing files, folders or tables; {str(path)!r}: {error.strerror}"
            ) from error
        if is_folder:
            yield from _folder(path, leave_out)
        elif path.suffix.lower() in _TABLE_SUFFIXES:
            yield from _table(path)
        else:
            yield FilmSource(str(path))


def possible_ages(age: object, age_group: object = None) -> tuple[float, float] | None:
    """Ages a film may be of, from a table's cells; `None` where they say nothing usable.

    Examples
    --------
    >>> possible_ages("63"), possible_ages("", "1-5"), possible_ages("NaN", "adult")
    ((63.0, 63.0), (1.0, 5.0), None)
    """
    years = parse_age(str(age))
    return (years, years) if years is not None else parse_age_group(str(age_group))


def _folder(top: Path, leave_out: Sequence[Path]) -> Iterator[FilmSource]:
    walked = {_identity(str(folder)) for folder in leave_out if folder.is_dir()}
    waiting = [str(top)]
    while waiting:
        folder = waiting.pop()
        try:
            identity = _identity(folder)
            if identity in walked:
                continue
            walked.add(identity)
            films, folders = _list(folder)
        except OSError as error:
            yield FilmSource(folder, problem=Problem("unreadable", f"the folder cannot be read: {error.strerror}"))
            continue
        waiting.extend(os.path.join(folder, name) for name in reversed(folders))  # noqa: PTH118 - plain str, not Path
        for name in films:
            yield FilmSource(os.path.join(folder, name))  # noqa: PTH118 - as above: a Path a film costs more than the str


def _list(folder: str) -> tuple[list[str], list[str]]:
    """Names of the films and subfolders of one folder; names alone, for a folder may hold a million films."""
    films, folders, results = [], [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
                continue
            results |= entry.name == PREDICTIONS
            if _is_folder(entry):
                folders.append(entry.name)
            elif _is_film(entry):
                films.append(entry.name)
    # Beside predictions the pictures are layers of an earlier run, not films.
    return sorted(films), sorted(name for name in folders if not (results and name in LAYERS))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A circle of links, or one to where this user may not look. By its suffix it is reported as a film, else as a
        # folder that cannot be read; either way the films beside it go on.
        return not _has_film_suffix(entry)


def _has_film_suffix(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in _FILM_SUFFIXES  # noqa: PTH122 - as in `_folder`


def _is_film(entry: os.DirEntry[str]) -> bool:
    if _has_film_suffix(entry):
        # A dangling link is listed, so that its film is reported missing; a pipe or device is never opened.
        return entry.is_symlink() or entry.is_file()
    if not entry.is_file():
        return False
    try:
        with Path(entry.path).open("rb") as file:
            return file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:
        return False


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - as in `_folder`
    return (status.st_dev, status.st_ino)


def _table(path: Path) -> Iterator[FilmSource]:
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    for number, (name, age, age_group) in enumerate(rows, start=1):
        if name:
            yield FilmSource(str(path.parent / name), ages=possible_ages(age, age_group))
        else:
            message = f"row {number} of the table names no file in its column 'path'"
            yield FilmSource(f"{path}#{number}", problem=Problem("no_path", message))


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            places = _places(path, next(reader, []))
            for row in reader:
                if row:
                    cells = [row[place].strip() if place is not None and place < len(row) else "" for place in places]
                    yield (cells[0], cells[1], cells[2])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"a film table must be readable CSV in UTF-8; {str(path)!r} is not: {error}") from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    import pyarrow.parquet  # noqa: PLC0415 - 60 ms, and only for such tables

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            places = _places(path, names)
            wanted = [None if place is None else names[place] for place in places]
            kept = [name for name in wanted if name is not None]
            for batch in file.iter_batches(batch_size=_BATCH, columns=kept):
                for row in batch.to_pylist():
                    cells = ["" if name is None else _text(row[name]) for name in wanted]
                    yield (cells[0], cells[1], cells[2])
    except (OSError, ValueError) as error:
        raise TableError(f"a film table must be readable Parquet; {str(path)!r} is not: {error}") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _places(path: Path, names: Sequence[str]) -> list[int | None]:
    stripped = [name.strip() for name in names]
    if "path" not in stripped:
        # The first line is not quoted: without a header it is a patient's.
        raise TableError(f"a film table must have a column 'path' in its first line; {str(path)!r} has none")
    return [stripped.index(name) if name in stripped else None for name in _TABLE_COLUMNS]
