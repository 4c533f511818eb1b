"""ROC and precision-recall curves with bands by patient (M29, M33)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level, check_repeats, known_films, owners
from carina.statistics._resampling import patient_draws
from carina.statistics.estimates import FEW_PATIENTS, LEAST_PATIENTS
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["Band", "PrCurve", "RocCurve", "average_precision", "pr_curve", "roc_curve"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """Pointwise interval of a curve.

    Attributes
    ----------
    at : ndarray, (G,)
        False positive rates, or recalls.
    low, high : ndarray, (G,)
        Limits of the sensitivity, or of the precision, there; NaN where most draws have none.
    level : float
    patients : int
    """

    at: _Floats
    low: _Floats
    high: _Floats
    level: float
    patients: int


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Sensitivity against the false positive rate at each threshold.

    Attributes
    ----------
    fpr, tpr, thresholds : ndarray, (T,)
        From (0, 0), threshold infinity, to (1, 1); called positive at or above the threshold. Empty where not
        estimable.
    band : Band or None
        Pointwise; `None` without patients, or where it cannot be had.
    note : str or None
    """

    fpr: _Floats
    tpr: _Floats
    thresholds: _Floats
    band: Band | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PrCurve:
    """Precision (PPV) against recall (sensitivity) at each threshold.

    Attributes
    ----------
    recall, precision, thresholds : ndarray, (T,)
        By falling threshold; recall rises. Empty where not estimable.
    prevalence : float or None
        Precision of a blind guess: average precision belongs to it.
    band : Band or None
        Pointwise; `None` without patients, or where it cannot be had.
    note : str or None
    """

    recall: _Floats
    precision: _Floats
    thresholds: _Floats
    prevalence: float | None
    band: Band | None = None
    note: str | None = None


def roc_curve(
    truth: NDArray[Any],
    scores: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    *,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
    grid: int = 101,
) -> RocCurve:
    """ROC curve, and with patients its pointwise band.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    scores : ndarray, (N,)
        Finite.
    groups : ndarray, (N,), optional
        Patient of each film: gives the band, percentiles over resampled patients of the sensitivity at `grid` false
        positive rates, linear between thresholds.
    seed, repeats, level
        Of the band.
    grid : int
        Points of the band, at least 2.

    Returns
    -------
    RocCurve
        Points on straight lines between their neighbours are left out. Not estimable where one side has no film.

    Raises
    ------
    ValueError
        If arrays differ in length, scores are not finite or a setting is outside its range.

    Examples
    --------
    >>> curve = roc_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> curve.fpr.tolist(), curve.tpr.tolist(), curve.thresholds.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0], [inf, 0.8, 0.4, 0.35, 0.1])
    """
    sides, values, known = known_films(truth, scores, groups)
    positives, negatives = int(sides.sum()), int((~sides).sum())
    empty = np.empty(0)
    if not positives or not negatives:
        return RocCurve(empty, empty, empty, note=f"{NOT_ESTIMABLE}: one class only")
    cuts, tp, fp, _ = _steps(sides, values)
    kept = np.ones(cuts.size, dtype=bool)
    kept[1:-1] = (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0)
    band, note = None, None
    if groups is not None:
        places = np.linspace(0.0, 1.0, grid)
        band, note = _band(sides, values, np.asarray(groups)[known], places, (seed, repeats, level), roc=True)
    return RocCurve(
        np.concatenate([[0.0], fp[kept] / negatives]),
        np.concatenate([[0.0], tp[kept] / positives]),
        np.concatenate([[np.inf], cuts[kept]]),
        band,
        note,
    )


def pr_curve(
    truth: NDArray[Any],
    scores: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    *,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
    grid: int = 101,
) -> PrCurve:
    """Precision-recall curve, and with patients its pointwise band.

    Parameters as `roc_curve`; the band holds the precision at `grid` recalls above 0, at the highest threshold that
    reaches each. No interpolation between points: linear interpolation of precision is too good.

    Returns
    -------
    PrCurve
        Not estimable without a positive.

    Raises
    ------
    ValueError
        As `roc_curve`.

    References
    ----------
    J. Davis, M. Goadrich, ICML 2006, doi:10.1145/1143844.1143874.

    Examples
    --------
    >>> curve = pr_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> curve.recall.tolist(), [round(value, 3) for value in curve.precision.tolist()]
    ([0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 0.667, 0.5])
    """
    sides, values, known = known_films(truth, scores, groups)
    positives = int(sides.sum())
    if not positives:
        empty = np.empty(0)
        return PrCurve(empty, empty, empty, None, note=f"{NOT_ESTIMABLE}: no positive film")
    cuts, tp, fp, _ = _steps(sides, values)
    band, note = None, None
    if groups is not None:
        places = np.linspace(0.0, 1.0, grid)[1:]
        band, note = _band(sides, values, np.asarray(groups)[known], places, (seed, repeats, level), roc=False)
    if positives == sides.size:
        note = "one class only: the precision is 1 whatever the scores"
    return PrCurve(tp / positives, tp / (tp + fp), cuts, positives / sides.size, band, note)


