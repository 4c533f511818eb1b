"""A network's scores beside texture: its predictions matched to the films of a feature table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import BundleError, TableError, TaskError
from carina.evidence.judged_films import JudgedFilms, ModelStamp, contrast_scores
from carina.evidence.judged_predictions import read_predictions
from carina.evidence.signature_table import SignatureTable
from carina.inference.bundle import default_bundle_path, load_bundle
from carina.sampling import FilmTable, patient_key, read_film_table
from carina.statistics import bounded_logit
from carina.tasks import Task

__all__ = ["NetworkScores", "judged_scores", "network_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkScores:
    """What a network says of the films of a feature table.

    Attributes
    ----------
    scores : ndarray, (N,)
        Log odds of the contrast; NaN for films without a prediction and for those that the network learned from.
    learned : int or None
        Films left out because the network learned from their patients; `None` where its training films are not known.
    """

    scores: NDArray[np.float64]
    learned: int | None

    @property
    def sentence(self) -> str:
        """What was done about films that the network learned from."""
        if self.learned is None:
            return (
                "Which films the network learned from is not known (--model): its gain rests on films held apart only."
            )
        judged = int(np.isfinite(self.scores).sum())
        return (
            f"The network stands beside texture on {judged} films; {self.learned} of patients it learned from stay out."
        )


def network_scores(
    path: Path,
    table: SignatureTable,
    task: Task,
    contrast: str,
    data: Path | None = None,
    *,
    model: str | None = None,
) -> NetworkScores:
    """Log odds of a contrast from a file of predictions, without films of patients that the network learned from.

    A network says more of films it has seen than of others; beside it texture would look as if it added nothing.

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
    model : str, optional
        The bundle that judged, which remembers whom it learned from; found by itself where it ships with Carina and
        the predictions carry its hash.

    Returns
    -------
    NetworkScores

    Raises
    ------
    TaskError
        If the task has no such contrast.
    TableError
        If the predictions cannot be read, are of other films or of another model.
    BundleError
        If the bundle cannot be read.
    """
    if contrast not in task.contrasts:
        raise TaskError(f"task {task.name!r} has the contrasts {sorted(task.contrasts)}; found {contrast!r}")
    films = read_film_table(data, task) if data is not None else _as_films(table, path)
    judged = read_predictions(path, films, task)
    scores = judged_scores(judged, table, contrast)
    patients = _learned_from(judged.model, model)
    if patients is None:
        return NetworkScores(scores, None)
    seen = np.array([patient_key(str(patient)) in patients for patient in table.column("patient_id").tolist()])
    learned = int((seen & np.isfinite(scores)).sum())
    scores[seen] = np.nan
    return NetworkScores(scores, learned)


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


def _learned_from(stamp: ModelStamp | None, model: str | None) -> frozenset[str] | None:
    """Hashes of the patients a network learned from; `None` where that is not known."""
    if model is not None:
        bundle = load_bundle(model)
        if stamp is not None and stamp.model_sha256 and not bundle.model_sha256.startswith(stamp.model_sha256):
            raise TableError(
                f"the predictions must be of the model named; they are of {stamp.name} {stamp.version} "
                f"({stamp.model_sha256}), it is {bundle.name} {bundle.version} ({bundle.model_sha256[:12]})"
            )
        return bundle.training_films.patients
    if stamp is None or not stamp.model_sha256:
        return None
    try:
        bundle = load_bundle(default_bundle_path(stamp.name))
    except BundleError:  # none of that name ships
        return None
    return bundle.training_films.patients if bundle.model_sha256.startswith(stamp.model_sha256) else None
