"""Films and what a model said of them: the one input of evaluation, audit and reproduction (M28)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from carina.errors import TaskError
from carina.sampling import FilmTable
from carina.tasks import Task

__all__ = ["JudgedFilms", "ModelStamp", "contrast_scores"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """Which model judged.

    Attributes
    ----------
    name, version : str
    model_sha256 : str
        Of ``model.onnx``; of predictions, the digits that they carry.
    path : str or None
        Bundle as the caller named it; `None` where only its predictions are known.
    """

    name: str
    version: str
    model_sha256: str
    path: str | None = None


@dataclass(frozen=True, eq=False)
class JudgedFilms:
    """N films of a table with a model's probabilities.

    Attributes
    ----------
    table : FilmTable
        Rows judged, in the table's order, with all its columns.
    task : Task
    probabilities : ndarray of float64, (N, K)
        Calibrated where the model is; rows sum to 1.
    prediction_sets : tuple of frozenset of str, or None
        Conformal; `None` without calibration.
    decisions : tuple of str, or None
        By the task's rules and the model's thresholds; `None` where they are not known.
    features : ndarray of float32, (N, F), or None
        Pooled features of the network, where a model judged and they were asked for.
    refused : dict of str to str
        Films that could not be judged, by image_id, with the reason.
    unlabelled : dict of str to str
        Predictions without a film in the table, by name, with the reason.
    unmatched : dict of str to str
        Films of the table without a prediction, by image_id, with the reason.
    model : ModelStamp or None
    hashes : tuple of str, or None
        Perceptual hash of each film (`carina.sampling.perceptual_hash`), where a model judged.
    """

    table: FilmTable
    task: Task
    probabilities: NDArray[np.float64]
    prediction_sets: tuple[frozenset[str], ...] | None = None
    decisions: tuple[str, ...] | None = None
    features: NDArray[np.float32] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    unlabelled: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    model: ModelStamp | None = None
    hashes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: Sequence[int] | NDArray[np.integer] | Collection[int]) -> JudgedFilms:
        """Return some films, in the order given.

        Parameters
        ----------
        rows : sequence of int
            From 0.

        Returns
        -------
        JudgedFilms
        """
        places = [int(row) for row in rows]

        return replace(
            self,
            table=self.table.with_frame(self.table.frame[places]),
            probabilities=self.probabilities[places],
            prediction_sets=_some(self.prediction_sets, places),
            decisions=_some(self.decisions, places),
            features=None if self.features is None else self.features[places],
            hashes=_some(self.hashes, places),
        )


def contrast_scores(judged: JudgedFilms, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.intp]]:
    """Score the films on a contrast whose side is known (M2).

    Parameters
    ----------
    judged : JudgedFilms
    name : str
        Contrast of the task.

    Returns
    -------
    scores : ndarray of float64, (M,)
        Probability of the positive side, renormalised over the contrast's classes, in [0, 1].
    positive : ndarray of bool, (M,)
        Gold standard.
    rows : ndarray of int, (M,)
        Of the judged films. A film labelled with a set of classes takes part where all of the set lies on one side.

    Raises
    ------
    TaskError
        If the task has no such contrast.
    """
    if name not in judged.task.contrasts:
        raise TaskError(
            f"task {judged.task.name!r} has the contrasts {sorted(judged.task.contrasts)!r}; found {name!r}"
        )
    truth = judged.task.contrast_truth(name, judged.table.labels)
    rows = np.flatnonzero(~np.isnan(truth))
    return judged.task.contrast_probability(name, judged.probabilities[rows]), truth[rows] == 1.0, rows


def _some(values: tuple[_T, ...] | None, places: Sequence[int]) -> tuple[_T, ...] | None:
    return None if values is None else tuple(values[place] for place in places)
