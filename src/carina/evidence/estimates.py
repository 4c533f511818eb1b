"""Means and other figures with intervals by patient (M33)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics import clopper_pearson

__all__ = ["Estimate", "patient_bootstrap", "patient_mean"]

_LEAST_PATIENTS = 2
_FLAT = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes
    ----------
    estimate : float or None
        `None` where nothing could be measured.
    low, high : float or None
        `None` where not estimable: fewer than two patients, or a zero-width interval (M31).
    films, patients : int
        What it rests on.
    level : float
        Confidence level.
    method : str
        Of the interval, in words.

    Examples
    --------
    >>> str(Estimate(0.5, None, None, 1, 1))
    '0.500 (interval not estimable), 1 film'
    """

    estimate: float | None
    low: float | None
    high: float | None
    films: int
    patients: int
    level: float = 0.95
    method: str = "patient bootstrap"

    def __str__(self) -> str:
        if self.estimate is None:
            return "not estimable, 0 films"
        count = "1 film" if self.films == 1 else f"{self.films} films"
        if self.low is None or self.high is None:
            return f"{self.estimate:.3f} (interval not estimable), {count}"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f}), {count}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def patient_mean(
    values: NDArray[np.floating[Any]] | list[float],
    patients: NDArray[Any] | list[str],
    *,
    seed: int,
    level: float = 0.95,
    repeats: int = 2000,
) -> Estimate:
    """Mean over films with a percentile interval over resampled patients.

    Parameters
    ----------
    values : ndarray, (N,)
        One a film; NaN takes no part.
    patients : ndarray, (N,)
        Patient of each film.
    seed : int
    level : float
        In (0, 1).
    repeats : int
        Bootstrap draws.

    Returns
    -------
    Estimate
        Where all films agree on 0 or on 1, the interval is Clopper-Pearson's over the patients: a bootstrap of equal
        values has no width.

    Raises
    ------
    ValueError
        If values and patients differ in number.

    References
    ----------
    C. A. Field, A. H. Welsh, J. R. Stat. Soc. B 69 (2007) 369-390, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> patient_mean([1.0, 1.0, 1.0], ["a", "b", "b"], seed=1).method
    'Clopper-Pearson over patients'
    """
    numbers, owners = np.asarray(values, dtype=np.float64), np.asarray(patients)
    if numbers.shape != owners.shape:
        raise ValueError(f"every value must have a patient; found {numbers.shape} values and {owners.shape} patients")
    known = np.isfinite(numbers)
    numbers, owners = numbers[known], owners[known]
    if not numbers.size:
        return Estimate(None, None, None, 0, 0, level)
    people, owner = np.unique(owners, return_inverse=True)
    mean, count = float(numbers.mean()), len(people)
    if mean in (0.0, 1.0) and bool((numbers == mean).all()):
        limits = clopper_pearson(count if mean else 0, count, level)
        low, high = limits if limits is not None else (None, None)
        return Estimate(mean, low, high, numbers.size, count, level, "Clopper-Pearson over patients")
    sums, sizes = np.bincount(owner, numbers), np.bincount(owner)
    draws = _draws(count, seed, repeats)
    means = (draws @ sums) / (draws @ sizes)
    return _percentiles(mean, means, numbers.size, count, level)


def patient_bootstrap(
    statistic: Callable[[NDArray[np.float64]], float | None],
    patients: NDArray[Any] | list[str],
    *,
    seed: int,
    level: float = 0.95,
    repeats: int = 2000,
) -> Estimate:
    """Give any figure of films a percentile interval over resampled patients.

    Parameters
    ----------
    statistic : callable
        Takes a weight for each film, (N,), how often it was drawn, and gives the figure or `None`.
    patients : ndarray, (N,)
        Patient of each film.
    seed : int
    level : float
        In (0, 1).
    repeats : int
        Bootstrap draws; those without a figure are left out.

    Returns
    -------
    Estimate
    """
    people, owner = np.unique(np.asarray(patients), return_inverse=True)
    whole = statistic(np.ones(len(owner))) if len(owner) else None
    if whole is None:
        return Estimate(None, None, None, 0, 0, level)
    found = [statistic(draw[owner]) for draw in _draws(len(people), seed, repeats)]
    values = np.array([value for value in found if value is not None], dtype=np.float64)
    return _percentiles(float(whole), values, len(owner), len(people), level)


def _draws(count: int, seed: int, repeats: int) -> NDArray[np.float64]:
    """How often each patient is drawn, (repeats, patients)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1.0 / count), size=repeats).astype(np.float64)


def _percentiles(value: float, drawn: NDArray[np.float64], films: int, patients: int, level: float) -> Estimate:
    bare = Estimate(value, None, None, films, patients, level)
    if patients < _LEAST_PATIENTS or not drawn.size:
        return bare
    low, high = (float(limit) for limit in np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2]))
    if high - low <= _FLAT * max(1.0, abs(high)):
        return bare
    return Estimate(value, low, high, films, patients, level)
