"""Whether probabilities mean what they say, and the temperature that makes them (M4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from carina.statistics._inputs import known_films
from carina.statistics.intervals import Proportion, proportion

__all__ = [
    "ReliabilityBin",
    "brier_score",
    "expected_calibration_error",
    "fit_temperature",
    "log_loss",
    "reliability_bins",
]

TEMPERATURES = (0.05, 20.0)
"""Range of a fitted temperature."""

_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Films whose probability lies in one bin.

    Attributes
    ----------
    low, high : float
        Edges; the upper edge belongs to the next bin, but for the last.
    films : int
    mean_probability : float or None
        `None` in an empty bin.
    observed : Proportion
        Share that is positive, with its exact interval.
    """

    low: float
    high: float
    films: int
    mean_probability: float | None
    observed: Proportion


def reliability_bins(
    truth: NDArray[Any], probabilities: NDArray[np.floating[Any]], bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Predicted against observed shares in bins of equal width.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    probabilities : ndarray, (N,)
        Of the positive, in [0, 1].
    bins : int
        Number of bins.

    Returns
    -------
    tuple of ReliabilityBin

    Raises
    ------
    ValueError
        If arrays differ in length or a probability of a film with a truth is outside [0, 1] or missing.
    """
    sides, values, _ = known_films(truth, probabilities)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("calibration needs probabilities within 0 and 1; found values outside")
    place = np.minimum((values * bins).astype(int), bins - 1)
    result = []
    for number in range(bins):
        chosen = place == number
        count = int(chosen.sum())
        result.append(
            ReliabilityBin(
                low=number / bins,
                high=(number + 1) / bins,
                films=count,
                mean_probability=float(values[chosen].mean()) if count else None,
                observed=proportion(int(sides[chosen].sum()), count),
            )
        )
    return tuple(result)


def expected_calibration_error(
    truth: NDArray[Any], probabilities: NDArray[np.floating[Any]], bins: int = 10
) -> float | None:
    """Mean distance of predicted and observed share over bins of equal width, weighted by films.

    Parameters as `reliability_bins`.

    Returns
    -------
    float or None
        In [0, 1]; `None` without films.

    References
    ----------
    C. Guo et al., ICML 2017, arXiv:1706.04599, equation 3, with the probability of one outcome for the confidence.

    Examples
    --------
    >>> round(expected_calibration_error(np.array([1, 0]), np.array([0.75, 0.75])), 3)
    0.25
    """
    table = reliability_bins(truth, probabilities, bins)
    films = sum(row.films for row in table)
    if not films:
        return None
    gaps = (
        row.films * abs(row.mean_probability - row.observed.estimate)
        for row in table
        if row.mean_probability is not None and row.observed.estimate is not None
    )
    return sum(gaps) / films


def brier_score(targets: NDArray[Any], probabilities: NDArray[np.floating[Any]]) -> float:
    """Mean squared distance of probabilities and outcomes.

    Parameters
    ----------
    targets, probabilities : ndarray, (N,) or (N, K)
        Outcomes 0 or 1; with K classes the squares are summed over the classes, so that 0 to 2 is the range.

    References
    ----------
    G. W. Brier, Mon. Weather Rev. 78 (1950) 1-3, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> brier_score(np.array([1, 0]), np.array([0.5, 0.5]))
    0.25
    """
    squares = (np.asarray(probabilities, dtype=np.float64) - np.asarray(targets, dtype=np.float64)) ** 2
    return float(squares.reshape(len(squares), -1).sum(axis=1).mean())


def log_loss(targets: NDArray[np.bool_], probabilities: NDArray[np.floating[Any]]) -> float:
    """Mean negative log probability of what each film is labelled with.

    Parameters
    ----------
    targets : ndarray of bool, (N, K)
        True for the classes the label stands for; a label set's probability is the sum of theirs.
    probabilities : ndarray, (N, K)

    Examples
    --------
    >>> round(log_loss(np.array([[True, True, False]]), np.array([[0.25, 0.25, 0.5]])), 4)
    0.6931
    """
    mass = (np.asarray(probabilities, dtype=np.float64) * targets).sum(axis=1)
    return float(-np.log(np.maximum(mass, _TINY)).mean())


def fit_temperature(
    logits: NDArray[np.floating[Any]], targets: NDArray[np.bool_], weights: NDArray[np.floating[Any]] | None = None
) -> float:
    """Temperature of maximum likelihood: softmax(logits / T).

    Parameters
    ----------
    logits : ndarray, (N, K)
    targets : ndarray of bool, (N, K)
        True for the classes the label stands for; a label set's likelihood is the sum of theirs. Films that stand for
        all classes say nothing and have no effect.
    weights : ndarray, (N,), optional
        Of the films; 1 by default.

    Returns
    -------
    float
        Within 0.05 to 20; 1 where no film says anything.

    References
    ----------
    C. Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.
    """
    chosen = targets.any(axis=1) & ~targets.all(axis=1)
    if not chosen.any():
        return 1.0
    values, sides = np.asarray(logits, dtype=np.float64)[chosen], targets[chosen]
    share = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)[chosen]
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(_loss(values, sides, share), bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(np.clip(np.exp(found.x), *TEMPERATURES))


def _loss(
    values: NDArray[np.float64], sides: NDArray[np.bool_], share: NDArray[np.float64]
) -> Callable[[float], float]:
    def loss(log_temperature: float) -> float:
        logs = log_softmax(values / np.exp(log_temperature), axis=1)
        mass = logsumexp(np.where(sides, logs, -np.inf), axis=1)
        return float(-(share * mass).sum() / share.sum())

    return loss
