"""Calibration of probabilities: slope, intercept, in the large, and the curve (M4, M29)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import norm
from scipy.stats import t as student

from carina.statistics._inputs import check_level, known_films, owners
from carina.statistics.clusters import korn_graubard
from carina.statistics.estimates import Estimate
from carina.statistics.intervals import NOT_ESTIMABLE, proportion
from carina.statistics.logistic import cluster_covariance, is_separated, logistic_regression

__all__ = [
    "CalibrationLine",
    "CurveBin",
    "bounded_logit",
    "calibration_in_the_large",
    "calibration_slope_intercept",
    "observed_to_expected",
    "reliability_curve",
]

_Floats = NDArray[np.float64]
LEAST_PROBABILITY = 1e-6
"""Probabilities nearer to 0 or 1 are moved here before their log odds are taken."""


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """Logistic regression of the truth on the log odds of the probability.

    Attributes
    ----------
    slope : Estimate
        1 where right; below 1 the probabilities are too extreme.
    intercept : Estimate
        Of that line, where the log odds are 0; 0 where right.
    """

    slope: Estimate
    intercept: Estimate


@dataclass(frozen=True, slots=True)
class CurveBin:
    """Films of similar probability.

    Attributes
    ----------
    low, high : float
        Least and largest probability of the bin: edges for bins of equal width, those found for bins of equal number.
    mean_probability : float or None
        `None` in an empty bin.
    observed : Estimate
        Share that is positive.
    """

    low: float
    high: float
    mean_probability: float | None
    observed: Estimate


def bounded_logit(probabilities: NDArray[np.floating[Any]]) -> _Floats:
    """Log odds of probabilities, those nearer to 0 or 1 than a millionth moved there.

    Raises
    ------
    ValueError
        Unless all are within 0 and 1.

    Examples
    --------
    >>> bounded_logit(np.array([0.5, 1.0])).round(3).tolist()
    [0.0, 13.816]
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("probabilities must be within 0 and 1, and none missing")
    return np.asarray(logit(np.clip(values, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)))


def calibration_slope_intercept(
    truth: NDArray[Any],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
) -> CalibrationLine:
    """Slope and intercept of calibration.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    probabilities : ndarray, (N,)
        Of the positive, in [0, 1].
    groups : ndarray, (N,), optional
        Patient of each film: then the interval is by patient (sandwich, Student's t), else Wald's.
    level : float
        In (0, 1).

    Returns
    -------
    CalibrationLine
        Not estimable with one class, constant probabilities, or classes that the probabilities separate.

    Raises
    ------
    ValueError
        If arrays differ in length or a probability is outside [0, 1].

    References
    ----------
    D. R. Cox, Biometrika 45 (1958) 562-565, doi:10.1093/biomet/45.3-4.562; B. Van Calster et al., BMC Med. 17 (2019)
    230, doi:10.1186/s12916-019-1466-7.

    Examples
    --------
    >>> line = calibration_slope_intercept(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    >>> line.slope.note
    'not estimable: the probabilities separate the classes without an error'
    """
    check_level(level)
    sides, values, known = known_films(truth, probabilities, groups)
    logits = bounded_logit(values)
    people = None if groups is None else np.asarray(groups)[known]
    method = "Wald" if groups is None else "cluster-robust"
    design = np.column_stack([np.ones(sides.size), logits])
    why = _why_not(sides, design)
    if why:
        patients = None if people is None else len(np.unique(people))
        nothing = Estimate(None, None, None, sides.size, patients, level, method, note=f"{NOT_ESTIMABLE}: {why}")
        return CalibrationLine(nothing, nothing)
    intercept, slope = _coefficients(design, sides, people, level, None)
    moved = int((np.abs(values - 0.5) > 0.5 - LEAST_PROBABILITY).sum())
    if moved:
        note = f"{moved} probabilities of nearly 0 or 1 were moved to a millionth from there"
        slope, intercept = (_with_note(each, note) for each in (slope, intercept))
    return CalibrationLine(slope, intercept)


