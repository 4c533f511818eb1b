"""A network's scores beside texture: its predictions matched to the films of a feature table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import TaskError
from carina.evidence.judged_films import JudgedFilms, contrast_scores
from carina.evidence.judged_predictions import read_predictions
from carina.evidence.signature_table import SignatureTable
from carina.sampling import FilmTable, read_film_table
from carina.statistics import bounded_logit
from carina.tasks import Task

__all__ = ["judged_scores", "network_scores"]


def network_scores(
    path: Path, table: SignatureTable, task: Task, contrast: str, data: Path | None = None
) -> NDArray[np.float64]:
    """Log odds of a contrast from a file of predictions.

    Parameters
    ----------
    path : Path
        As `carina.evidence.read_predictions` takes it, such as ``predictions.csv`` or the ``films.parquet`` of an
        evaluation.
    table : SignatureTable
    task : Task
    contrast : str
    data : Path, optional
        Film table, where predictions name files.

    Returns
    -------
    ndarray, (N,)
        NaN for films without a prediction.

    Raises
    ------
    TaskError
        If the task has no such contrast.
    TableError
        If the predictions cannot be read or are of other films.
    """
    if contrast not in task.contrasts:
        raise TaskError(f"task {task.name!r} has the contrasts {sorted(task.contrasts)}; found {contrast!r}")
    films = read_film_table(data, task) if data is not None else _as_films(table, path)
    return judged_scores(read_predictions(path, films, task), table, contrast)


def judged_scores(judged: JudgedFilms, table: SignatureTable, contrast: str) -> NDArray[np.float64]:
    """Log odds of a contrast for each film of a feature table, NaN where it was not judged."""
    scores, _, rows = contrast_scores(judged, contrast)
    names = judged.table.image_ids
    known = {names[row]: float(score) for row, score in zip(rows.tolist(), bounded_logit(scores).tolist(), strict=True)}
    return np.array([known.get(str(name), np.nan) for name in table.column("image_id").tolist()])


def _as_films(table: SignatureTable, path: Path) -> FilmTable:
    """Films of a feature table by name alone; their files are not known and not asked for."""
    frame = table.films.with_columns(pl.col("image_id").alias("path"))
    return FilmTable(frame, path.resolve().parent, table.sha256)
