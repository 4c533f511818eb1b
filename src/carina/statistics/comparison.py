"""Two models, or a model and a reader, on the same films (M29, M33)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, chi2, norm, rankdata

from carina.statistics._inputs import check_level, known_films, owners
from carina.statistics.clusters import clustered_difference
from carina.statistics.estimates import LEAST_PATIENTS, Estimate
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["Comparison", "McNemar", "clustered_auc", "mcnemar", "paired_delong"]

_Floats = NDArray[np.float64]
_TINY = 1e-15


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two areas under the ROC curve of the same films.

    Attributes
    ----------
    first, second : float or None
        The areas.
    difference : Estimate
        First less second.
    statistic, p_value : float or None
        Normal deviate, two-sided; `None` where the difference has no variance.
    """

    first: float | None
    second: float | None
    difference: Estimate
    statistic: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class McNemar:
    """Who is right where two disagree.

    Attributes
    ----------
    only_first, only_second : int
        Films that only the first, or only the second, calls rightly.
    exact, mid_p, asymptotic : float or None
        Two-sided p values; `None` where they never disagree. The asymptotic one has no continuity correction.
    difference : Estimate
        Share right of the first less that of the second.
    clustered_p : float or None
        By patient, where patients were given; the difference's interval is by patient then too.
    """

    only_first: int
    only_second: int
    exact: float | None
    mid_p: float | None
    asymptotic: float | None
    difference: Estimate
    clustered_p: float | None = None


def paired_delong(
    truth: NDArray[Any],
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
) -> Comparison:
    """Compare two AUCs of the same films.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    first, second : ndarray, (N,)
        Scores of the two; finite.
    groups : ndarray, (N,), optional
        Patient of each film: then Obuchowski's variance for films of the same patients, else DeLong's for independent
        films.
    level : float
        In (0, 1).

    Returns
    -------
    Comparison
        Without interval or test, and with a note, where the two rank all films alike, or one side has fewer than two
        films or patients.

    Raises
    ------
    ValueError
        If arrays differ in length or scores are not finite.

    References
    ----------
    E. R. DeLong et al., Biometrics 44 (1988) 837-845, doi:10.2307/2531595; N. A. Obuchowski, Biometrics 53 (1997)
    567-578, doi:10.2307/2533958.

    Examples
    --------
    >>> truth, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> paired_delong(truth, scores, scores).difference.note
    'no interval: the difference has no variance, for both rank the films alike'
    """
    check_level(level)
    pair = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)], axis=1)
    sides, values, known = known_films(truth, pair, groups)
    method = "paired DeLong" if groups is None else "paired, Obuchowski"
    patients, owner = (sides.size, np.arange(sides.size)) if groups is None else owners(np.asarray(groups)[known])

    def bare(value: float | None, note: str) -> Estimate:
        told = None if groups is None else patients
        return Estimate(value, None, None, sides.size, told, level, method, note=note)

    if not sides.any() or sides.all():
        return Comparison(None, None, bare(None, f"{NOT_ESTIMABLE}: one class only"), None, None)
    areas, covariance = _areas_and_covariance(sides, values, owner, patients)
    one, other, gap = float(areas[0]), float(areas[1]), float(areas[0] - areas[1])
    if covariance is None:
        return Comparison(one, other, bare(gap, "no interval: a side has fewer than two films or patients"), None, None)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= _TINY:
        note = "no interval: the difference has no variance, for both rank the films alike"
        if areas.max() == areas.min() == 1.0:
            note = "no interval: both separate the sides without an error"
        return Comparison(one, other, bare(gap, note), None, None)
    error = variance**0.5
    half = float(norm.ppf(0.5 + level / 2)) * error
    told = None if groups is None else patients
    found = Estimate(gap, max(-1.0, gap - half), min(1.0, gap + half), sides.size, told, level, method)
    return Comparison(one, other, found, gap / error, float(2 * norm.sf(abs(gap) / error)))


def clustered_auc(
    truth: NDArray[Any], scores: NDArray[np.floating[Any]], groups: NDArray[Any], level: float = 0.95
) -> Estimate:
    """AUC of all films with the variance for films of the same patients.

    With every film its own patient it is DeLong's.

    Parameters
    ----------
    truth, scores, groups
        As `paired_delong`.
    level : float
        In (0, 1).

    Returns
    -------
    Estimate
        Plain scale, cut at 0 and 1. Without interval, and with a note, where it would have no width or a side has fewer
        than two patients.

    Raises
    ------
    ValueError
        If arrays differ in length or scores are not finite.

    References
    ----------
    N. A. Obuchowski, Biometrics 53 (1997) 567-578, doi:10.2307/2533958.

    Examples
    --------
    >>> truth, scores = np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.6, 0.4, 0.9, 0.2, 0.7])
    >>> str(clustered_auc(truth, scores, np.array(list("abcabc"))))
    '0.889 (0.648 to 1.000), 6 films'
    """
    check_level(level)
    sides, values, known = known_films(truth, scores, np.asarray(groups))
    patients, owner = owners(np.asarray(groups)[known])

    def bare(value: float | None, note: str) -> Estimate:
        return Estimate(value, None, None, sides.size, patients, level, "Obuchowski", note=note)

    if not sides.any() or sides.all():
        return bare(None, f"{NOT_ESTIMABLE}: one class only")
    areas, covariance = _areas_and_covariance(sides, values[:, None], owner, patients)
    value = float(areas[0])
    if covariance is None:
        return bare(value, "no interval: a side has fewer than two patients")
    variance = float(covariance[0, 0])
    if variance <= _TINY:
        alike = bool((values == values[0]).all())
        why = "all scores are equal" if alike else "the sides are separated without an error"
        return bare(value, f"no interval: it would have no width, for {why}")
    half = float(norm.ppf(0.5 + level / 2)) * variance**0.5
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Estimate(value, low, high, sides.size, patients, level, "Obuchowski")


