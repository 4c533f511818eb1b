"""Predictive values at a prevalence other than the sample's (M31)."""

from __future__ import annotations

import math

from scipy.special import expit
from scipy.stats import norm

from carina.statistics._inputs import check_level
from carina.statistics.estimates import Estimate
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["mercaldo_predictive_values"]


def mercaldo_predictive_values(
    sensitivity: tuple[int, int], specificity: tuple[int, int], prevalence: float, level: float = 0.95
) -> dict[str, Estimate]:
    """PPV and NPV at a known prevalence, from sensitivity and specificity, with logit intervals.

    Parameters
    ----------
    sensitivity : tuple of int
        True positives, and positives.
    specificity : tuple of int
        True negatives, and negatives.
    prevalence : float
        Share of positives where the values shall hold, in (0, 1); taken as known exactly.
    level : float
        In (0, 1).

    Returns
    -------
    dict of str to Estimate
        ``ppv`` and ``npv``; `n` is the films of both sides. Where a count of the four is 0 the standard logit interval
        does not exist; the adjusted one is given, from z^2 / 2 films added to each of the four counts, widened to
        contain the value where that is 0 or 1, and the note says so. Films must be independent, one a patient.

    Raises
    ------
    ValueError
        If counts, prevalence or level are outside their ranges.

    References
    ----------
    N. D. Mercaldo, K. F. Lau, X. H. Zhou, Stat. Med. 26 (2007) 2170-2183, doi:10.1002/sim.2677, equations 8 to 11 and
    Table II (adjusted).

    Examples
    --------
    >>> found = mercaldo_predictive_values((240, 418), (288, 375), 0.03)
    >>> round(found["ppv"].value, 4), round(found["npv"].value, 4)
    (0.0711, 0.9831)
    """
    check_level(level)
    if not 0.0 < prevalence < 1.0:
        raise ValueError(f"a prevalence must be within 0 and 1; found {prevalence!r}")
    for name, (right, films) in (("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0 <= right <= films:
            raise ValueError(f"counts of the {name} must be within 0 and the films; found {right} of {films}")
    films = sensitivity[1] + specificity[1]
    if not sensitivity[1] or not specificity[1]:
        note = f"{NOT_ESTIMABLE}: one side has no film"
        return {name: Estimate(None, None, None, films, None, level, "Mercaldo", note=note) for name in ("ppv", "npv")}
    z = float(norm.ppf(0.5 + level / 2))
    zero = any(right in (0, all_of) for right, all_of in (sensitivity, specificity))
    added = z * z / 2 if zero else 0.0
    sens, spec = ((right + added) / (all_of + 2 * added) for right, all_of in (sensitivity, specificity))
    ups, downs = sensitivity[1] + 2 * added, specificity[1] + 2 * added
    odds = prevalence / (1 - prevalence)
    logits = {"ppv": math.log(odds * sens / (1 - spec)), "npv": math.log(spec / (1 - sens) / odds)}
    variances = {
        "ppv": (1 - sens) / sens / ups + spec / (1 - spec) / downs,
        "npv": sens / (1 - sens) / ups + (1 - spec) / spec / downs,
    }
    values = _values(sensitivity[0] / sensitivity[1], specificity[0] / specificity[1], prevalence)
    result = {}
    for name in ("ppv", "npv"):
        half = z * variances[name] ** 0.5
        value, low, high = values[name], float(expit(logits[name] - half)), float(expit(logits[name] + half))
        method = "Mercaldo, logit"
        told: str | None = None
        if value is None:
            low_high: tuple[float | None, float | None] = (None, None)
            told = f"{NOT_ESTIMABLE}: no film is called so"
        else:
            low_high = (min(low, value), max(high, value))
            if zero:
                method = "Mercaldo, adjusted logit"
                told = "a count is 0: the interval is from counts adjusted by half the squared normal quantile"
        result[name] = Estimate(value, *low_high, films, None, level, f"{method}, prevalence {prevalence:g}", note=told)
    return result


def _values(sens: float, spec: float, prevalence: float) -> dict[str, float | None]:
    called = sens * prevalence + (1 - spec) * (1 - prevalence)
    not_called = (1 - sens) * prevalence + spec * (1 - prevalence)
    return {
        "ppv": sens * prevalence / called if called else None,
        "npv": spec * (1 - prevalence) / not_called if not_called else None,
    }
