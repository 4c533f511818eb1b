"""Area under the ROC curve and its intervals (M29, M33)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from carina.statistics._inputs import known_films, owners
from carina.statistics._resampling import Ranked, patient_draws
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["Area", "auc", "bootstrap_auc", "delong_auc"]


@dataclass(frozen=True, slots=True)
class Area:
    """An area under the ROC curve with its interval.

    Attributes
    ----------
    estimate : float or None
        In [0, 1]; `None` where one side has no film.
    low, high : float or None
        `None` where not estimable: one side empty or of one film, or a zero-width interval, as with perfect separation.
    positives, negatives : int
        Films of each side.
    level : float
        Confidence level.
    method : str
        Of the interval, in words.
    note : str or None
        Why there is no area or no interval. Takes no part in comparing two areas.

    Examples
    --------
    >>> str(delong_auc(np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.1])))
    '1.000 (interval not estimable)'
    """

    estimate: float | None
    low: float | None
    high: float | None
    positives: int
    negatives: int
    level: float = 0.95
    method: str = "DeLong"
    note: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.estimate is None:
            return "not estimable"
        if self.low is None or self.high is None:
            return f"{self.estimate:.3f} (interval not estimable)"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


def auc(truth: NDArray[Any], scores: NDArray[np.floating[Any]]) -> float | None:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney).

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    scores : ndarray, (N,)

    Returns
    -------
    float or None
        In [0, 1]; `None` where one side has no film.

    Raises
    ------
    ValueError
        If truth and scores differ in number, a truth is not 1, 0 or NaN, or the score of a film with a truth is not
        finite.

    References
    ----------
    J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.4, 0.4]))
    0.875
    """
    positive, negative = _sides(truth, scores)
    if not positive.size or not negative.size:
        return None
    ranks = rankdata(np.concatenate([positive, negative]))[: positive.size]
    return float((ranks.sum() - positive.size * (positive.size + 1) / 2) / (positive.size * negative.size))


def delong_auc(
    truth: NDArray[Any], scores: NDArray[np.floating[Any]], level: float = 0.95, *, on_logit: bool = False
) -> Area:
    """AUC with DeLong's interval; films must be independent, one a patient.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    scores : ndarray, (N,)
    level : float
        In (0, 1).
    on_logit : bool
        Build the interval on the logit scale, which keeps it within [0, 1] and covers better near 1; else on the
        plain scale, cut at 0 and 1.

    Returns
    -------
    Area
        Without an interval, and with a note, where it would have no width or a side has but one film.

    Raises
    ------
    ValueError
        As `auc`.

    References
    ----------
    E. R. DeLong et al., Biometrics 44 (1988) 837-845, doi:10.2307/2531595. Components by mid-ranks: X. Sun, W. Xu, IEEE
    Signal Process. Lett. 21 (2014) 1389-1393, doi:10.1109/LSP.2014.2337313. Logit: M. S. Pepe, The statistical
    evaluation of medical tests for classification and prediction, Oxford 2003.
    """
    positive, negative = _sides(truth, scores)
    value = auc(truth, scores)
    method = "DeLong, logit" if on_logit else "DeLong"
    bare = Area(value, None, None, positive.size, negative.size, level, method)
    if value is None or min(positive.size, negative.size) <= 1:
        return replace(bare, note=_why_not(positive, negative))
    ranks = rankdata(np.concatenate([positive, negative]))
    of_positive = (ranks[: positive.size] - rankdata(positive)) / negative.size
    of_negative = 1.0 - (ranks[positive.size :] - rankdata(negative)) / positive.size
    variance = float(of_positive.var(ddof=1) / positive.size + of_negative.var(ddof=1) / negative.size)
    if variance <= 0.0 or (on_logit and value in (0.0, 1.0)):
        return replace(bare, note=_why_not(positive, negative))
    z, error = float(norm.ppf(0.5 + level / 2)), variance**0.5
    if on_logit:
        centre, half = float(logit(value)), z * error / (value * (1.0 - value))
        low, high = float(expit(centre - half)), float(expit(centre + half))
    else:
        low, high = max(0.0, value - z * error), min(1.0, value + z * error)
    return Area(value, low, high, positive.size, negative.size, level, method)


def bootstrap_auc(
    truth: NDArray[Any],
    scores: NDArray[np.floating[Any]],
    patients: NDArray[Any],
    *,
    seed: int,
    level: float = 0.95,
    repeats: int = 2000,
) -> Area:
    """AUC of all films with a percentile interval over resampled patients (M33).

    Patients are drawn with replacement, all their films with them. Draws that lack one side are drawn in vain and left
    out.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    scores : ndarray, (N,)
    patients : ndarray, (N,)
        Patient of each film.
    seed : int
    level : float
        In (0, 1).
    repeats : int
        Bootstrap draws.

    Returns
    -------
    Area
        Without an interval, and with a note, where it would have no width.

    Raises
    ------
    ValueError
        As `auc`.

    References
    ----------
    C. A. Field, A. H. Welsh, J. R. Stat. Soc. B 69 (2007) 369-390, doi:10.1111/j.1467-9868.2007.00593.x, the cluster
    bootstrap.
    """
    sides, values, known = known_films(truth, scores, patients)
    value, why = auc(sides.astype(float), values), _why_not(values[sides], values[~sides])
    bare = Area(value, None, None, int(sides.sum()), int((~sides).sum()), level, "patient bootstrap", why)
    if value is None:
        return bare
    people, owner = owners(np.asarray(patients)[known])
    ranked = Ranked.of(sides, values, owner)
    blocks = patient_draws(people, sides.size, repeats, seed, dtype=np.int64)
    drawn = np.concatenate([ranked.areas(weights)[0] for weights in blocks])
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size:
        return bare
    low, high = (float(limit) for limit in np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2]))
    if low == high:
        return bare
    return replace(bare, low=low, high=high, note=None)


def _sides(truth: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sides, values, _ = known_films(truth, scores)
    return values[sides], values[~sides]


def _why_not(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> str:
    if not positive.size or not negative.size:
        return f"{NOT_ESTIMABLE}: one class only"
    if min(positive.size, negative.size) == 1:
        return "no interval: a side has one film"
    if positive.min() == positive.max() == negative.min() == negative.max():
        return "no interval: it would have no width, for all scores are equal"
    return "no interval: it would have no width, for the sides are separated without an error"