def mcnemar(
    first_right: NDArray[Any],
    second_right: NDArray[Any],
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
) -> McNemar:
    """Compare how often two call the same films rightly.

    Parameters
    ----------
    first_right, second_right : ndarray of bool, (N,)
        True where called rightly. For sensitivities give the positives alone, for specificities the negatives.
    groups : ndarray, (N,), optional
        Patient of each film: adds the test by patient. The others hold for independent films.
    level : float
        In (0, 1).

    Returns
    -------
    McNemar

    Raises
    ------
    ValueError
        If arrays differ in length.

    References
    ----------
    Q. McNemar, Psychometrika 12 (1947) 153-157, doi:10.1007/BF02295996. Mid-p: M. W. Fagerland et al., BMC Med. Res.
    Methodol. 13 (2013) 91, doi:10.1186/1471-2288-13-91. Interval: Wald of A. Agresti, Categorical data analysis.

    Examples
    --------
    >>> found = mcnemar(np.repeat([True, False], [12, 3]), np.repeat([True, False, True], [5, 7, 3]))
    >>> found.only_first, found.only_second, round(found.exact, 4), round(found.mid_p, 4)
    (7, 3, 0.3438, 0.2266)
    """
    check_level(level)
    ones, others = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if ones.shape != others.shape or ones.ndim != 1 or (groups is not None and np.shape(groups) != ones.shape):
        raise ValueError(f"calls and patients must be as many, one a film; found {ones.shape} and {others.shape}")
    b, c, n = int((ones & ~others).sum()), int((~ones & others).sum()), ones.size
    exact = mid_p = asymptotic = None
    if b + c:
        exact = min(1.0, 2 * float(binom.cdf(min(b, c), b + c, 0.5)))
        mid_p = 1.0 if b == c else exact - float(binom.pmf(min(b, c), b + c, 0.5))
        asymptotic = float(chi2.sf((b - c) ** 2 / (b + c), 1))
    if groups is not None:
        gap, p_value = clustered_difference(ones, others, groups, level)
        return McNemar(b, c, exact, mid_p, asymptotic, gap, None if np.isnan(p_value) else p_value)
    if not n or b + c == 0 or b + c - (b - c) ** 2 / n <= 0:
        note = f"{NOT_ESTIMABLE}: no film" if not n else "no interval: it would have no width"
        gap = Estimate((b - c) / n if n else None, None, None, n, None, level, "Wald", note=note)
        return McNemar(b, c, exact, mid_p, asymptotic, gap)
    value = (b - c) / n
    half = float(norm.ppf(0.5 + level / 2)) * (b + c - (b - c) ** 2 / n) ** 0.5 / n
    gap = Estimate(value, max(-1.0, value - half), min(1.0, value + half), n, None, level, "Wald")
    return McNemar(b, c, exact, mid_p, asymptotic, gap)


def _areas_and_covariance(
    sides: NDArray[np.bool_], values: _Floats, owner: NDArray[np.intp], patients: int
) -> tuple[_Floats, _Floats | None]:
    """AUCs of K scores and their covariance over patients; none where a side has fewer than two of them."""
    ups, downs = int(sides.sum()), int((~sides).sum())
    of_up, of_down = owner[sides], owner[~sides]
    x, y = [], []
    for scores in values.T:
        ranks = rankdata(np.concatenate([scores[sides], scores[~sides]]))
        x.append((ranks[:ups] - rankdata(scores[sides])) / downs)
        y.append(1.0 - (ranks[ups:] - rankdata(scores[~sides])) / ups)
    areas = np.array([each.mean() for each in x])
    with_up, with_down = len(np.unique(of_up)), len(np.unique(of_down))
    if min(with_up, with_down) < LEAST_PATIENTS:
        return areas, None
    sum_up = np.stack([np.bincount(of_up, each - area, patients) for each, area in zip(x, areas, strict=True)])
    sum_down = np.stack([np.bincount(of_down, each - area, patients) for each, area in zip(y, areas, strict=True)])
    covariance = with_up / (with_up - 1) * (sum_up @ sum_up.T) / ups**2
    covariance += with_down / (with_down - 1) * (sum_down @ sum_down.T) / downs**2
    cross = patients / (patients - 1) * (sum_up @ sum_down.T) / (ups * downs)
    return areas, covariance + cross + cross.T
