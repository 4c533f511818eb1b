"""Operating points fixed beforehand, and what they call (M30): never chosen on the films that are evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carina.errors import SettingsError
from carina.evidence.judged_films import JudgedFilms
from carina.inference import Calibration
from carina.tasks import Task, Threshold, decide

__all__ = [
    "Calls",
    "OperatingThreshold",
    "call_scores",
    "decided_without_ages",
    "decision_calls",
    "is_conditional",
    "operating_thresholds",
    "primary_contrasts",
]

Calls: TypeAlias = NDArray[np.int8]
"""1 called positive, -1 called negative, 0 indeterminate."""

_HALF = 0.5
_ANY_AGE = (0.0, 200.0)
_SOME_AGE = 50.0


@dataclass(frozen=True, slots=True)
class OperatingThreshold:
    """Where a contrast is called.

    Attributes
    ----------
    low, high : float
        Below `low` negative, at or above `high` positive, between them indeterminate.
    origin : str
        Who fixed it, in words.
    """

    low: float
    high: float
    origin: str

    @property
    def band(self) -> bool:
        """Whether some films are indeterminate."""
        return self.low < self.high


def operating_thresholds(
    task: Task, calibration: Calibration | None, given: Mapping[str, float] | None = None
) -> dict[str, OperatingThreshold]:
    """Threshold of each contrast: given, else set on `calibrate`, else one half.

    Parameters
    ----------
    task : Task
    calibration : Calibration or None
        Of the model.
    given : mapping of contrast to float, optional
        In [0, 1].

    Returns
    -------
    dict of contrast to OperatingThreshold

    Raises
    ------
    SettingsError
        If a threshold is given for an unknown contrast or outside [0, 1].
    """
    chosen = dict(given or {})
    if unknown := sorted(set(chosen) - set(task.contrasts)):
        raise SettingsError(f"thresholds are of the task's contrasts, {', '.join(task.contrasts)}; found {unknown!r}")
    if outside := [value for value in chosen.values() if not 0.0 <= value <= 1.0]:
        raise SettingsError(f"a threshold lies in [0, 1]; found {outside[0]!r}")
    result = {}
    for name in task.contrasts:
        record = None if calibration is None else calibration.thresholds.get(name)
        if name in chosen:
            result[name] = OperatingThreshold(chosen[name], chosen[name], "given as an option")
        elif record is not None:
            result[name] = OperatingThreshold(record.low, record.high, "set on the model's calibration films")
        else:
            result[name] = OperatingThreshold(_HALF, _HALF, "one half, for none was set beforehand")
    return result


def call_scores(scores: NDArray[np.float64], threshold: OperatingThreshold) -> Calls:
    """Call films by their score.

    Examples
    --------
    >>> call_scores(np.array([0.1, 0.5, 0.9]), OperatingThreshold(0.3, 0.7, "")).tolist()
    [-1, 0, 1]
    """
    return np.where(scores >= threshold.high, 1, np.where(scores < threshold.low, -1, 0)).astype(np.int8)


def decided_without_ages(
    task: Task, probabilities: NDArray[np.float64], thresholds: Mapping[str, OperatingThreshold]
) -> tuple[str, ...]:
    """Decide by the task's rules for films of a system whose training ages are not known; no age is refused."""
    cuts = {name: Threshold(one.low, one.high, _ANY_AGE) for name, one in thresholds.items()}
    return tuple(decide(task, row, cuts, _SOME_AGE).name for row in probabilities)


def decision_calls(judged: JudgedFilms, contrast: str, decisions: tuple[str, ...]) -> Calls:
    """Call a contrast among all films by what was decided: positive where one of its positive classes was (M30 b).

    Returns
    -------
    ndarray of int8, (N,)
        1 or -1: a film decided otherwise, or not decided, is not called positive.
    """
    positive = set(judged.task.contrasts[contrast].positive)
    return np.array([1 if name in positive else -1 for name in decisions], dtype=np.int8)


def is_conditional(task: Task, contrast: str) -> bool:
    """Whether a contrast asks given that some classes do not hold, so that M30's two denominators differ."""
    chosen = task.contrasts[contrast]
    return set(chosen.positive) | set(chosen.negative) != set(task.classes)


def primary_contrasts(task: Task) -> tuple[str, ...]:
    """Contrasts of the primary family (M31): conditional ones that a decision rule reads; without any, all it reads.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> primary_contrasts(default_task())
    ('covid19_given_pneumonia', 'bacterial_given_pneumonia_without_covid19')
    """
    read = tuple(dict.fromkeys(rule.contrast for rule in task.decision.rules))
    return tuple(name for name in read if is_conditional(task, name)) or read


def truth_among_all(task: Task, contrast: str, labels: Any) -> NDArray[np.float64]:
    """Gold standard of a contrast among all films: 1 in its positive classes, 0 outside them, NaN where not known."""
    positive = set(task.contrasts[contrast].positive)
    result = np.full(len(labels), np.nan)
    for row, label in enumerate(labels):
        members = set(task.members(label))
        if members <= positive:
            result[row] = 1.0
        elif not members & positive:
            result[row] = 0.0
    return result
