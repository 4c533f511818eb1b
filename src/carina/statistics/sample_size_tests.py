"""How many films the comparisons, calibration measures and regressions of M29-M32 need."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from carina.statistics.sample_size import _check_share

__all__ = [
    "auc_standard_error",
    "films_for_auc_difference",
    "films_for_auc_width",
    "films_for_calibration_slope",
    "films_for_interaction",
    "films_for_mcnemar",
    "films_for_net_benefit",
    "films_for_observed_to_expected",
    "positives_for_auc",
]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(81)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def auc_standard_error(auc: float, positives: float, negatives: float) -> float:
    """Give the standard error that an AUC may be expected to have, films being independent.

    Parameters
    ----------
    auc : float
        In (0, 1).
    positives, negatives : float
        Films of each side, at least 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> round(auc_standard_error(0.893, 51, 58), 3)
    0.033
    """
    _check_share("auc", auc)
    if min(positives, negatives) < 1:
        raise ValueError(f"each side needs a film; found {positives!r} and {negatives!r}")
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    top = auc * (1 - auc) + (positives - 1) * (one - auc**2) + (negatives - 1) * (two - auc**2)
    return math.sqrt(top / (positives * negatives))


def films_for_auc_width(auc: float, width: float, prevalence: float, level: float = 0.95) -> int:
    """Fewest films whose AUC has an interval expected to be at most so wide.

    Parameters
    ----------
    auc, width, prevalence, level : float
        Expected AUC, width of the whole interval, share of positives and confidence level, each in (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    As `auc_standard_error`.

    Examples
    --------
    >>> films_for_auc_width(0.8, 0.1, 0.5)
    302
    """
    for name, value in (("auc", auc), ("width", width), ("prevalence", prevalence), ("level", level)):
        _check_share(name, value)
    z = float(norm.ppf(0.5 + level / 2))
    low = math.ceil(max(1 / prevalence, 1 / (1 - prevalence)))

    def wide(films: int) -> bool:
        return 2 * z * auc_standard_error(auc, films * prevalence, films * (1 - prevalence)) > width

    if not wide(low):
        return low
    high = low
    while wide(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def positives_for_auc(auc: float, *, negatives_each: float = 1.0, power: float = 0.8, level: float = 0.95) -> int:
    """Fewest positives to show that an AUC differs from 0.5, two-sided.

    Parameters
    ----------
    auc : float
        Expected, in (0.5, 1).
    negatives_each : float
        Negatives for each positive.
    power, level : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    N. A. Obuchowski, M. L. Lieber, P. N. Wians, Clin. Chem. 50 (2004) 1118-1125, doi:10.1373/clinchem.2004.031823.

    Examples
    --------
    >>> positives_for_auc(0.7)
    31
    """
    for name, value in (("auc", auc), ("power", power), ("level", level)):
        _check_share(name, value)
    if auc <= 0.5 or negatives_each <= 0:  # noqa: PLR2004 - a blind guess
        raise ValueError(f"the AUC must exceed 0.5, with negatives; found {auc!r} and {negatives_each!r} a positive")
    a = 1.414 * float(norm.ppf(auc))
    none = 0.0792 * (1 + 1 / negatives_each)
    some = 0.0099 * math.exp(-a * a / 2) * (5 * a * a + 8 + (a * a + 8) / negatives_each)
    alpha, beta = float(norm.ppf(0.5 + level / 2)), float(norm.ppf(power))
    return math.ceil((alpha * math.sqrt(none) + beta * math.sqrt(some)) ** 2 / (auc - 0.5) ** 2)


def films_for_auc_difference(
    first: float, second: float, prevalence: float, *, correlation: float, power: float = 0.8, level: float = 0.95
) -> int:
    """Fewest films to show that two AUCs of the same films differ, two-sided.

    Parameters
    ----------
    first, second : float
        Expected, in (0, 1), different.
    prevalence : float
        Share of positives, in (0, 1).
    correlation : float
        Of the two estimated areas, in [0, 1): near the correlation of the scores within a side.
    power, level : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    J. A. Hanley, B. J. McNeil, Radiology 148 (1983) 839-843, doi:10.1148/radiology.148.3.6878708.

    Examples
    --------
    >>> films_for_auc_difference(0.85, 0.8, 0.5, correlation=0.5)
    550
    """
    for name, value in (("first", first), ("second", second), ("prevalence", prevalence), ("power", power)):
        _check_share(name, value)
    _check_share("level", level)
    if first == second or not 0 <= correlation < 1:
        raise ValueError(
            f"the areas must differ, the correlation be within 0 and 1; found {first!r}, {second!r}, {correlation!r}"
        )
    z = float(norm.ppf(0.5 + level / 2)) + float(norm.ppf(power))
    films = max(1 / prevalence, 1 / (1 - prevalence))
    for _ in range(100):  # the standard error is almost, but not quite, of the order of films ** -0.5
        ups, downs = max(1.0, films * prevalence), max(1.0, films * (1 - prevalence))
        one, two = auc_standard_error(first, ups, downs), auc_standard_error(second, ups, downs)
        needed = films * z * z * (one**2 + two**2 - 2 * correlation * one * two) / (first - second) ** 2
        if abs(needed - films) < 0.01:  # noqa: PLR2004 - a hundredth of a film
            break
        films = max(needed, 2.0)
    return math.ceil(films)


def films_for_mcnemar(only_first: float, only_second: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Fewest films to show that two are right unequally often on the same films, two-sided.

    Parameters
    ----------
    only_first, only_second : float
        Expected shares of films that one alone calls rightly, different, together at most 1.
    power, level : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    R. J. Connor, Biometrics 43 (1987) 207-211, doi:10.2307/2531961; without continuity correction.

    Examples
    --------
    >>> films_for_mcnemar(0.15, 0.05)
    155
    """
    for name, value in (("power", power), ("level", level)):
        _check_share(name, value)
    apart, gap = only_first + only_second, abs(only_first - only_second)
    if min(only_first, only_second) < 0 or apart > 1 or not gap:
        raise ValueError(f"the shares must differ and sum to at most 1; found {only_first!r} and {only_second!r}")
    alpha, beta = float(norm.ppf(0.5 + level / 2)), float(norm.ppf(power))
    return math.ceil((alpha * math.sqrt(apart) + beta * math.sqrt(apart - gap * gap)) ** 2 / (gap * gap))


def films_for_observed_to_expected(prevalence: float, width: float, level: float = 0.95) -> int:
    """Fewest films for an interval of observed over expected of this width, where the ratio is 1.

    Parameters
    ----------
    prevalence : float
        In (0, 1).
    width : float
        Of the whole interval, above 0.
    level : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    R. D. Riley et al., Stat. Med. 40 (2021) 4230-4251, doi:10.1002/sim.9025.

    Examples
    --------
    >>> films_for_observed_to_expected(0.1, 0.4)
    876
    """
    _check_share("prevalence", prevalence)
    _check_share("level", level)
    if width <= 0:
        raise ValueError(f"a width must be above 0; found {width!r}")
    error = math.asinh(width / 2) / float(norm.ppf(0.5 + level / 2))
    return math.ceil((1 - prevalence) / (prevalence * error**2))


def films_for_calibration_slope(
    logits: NDArray[np.floating[Any]], width: float, level: float = 0.95, *, slope: float = 1.0
) -> int:
    """Fewest films for an interval of the calibration slope of this width.

    Parameters
    ----------
    logits : ndarray, (N,)
        Log odds as they are distributed where the model is to be validated.
    width : float
        Of the whole interval, above 0.
    level : float
        In (0, 1).
    slope : float
        Expected.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the log odds are constant.

    References
    ----------
    R. D. Riley et al., Stat. Med. 40 (2021) 4230-4251, doi:10.1002/sim.9025.

    Examples
    --------
    >>> films_for_calibration_slope(np.random.default_rng(1).normal(0, 1.5, 10_000), 0.4) // 100
    4
    """
    _check_share("level", level)
    values = np.asarray(logits, dtype=np.float64)
    if width <= 0 or values.size < 2 or not np.isfinite(values).all():  # noqa: PLR2004 - a spread needs two
        raise ValueError("a width above 0 and at least two finite log odds are needed")
    chance = expit(slope * values)
    weight = chance * (1 - chance)
    a, ab, b = (float((weight * values**power).mean()) for power in (0, 1, 2))
    if a * b - ab * ab <= 1e-12:  # noqa: PLR2004 - rounding
        raise ValueError("the log odds are constant: no number of films gives a slope")
    error = width / 2 / float(norm.ppf(0.5 + level / 2))
    return math.ceil(a / (error**2 * (a * b - ab * ab)))


def films_for_net_benefit(
    sensitivity: float, specificity: float, prevalence: float, threshold: float, *, width: float, level: float = 0.95
) -> int:
    """Fewest films for an interval of the standardised net benefit of this width.

    Parameters
    ----------
    sensitivity, specificity, prevalence, threshold, level : float
        In (0, 1); expected at the threshold probability.
    width : float
        Of the whole interval, above 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    R. D. Riley et al., Stat. Med. 40 (2021) 4230-4251, doi:10.1002/sim.9025.

    Examples
    --------
    >>> films_for_net_benefit(0.8, 0.9, 0.3, 0.2, width=0.2)
    228
    """
    named = (("sensitivity", sensitivity), ("specificity", specificity), ("prevalence", prevalence))
    for name, value in (*named, ("threshold", threshold), ("level", level)):
        _check_share(name, value)
    if width <= 0:
        raise ValueError(f"a width must be above 0; found {width!r}")
    weight = (1 - prevalence) / prevalence * threshold / (1 - threshold)
    spread = sensitivity * (1 - sensitivity) / prevalence + weight**2 * specificity * (1 - specificity) / (
        1 - prevalence
    )
    spread += weight**2 * (1 - specificity) ** 2 / (prevalence * (1 - prevalence))
    return math.ceil(spread * (2 * float(norm.ppf(0.5 + level / 2)) / width) ** 2)


def films_for_interaction(
    auc: float, other: float, prevalence: float, share: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """Fewest films to show by the interaction of M32 that one group's AUC is another than the rest's.

    The output is taken as normal within each side with the same spread, so that its slope in the log odds is the
    distance of the sides, root 2 times the normal quantile of the AUC; the groups have the same prevalence.

    Parameters
    ----------
    auc, other : float
        Of the rest and of the group, in (0, 1), different.
    prevalence : float
        Share of positives, in (0, 1).
    share : float
        Of the films, the group's, in (0, 1).
    power, level : float
        In (0, 1); for Holm over four covariates take 0.9875.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    E. Demidenko, Stat. Med. 27 (2008) 36-46, doi:10.1002/sim.2980: Wald's test from the expected information.

    Examples
    --------
    >>> films_for_interaction(0.9, 0.8, 0.5, 0.5) < films_for_interaction(0.9, 0.8, 0.5, 0.1)
    True
    """
    for name, value in (("auc", auc), ("other", other), ("prevalence", prevalence), ("share", share)):
        _check_share(name, value)
    for name, value in (("power", power), ("level", level)):
        _check_share(name, value)
    if auc == other:
        raise ValueError(f"the areas must differ; found {auc!r} twice")
    slopes = [math.sqrt(2) * float(norm.ppf(value)) for value in (auc, other)]
    information = np.zeros((4, 4))
    for group, (slope, part) in enumerate(zip(slopes, (1 - share, share), strict=True)):
        for up, side in ((1.0, prevalence), (0.0, 1 - prevalence)):
            output = _NODES + up * slope
            chance = expit(math.log(prevalence / (1 - prevalence)) - slope**2 / 2 + slope * output)
            rows = np.column_stack([np.ones(output.size), output, np.full(output.size, group), group * output])
            information += part * side * (rows * (_WEIGHTS * chance * (1 - chance))[:, None]).T @ rows
    variance = float(np.linalg.inv(information)[3, 3])
    z = float(norm.ppf(0.5 + level / 2)) + float(norm.ppf(power))
    return math.ceil(z * z * variance / (slopes[1] - slopes[0]) ** 2)
