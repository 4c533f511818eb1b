"""From probabilities to one word a film, by the task's rules (M2, M30)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TaskError
from carina.tasks.task import Task

__all__ = ["Decision", "Threshold", "decide"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a contrast's decision turns.

    Attributes
    ----------
    low, high : float
        In [0, 1], low <= high. Below `low` the rule's `below` holds, at or above `high` its `above`; between them the
        contrast is indeterminate. Equal for a single threshold.
    ages : tuple of float or None
        Youngest and oldest age, in completed years, that trained both sides of the contrast; `None` where not known.
    """

    low: float
    high: float
    ages: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One film's decision and why.

    Attributes
    ----------
    name : str
        Such as ``"normal"``, ``"covid19"`` or ``"pneumonia_indeterminate"``.
    reason : str
        One sentence.
    """

    name: str
    reason: str


def decide(
    task: Task,
    probabilities: NDArray[np.floating[Any]],
    thresholds: Mapping[str, Threshold],
    age_years: float | None,
) -> Decision:
    """Apply the task's decision rules to one film, in order.

    Parameters
    ----------
    task : Task
    probabilities : ndarray, (K,)
        Calibrated class probabilities.
    thresholds : mapping of contrast to Threshold
        Those of the same model, set on `calibrate`.
    age_years : float or None
        Age at the film.

    Returns
    -------
    Decision

    Raises
    ------
    TaskError
        If a rule's contrast has no threshold.

    Notes
    -----
    Outside the ages that trained an age-bound contrast, unknown age included, its rule is silent and says so in the
    reason; where no other rule decides, the decision is the task's `otherwise` (M2).
    """
    silent: list[str] = []
    for rule in task.decision.rules:
        threshold = thresholds.get(rule.contrast)
        if threshold is None:
            raise TaskError(f"the decision needs a threshold for {rule.contrast!r}; calibrate the bundle first")
        if task.contrasts[rule.contrast].age_bound and (why := _outside(age_years, threshold.ages)):
            silent.append(f"{rule.contrast} is not decided: {why}")
            continue
        value = float(task.contrast_probability(rule.contrast, probabilities))
        if rule.above is not None and value >= threshold.high:
            said = f"{rule.contrast} {value:.3f} is at or above {threshold.high:.3f}"
            return Decision(rule.above, "; ".join((said, *silent)))
        if rule.below is not None and value < threshold.low:
            said = f"{rule.contrast} {value:.3f} is below {threshold.low:.3f}"
            return Decision(rule.below, "; ".join((said, *silent)))
    return Decision(task.decision.otherwise, "; ".join(silent) or "no rule of the task decided")


def _outside(age_years: float | None, ages: tuple[float, float] | None) -> str | None:
    if ages is None:
        return "the films that trained it have no common age range"
    if age_years is None:
        return f"the age is unknown, and it was trained on ages {ages[0]:g} to {ages[1]:g}"
    if not ages[0] <= np.floor(age_years) <= ages[1]:
        return f"age {np.floor(age_years):g} is outside the ages {ages[0]:g} to {ages[1]:g} that trained it"
    return None
