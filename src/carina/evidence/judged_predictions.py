"""Predictions from a file, matched to the films of a table: of Carina or of any other system."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from carina.errors import TableError
from carina.evidence.judged_films import JudgedFilms, ModelStamp
from carina.sampling import FilmTable
from carina.tasks import Task

__all__ = ["read_predictions"]

_TOLERANCE = 1e-3
_SHOWN = 3
_NO_FILM = "the table has no such film"
_NO_PREDICTION = "the predictions have no such film"


def read_predictions(path: Path, table: FilmTable, task: Task) -> JudgedFilms:
    """Read predictions and match them to a table's films.

    Parameters
    ----------
    path : Path
        ``predictions.jsonl`` or ``predictions.csv`` of `carina predict`, or any CSV or Parquet with a column `image_id`
        or `file` and a column ``probabilities.<class>`` for each class of the task. A `file` is matched by its path,
        else by the end of it.
    table : FilmTable
        Gives the labels.
    task : Task

    Returns
    -------
    JudgedFilms
        Films of the table that have probabilities, in its order.

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column, names a film twice, has no film of the table, or has probabilities
        that are no number, outside [0, 1] or not summing to one (within 0.001).
    """
    rows = _read(path)
    if not rows:
        raise TableError(f"predictions must have rows; {str(path)!r} has none")
    _check_columns(rows[0], task, path)
    places = _matched(rows, table, path)
    known = {place for place in places if place is not None}
    if not known:
        raise TableError(
            f"predictions must be of films of the table; none of the {len(rows)} predictions of {str(path)!r} is: "
            "their image_id or file names none of its films"
        )
    names = table.image_ids
    judged: dict[int, NDArray[np.float64]] = {}
    refused: dict[str, str] = {}
    lines: dict[int, Mapping[str, Any]] = {}
    for number, (place, row) in enumerate(zip(places, rows, strict=True), start=1):
        if place is None:
            continue
        values = _probabilities(row, task, number, path)
        if values is None:
            refused[names[place]] = _why(row)
        else:
            judged[place], lines[place] = values, row
    if not judged:
        first = next(iter(refused.values()))
        raise TableError(f"predictions must have probabilities; none of {len(rows)} has any: {first}")
    order = sorted(judged)
    return JudgedFilms(
        table=table.with_frame(table.frame[order]),
        task=task,
        probabilities=np.stack([judged[place] for place in order]),
        prediction_sets=_sets([lines[place] for place in order], task),
        decisions=_decisions([lines[place] for place in order]),
        refused=refused,
        unlabelled={_name(row): _NO_FILM for place, row in zip(places, rows, strict=True) if place is None},
        unmatched={name: _NO_PREDICTION for place, name in enumerate(names) if place not in known},
        model=_stamp(rows[0]),
    )


def _read(path: Path) -> list[dict[str, Any]]:
    """Rows as flat mappings, keys joined with dots."""
    wrong = f"predictions must be a readable JSONL, CSV or Parquet file; {str(path)!r} is not"
    try:
        if path.suffix.lower() in {".jsonl", ".ndjson"}:
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            return [_flat(json.loads(line)) for line in lines]
        content = path.read_bytes()
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(content, use_pyarrow=True).to_dicts()
        frame = pl.read_csv(content, infer_schema=False)
    except pl.exceptions.NoDataError:
        return []
    except (OSError, ValueError, AttributeError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise TableError(f"{wrong}: {(str(error).splitlines() or ['no reason given'])[0]}") from error
    return frame.rename({name: name.strip() for name in frame.columns}).to_dicts()


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{before}{key}."))
        else:
            flat[f"{before}{key}"] = value
    return flat


def _check_columns(row: Mapping[str, Any], task: Task, path: Path) -> None:
    if "image_id" not in row and "file" not in row:
        raise TableError(f"predictions must have a column image_id or file; {str(path)!r} has neither")
    missing = [name for name in task.classes if f"probabilities.{name}" not in row]
    # A refused film's line of JSON has no probabilities at all.
    if missing and row.get("probabilities", "") is not None:
        raise TableError(
            f"predictions must have a column probabilities.<class> for each class of task {task.name!r}; {str(path)!r} "
            f"lacks {', '.join(missing)}"
        )


def _matched(rows: Sequence[Mapping[str, Any]], table: FilmTable, path: Path) -> list[int | None]:
    """Row of the table for each prediction."""
    by_name = {name: place for place, name in enumerate(table.image_ids)}
    by_path = {str(film): place for place, film in enumerate(table.paths)}
    by_end = {str(value): place for place, value in enumerate(table.frame["path"].to_list())}
    places: list[int | None] = []
    for row in rows:
        image = _text(row.get("image_id"))
        file = _text(row.get("file"))
        places.append(by_name.get(image) if image else _by_file(file, by_path, by_end))
    seen: dict[int, int] = {}
    for number, place in enumerate(places, start=1):
        if place is not None and place in seen:
            raise TableError(
                f"predictions must name each film once; {str(path)!r} names one in rows {seen[place]} and {number}"
            )
        if place is not None:
            seen[place] = number
    return places


def _by_file(file: str, by_path: Mapping[str, int], by_end: Mapping[str, int]) -> int | None:
    if not file:
        return None
    whole = Path(file)
    place = by_path.get(str(whole if whole.is_absolute() else whole.absolute()))
    parts = whole.parts
    for start in range(len(parts)):
        if place is not None:
            break
        place = by_end.get(str(Path(*parts[start:])))
    return place


def _probabilities(row: Mapping[str, Any], task: Task, number: int, path: Path) -> NDArray[np.float64] | None:
    cells = [row.get(f"probabilities.{name}") for name in task.classes]
    if all(cell is None or cell == "" for cell in cells):
        return None
    try:
        values = np.array([float(str(cell)) for cell in cells], dtype=np.float64)
    except ValueError:
        values = np.full(len(cells), np.nan)
    where = f"row {number} of {str(path)!r}"
    if not np.isfinite(values).all():
        raise TableError(f"probabilities must be numbers; {where} has one that is not")
    if (values < -_TOLERANCE).any() or (values > 1 + _TOLERANCE).any():
        raise TableError(f"probabilities must lie in [0, 1]; {where} has {values.min():g} to {values.max():g}")
    if abs(values.sum() - 1.0) > _TOLERANCE:
        raise TableError(
            f"the probabilities of a film must sum to one (within {_TOLERANCE:g}); those in {where} sum to "
            f"{values.sum():.4f}"
        )
    values = np.clip(values, 0.0, 1.0)
    return np.asarray(values / values.sum())


def _why(row: Mapping[str, Any]) -> str:
    reasons = (row.get("error.message"), row.get("reason"))
    return next((str(reason) for reason in reasons if reason), "it has no probabilities")


def _sets(rows: Sequence[Mapping[str, Any]], task: Task) -> tuple[frozenset[str], ...] | None:
    found = []
    for row in rows:
        value = row.get("prediction_set")
        try:
            names = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return None
        if not isinstance(names, list) or not set(names) <= set(task.classes):
            return None
        found.append(frozenset(names))
    return tuple(found)


def _decisions(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    found = tuple(_text(row.get("decision")) for row in rows)
    return found if all(found) and "uncalibrated" not in found else None


def _stamp(row: Mapping[str, Any]) -> ModelStamp | None:
    name, version, digest = (_text(row.get(f"model.{key}")) for key in ("name", "version", "sha256"))
    return ModelStamp(name, version, digest) if name else None


def _name(row: Mapping[str, Any]) -> str:
    return _text(row.get("image_id")) or Path(_text(row.get("file"))).name


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
