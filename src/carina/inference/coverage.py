"""How often the prediction sets hold the truth, on `test` films (M4, M11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.inference.calibration import Calibration, prediction_set
from carina.statistics import Proportion, first_of_each, proportion
from carina.tasks import Task

__all__ = ["CoverageRow", "coverage_report"]

_ALL = "all"


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How often the prediction set held the true class.

    Attributes
    ----------
    label : str
        Class.
    source : str
        ``"all"`` for all sources together.
    covered : Proportion
        Films, the first of each patient, whose set holds the class; exact 95 % interval.
    empty : int
        Films with an empty set.
    mean_size : float
        Classes in a set, mean.
    guaranteed : bool
        Whether the class's quantile rests on enough patients, and never for a hospital unseen by the calibration.
    """

    label: str
    source: str
    covered: Proportion
    empty: int
    mean_size: float
    guaranteed: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def coverage_report(
    probabilities: NDArray[np.floating[Any]],
    labels: Sequence[str],
    patients: Sequence[str],
    *,
    sources: Sequence[str],
    calibration: Calibration,
    task: Task,
) -> tuple[CoverageRow, ...]:
    """Measure coverage by class, and by class and source, on `test` films labelled with one class.

    Parameters
    ----------
    probabilities : ndarray, (N, K)
        Calibrated.
    labels, patients, sources : sequence of str, (N,)
    calibration : Calibration
    task : Task

    Returns
    -------
    tuple of CoverageRow
        By class in the task's order, all sources first; classes without films are left out.
    """
    sets = [prediction_set(row, calibration, task) for row in probabilities]
    names, owners, places = np.asarray(labels), np.asarray(patients), np.asarray(sources)
    rows = []
    for name in task.classes:
        for place in (_ALL, *sorted(set(places[names == name].tolist()))):
            films = np.flatnonzero((names == name) & ((places == place) | (place == _ALL)))
            films = films[first_of_each(owners[films])]
            if not films.size:
                continue
            chosen = [sets[film] for film in films]
            rows.append(
                CoverageRow(
                    label=name,
                    source=place,
                    covered=proportion(sum(name in found for found in chosen), len(chosen)),
                    empty=sum(not found for found in chosen),
                    mean_size=sum(map(len, chosen)) / len(chosen),
                    guaranteed=calibration.conformal.guaranteed[name],
                )
            )
    return tuple(rows)