def average_precision(truth: NDArray[Any], scores: NDArray[np.floating[Any]]) -> float | None:
    """Area under the precision-recall curve as a sum of steps, without interpolation.

    Parameters as `roc_curve`.

    Returns
    -------
    float or None
        In (0, 1]; the prevalence is what a blind guess reaches. `None` where one side has no film: without a negative
        it would be 1 whatever the scores.

    Raises
    ------
    ValueError
        As `roc_curve`.

    Examples
    --------
    >>> round(average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])), 4)
    0.8333
    """
    sides, values, _ = known_films(truth, scores)
    if not sides.any() or sides.all():
        return None
    _, tp, fp, _ = _steps(sides, values)
    return float((np.diff(tp, prepend=0) * tp / (tp + fp)).sum() / tp[-1])


def _steps(sides: NDArray[np.bool_], values: _Floats) -> tuple[_Floats, NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    """Thresholds, falling, with the positives and negatives at or above each; and the films' order."""
    order = np.argsort(-values, kind="stable")
    ranked, up = values[order], sides[order]
    ends = np.flatnonzero(np.concatenate([np.diff(ranked) != 0, [True]]))
    tp = np.cumsum(up)[ends]
    return ranked[ends], tp, ends + 1 - tp, order


def _band(
    sides: NDArray[np.bool_],
    values: _Floats,
    groups: NDArray[Any],
    places: _Floats,
    settings: tuple[int, int, float],
    *,
    roc: bool,
) -> tuple[Band | None, str | None]:
    seed, repeats, level = settings
    check_level(level)
    check_repeats(repeats)
    if places.size == 0 or not np.isfinite(places).all():
        raise ValueError("a band needs at least two points")
    patients, owner = owners(groups)
    if patients < LEAST_PATIENTS:
        return None, "no band: fewer than two patients cannot be resampled"
    order = _steps(sides, values)[3]
    ends = np.flatnonzero(np.concatenate([np.diff(values[order]) != 0, [True]]))
    owner, up = owner[order], sides[order]
    draws = (weights for block in patient_draws(patients, sides.size, repeats, seed) for weights in block)
    table = np.stack([_resampled(weights[owner], up, ends, places, roc=roc) for weights in draws])
    few = np.isfinite(table).sum(axis=0) < repeats / 2
    limits = np.full((2, places.size), np.nan)
    if not few.all():
        limits[:, ~few] = np.nanquantile(table[:, ~few], [0.5 - level / 2, 0.5 + level / 2], axis=0)
    note = (
        f"{patients} patients are few: a band of so few covers less than its level" if patients < FEW_PATIENTS else None
    )
    return Band(places, limits[0], limits[1], level, patients), note


def _resampled(
    weights: NDArray[np.int32], up: NDArray[np.bool_], ends: NDArray[np.intp], places: _Floats, *, roc: bool
) -> _Floats:
    whole = np.cumsum(weights)[ends]
    tp = np.cumsum(weights * up)[ends]
    fp = whole - tp
    if not tp[-1] or (roc and not fp[-1]):
        return np.full(places.size, np.nan)
    if roc:
        above, across = np.concatenate([[0], tp]) / tp[-1], np.concatenate([[0], fp]) / fp[-1]
        last = np.searchsorted(across, places, side="right") - 1  # the highest point of a vertical step
        ahead = np.minimum(last + 1, across.size - 1)
        width = across[ahead] - across[last]
        share = np.where(width > 0, (places - across[last]) / np.where(width > 0, width, 1.0), 0.0)
        return np.asarray(above[last] + share * (above[ahead] - above[last]))
    reached = np.searchsorted(tp / tp[-1], places - 1e-12, side="left")
    return np.asarray(tp[reached] / whole[reached])
