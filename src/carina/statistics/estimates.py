"""Figures with their intervals, and the bootstrap by patient (M33)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level, check_repeats
from carina.statistics.intervals import NOT_ESTIMABLE, clopper_pearson

__all__ = ["Estimate", "patient_bootstrap", "patient_mean", "percentile_interval"]

LEAST_PATIENTS = 2
"""Fewer than these cannot be resampled."""

FEW_PATIENTS = 10
"""A bootstrap of fewer patients says so."""

_FLAT = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval and what it rests on.

    Attributes
    ----------
    value : float or None
        `None` where not estimable; `note` says why.
    low, high : float or None
        `None` where no interval can be given, or it would have no width (M31); `note` says why.
    n : int
        Films, or trials, that it rests on.
    patients : int or None
        Patients that it rests on; `None` where the function was not told.
    level : float
        Confidence level.
    method : str
        Of the interval, in words.
    events : int or None
        Of the `n` trials, for a share.
    note : str or None
        What a reader must know, such as ``"not estimable: one class only"``. Takes no part in comparing two estimates.

    Examples
    --------
    >>> str(Estimate(0.5, None, None, 1, 1))
    '0.500 (interval not estimable), 1 film'
    >>> str(Estimate(0.9, 0.555, 0.997, 10, events=9))
    '0.900 (0.555 to 0.997), 9/10'
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    patients: int | None = None
    level: float = 0.95
    method: str = "patient bootstrap"
    events: int | None = None
    note: str | None = field(default=None, compare=False)

    @property
    def estimate(self) -> float | None:
        """The value."""
        return self.value

    @property
    def films(self) -> int:
        """The films, or trials."""
        return self.n

    def __str__(self) -> str:
        if self.value is None:
            return f"{NOT_ESTIMABLE}, {self._count()}"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (interval not estimable), {self._count()}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}), {self._count()}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def _count(self) -> str:
        if self.events is not None:
            return f"{self.events}/{self.n}"
        return "1 film" if self.n == 1 else f"{self.n} films"


def percentile_interval(
    value: float | None,
    drawn: NDArray[np.float64],
    *,
    n: int,
    patients: int,
    level: float = 0.95,
    events: int | None = None,
    method: str = "patient bootstrap",
) -> Estimate:
    """Percentile interval from bootstrap draws; none where it would have no width (M31).

    Parameters
    ----------
    value : float or None
        The figure of the films themselves.
    drawn : ndarray, (R,)
        The figure of each draw; NaN where a draw has none.
    n, patients : int
        Films and patients drawn from.
    level : float
        In (0, 1).
    events : int, optional
        Kept with the estimate.
    method : str

    Returns
    -------
    Estimate
        With a note where draws were left out, where fewer than half have the figure (then without interval), for fewer
        than 10 patients, and where the interval has no width (then without interval).
    """

    def bare(note: str) -> Estimate:
        return Estimate(value, None, None, n, patients, level, method, events, note)

    if value is None:
        return bare(NOT_ESTIMABLE)
    if patients < LEAST_PATIENTS:
        return bare("no interval: fewer than two patients cannot be resampled")
    found = drawn[np.isfinite(drawn)]
    missing = drawn.size - found.size
    if not found.size or missing > found.size:
        return bare(f"no interval: {missing} of {drawn.size} draws do not have the figure")
    low, high = (float(limit) for limit in np.quantile(found, [0.5 - level / 2, 0.5 + level / 2]))
    if high - low <= _FLAT * max(1.0, abs(high)):
        return bare("no interval: the bootstrap's has no width, because the draws agree")
    notes = []
    if missing:
        notes.append(f"{missing} of {drawn.size} draws do not have the figure and were left out")
    if patients < FEW_PATIENTS:
        notes.append(f"{patients} patients are few: a bootstrap of so few covers less than its level")
    return Estimate(value, low, high, n, patients, level, method, events, "; ".join(notes) or None)


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
        If values and patients differ in number, or level or draws are outside their ranges.

    References
    ----------
    C. A. Field, A. H. Welsh, J. R. Stat. Soc. B 69 (2007) 369-390, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> patient_mean([1.0, 1.0, 1.0], ["a", "b", "b"], seed=1).method
    'Clopper-Pearson over patients'
    """
    check_level(level)
    check_repeats(repeats)
    numbers, people_of = np.asarray(values, dtype=np.float64), np.asarray(patients)
    if numbers.shape != people_of.shape:
        raise ValueError(
            f"every value must have a patient; found {numbers.shape} values and {people_of.shape} patients"
        )
    known = np.isfinite(numbers)
    numbers, people_of = numbers[known], people_of[known]
    if not numbers.size:
        return Estimate(None, None, None, 0, 0, level, note="not estimable: no film has a value")
    people, owner = np.unique(people_of, return_inverse=True)
    mean, count = float(numbers.mean()), len(people)
    if mean in (0.0, 1.0) and bool((numbers == mean).all()):
        limits = clopper_pearson(count if mean else 0, count, level)
        low, high = limits if limits is not None else (None, None)
        return Estimate(mean, low, high, numbers.size, count, level, "Clopper-Pearson over patients")
    sums, sizes = np.bincount(owner, numbers), np.bincount(owner)
    draws = _draws(count, seed, repeats)
    means = (draws @ sums) / (draws @ sizes)
    return percentile_interval(mean, means, n=numbers.size, patients=count, level=level)


def patient_bootstrap(
    statistic: Callable[[NDArray[np.float64]], float | None],
    patients: NDArray[Any] | list[str],
    *,
    seed: int,
    level: float = 0.95,
    repeats: int = 2000,
) -> Estimate:
    """Give any figure of films a percentile interval over resampled patients.

    For the measures of M29, calibration and average precision `cluster_bootstrap` does the same much faster.

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

    Raises
    ------
    ValueError
        If level or draws are outside their ranges.
    """
    check_level(level)
    check_repeats(repeats)
    people, owner = np.unique(np.asarray(patients), return_inverse=True)
    whole = statistic(np.ones(len(owner))) if len(owner) else None
    if whole is None:
        return Estimate(None, None, None, 0, 0, level, note=NOT_ESTIMABLE)
    found = [statistic(draw[owner]) for draw in _draws(len(people), seed, repeats)]
    values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    return percentile_interval(float(whole), values, n=len(owner), patients=len(people), level=level)


def _draws(count: int, seed: int, repeats: int) -> NDArray[np.float64]:
    """How often each patient is drawn, (repeats, patients)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1.0 / count), size=repeats).astype(np.float64)