def calibration_in_the_large(
    truth: NDArray[Any],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Log odds by which the probabilities are too low on the whole: 0 where right, positive where too low.

    The intercept of a logistic regression of the truth with the probabilities' log odds as offset.

    Parameters, raises and references as `calibration_slope_intercept`.

    Returns
    -------
    Estimate
        Not estimable with one class.
    """
    check_level(level)
    sides, values, known = known_films(truth, probabilities, groups)
    people = None if groups is None else np.asarray(groups)[known]
    logits = bounded_logit(values)
    if not sides.any() or sides.all():
        patients = None if people is None else len(np.unique(people))
        note = f"{NOT_ESTIMABLE}: one class only"
        return Estimate(None, None, None, sides.size, patients, level, "Wald", note=note)
    return _coefficients(np.ones((sides.size, 1)), sides, people, level, logits)[0]


def observed_to_expected(
    truth: NDArray[Any],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Positives found over positives expected, the sum of the probabilities: 1 where right.

    Parameters and raises as `calibration_slope_intercept`.

    Returns
    -------
    Estimate
        Interval on the log scale: of the observed share alone, binomial or by patient. Not estimable where none is
        found or expected.

    References
    ----------
    T. P. A. Debray et al., BMJ 356 (2017) i6460, doi:10.1136/bmj.i6460, appendix.

    Examples
    --------
    >>> str(observed_to_expected(np.array([1, 0, 0, 0]), np.array([0.5, 0.25, 0.25, 0.25])))
    '0.800 (0.147 to 4.368), 4 films'
    """
    check_level(level)
    sides, values, known = known_films(truth, probabilities, groups)
    bounded_logit(values)
    method = "log scale" if groups is None else "log scale, by patient"
    people = np.arange(sides.size) if groups is None else np.asarray(groups)[known]
    patients, owner = owners(people)
    observed, expected, films = float(sides.sum()), float(values.sum()), sides.size
    told = None if groups is None else patients
    if not observed or not expected:
        note = f"{NOT_ESTIMABLE}: no positive film, or none expected"
        return Estimate(None, None, None, films, told, level, method, note=note)
    value, share = observed / expected, observed / films
    if groups is None:
        variance = (1 - share) / observed
    else:
        residuals = np.bincount(owner, sides - share, patients)
        variance = patients / max(patients - 1, 1) * float(residuals @ residuals) / observed**2
    if variance <= 0 or patients <= 1:
        return Estimate(value, None, None, films, told, level, method, note="no interval: it would have no width")
    factor = float(np.exp(norm.ppf(0.5 + level / 2) * variance**0.5))
    return Estimate(value, value / factor, value * factor, films, told, level, method)


def reliability_curve(
    truth: NDArray[Any],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    *,
    bins: int = 10,
    by: Literal["number", "width"] = "number",
    level: float = 0.95,
) -> tuple[CurveBin, ...]:
    """Mean probability against the share found, in bins.

    Parameters
    ----------
    truth, probabilities, groups, level
        As `calibration_slope_intercept`; intervals are Clopper-Pearson's, by patient Korn-Graubard's.
    bins : int
        At least 1.
    by : {"number", "width"}
        Bins of about equally many films, equal probabilities staying together, or of equal width.

    Returns
    -------
    tuple of CurveBin
        Empty bins of equal width are kept, with share not estimable.

    Raises
    ------
    ValueError
        As `calibration_slope_intercept`, or without a bin.

    Examples
    --------
    >>> [str(one.observed) for one in reliability_curve(np.array([0, 1, 1, 1]), np.array([0.2, 0.3, 0.8, 0.9]), bins=2)]
    ['0.500 (0.013 to 0.987), 1/2', '1.000 (0.158 to 1.000), 2/2']
    """
    check_level(level)
    if bins < 1:
        raise ValueError(f"a curve needs at least one bin; found {bins!r}")
    sides, values, known = known_films(truth, probabilities, groups)
    bounded_logit(values)
    people = np.arange(sides.size) if groups is None else np.asarray(groups)[known]
    if by == "width":
        place = np.minimum((values * bins).astype(int), bins - 1)
    else:
        ranks = np.searchsorted(np.sort(values), values, side="left")  # equal probabilities share a bin
        place = ranks * bins // max(values.size, 1)
    result = []
    for number in range(bins) if by == "width" else np.unique(place):
        chosen = place == number
        found = _observed(sides[chosen], people[chosen], level, by_patient=groups is not None)
        edges = (number / bins, (number + 1) / bins) if by == "width" else (values[chosen].min(), values[chosen].max())
        mean = float(values[chosen].mean()) if chosen.any() else None
        result.append(CurveBin(float(edges[0]), float(edges[1]), mean, found))
    return tuple(result)


def _observed(sides: NDArray[np.bool_], people: NDArray[Any], level: float, *, by_patient: bool) -> Estimate:
    if by_patient:
        return korn_graubard(sides, np.ones(sides.size), people, level)
    share = proportion(int(sides.sum()), sides.size, level)
    note = f"{NOT_ESTIMABLE}: no film in the bin" if share.estimate is None else None
    low, high, method = share.low, share.high, "Clopper-Pearson"
    return Estimate(share.estimate, low, high, share.trials, None, level, method, share.events, note)


def _why_not(sides: NDArray[np.bool_], design: _Floats) -> str | None:
    if not sides.any() or sides.all():
        return "one class only"
    if np.ptp(design[:, 1]) <= 1e-12:  # noqa: PLR2004 - rounding
        return "all probabilities are equal"
    if is_separated(design, sides):
        return "the probabilities separate the classes without an error"
    return None


def _coefficients(
    design: _Floats, sides: NDArray[np.bool_], people: NDArray[Any] | None, level: float, offset: _Floats | None
) -> list[Estimate]:
    fit = logistic_regression(design, sides, offset=offset)
    patients = None if people is None else len(np.unique(people))
    if people is None or patients is None:
        covariance, quantile, method = fit.covariance, float(norm.ppf(0.5 + level / 2)), "Wald"
    elif patients <= design.shape[1]:
        note = f"no interval: {patients} patients are too few"
        return [
            Estimate(float(value), None, None, sides.size, patients, level, "cluster-robust", note=note)
            for value in fit.coefficients
        ]
    else:
        covariance = cluster_covariance(fit, design, sides, people, offset=offset)
        quantile, method = float(student.ppf(0.5 + level / 2, patients - 1)), "cluster-robust"
    result = []
    for value, error in zip(fit.coefficients, np.sqrt(np.diag(covariance)), strict=True):
        low, high = float(value - quantile * error), float(value + quantile * error)
        result.append(Estimate(float(value), low, high, sides.size, patients, level, method))
    return result


def _with_note(estimate: Estimate, note: str) -> Estimate:
    return replace(estimate, note=note)
