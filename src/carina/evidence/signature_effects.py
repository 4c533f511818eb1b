"""How far each feature differs between the two sides of a contrast, patients counted once (M27, M33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from carina.statistics import benjamini_hochberg, clustered_auc

__all__ = ["Effect", "feature_effects", "hedges_g", "rank_test"]

_Floats = NDArray[np.float64]
_TINY = 1e-300
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Effect:
    """What one feature tells of a contrast.

    Attributes
    ----------
    feature : str
    n, patients : int
        Films with a value, and their patients.
    g, g_low, g_high : float or None
        Hedges' g, positive side less negative, with a 95 % interval by patient; `None` where not estimable.
    auc, auc_low, auc_high : float or None
        Chance that a film of the positive side has the larger value, with Obuchowski's interval by patient. Cliff's
        delta is ``2 auc - 1``.
    p, q : float or None
        Of the rank test by patient over all films, and adjusted after Benjamini and Hochberg over all features.
    within_g : float or None
        Hedges' g with each source centred and scaled by itself, over the sources that have both sides.
    within_p, within_q : float or None
        The same test with ranks within each source: what a source by itself cannot explain.
    """

    feature: str
    n: int
    patients: int
    g: float | None
    g_low: float | None
    g_high: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    p: float | None
    q: float | None
    within_g: float | None
    within_p: float | None
    within_q: float | None


def feature_effects(
    values: _Floats,
    names: Sequence[str],
    positive: NDArray[np.bool_],
    patients: NDArray[Any],
    sources: NDArray[Any],
    *,
    level: float = 0.95,
) -> list[Effect]:
    """Effect of every feature.

    Parameters
    ----------
    values : ndarray, (N, F)
        NaN where a film has no value; it takes no part in that feature.
    names : sequence of str, (F,)
    positive : ndarray of bool, (N,)
    patients, sources : ndarray, (N,)
    level : float
        Of the intervals, in (0, 1).

    Returns
    -------
    list of Effect, (F,)
    """
    owner = np.unique(patients, return_inverse=True)[1]
    stratum = np.unique(sources, return_inverse=True)[1]
    together, within = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for start in range(0, len(names), _BLOCK):  # ranks of all features at once would take the table's memory many times
        here = slice(start, start + _BLOCK)
        together[here] = rank_test(values[:, here], positive, owner, np.zeros(len(positive), np.intp))
        within[here] = rank_test(values[:, here], positive, owner, stratum)
    adjusted, adjusted_within = benjamini_hochberg(together), benjamini_hochberg(within)
    found = []
    for place, name in enumerate(names):
        known = np.isfinite(values[:, place])
        column, sides, people = values[known, place], positive[known], owner[known]
        g, g_low, g_high = hedges_g(column, sides, people, level)
        area = clustered_auc(sides.astype(np.float64), column, people, level)
        centred = _by_source(values[:, place], positive, stratum)
        inside = np.isfinite(centred)
        found.append(
            Effect(
                name,
                len(column),
                len(np.unique(people)),
                g,
                g_low,
                g_high,
                area.value,
                area.low,
                area.high,
                _or_none(together[place]),
                _or_none(adjusted[place]),
                hedges_g(centred[inside], positive[inside], owner[inside], level)[0],
                _or_none(within[place]),
                _or_none(adjusted_within[place]),
            )
        )
    return found


def hedges_g(
    values: _Floats, positive: NDArray[np.bool_], patients: NDArray[Any], level: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Standardised difference of means with an interval by patient.

    Parameters
    ----------
    values : ndarray, (N,)
        Finite.
    positive : ndarray of bool, (N,)
    patients : ndarray, (N,)
    level : float
        In (0, 1).

    Returns
    -------
    g, low, high : float or None
        `None` where a side has fewer than two films or nothing varies; limits `None` for fewer than three patients.

    Notes
    -----
    Variance by linearisation, summed over patients; quantiles of Student's t with two degrees of freedom less than
    patients.

    References
    ----------
    L. V. Hedges, J. Educ. Stat. 6 (1981) 107-128, doi:10.3102/10769986006002107.

    Examples
    --------
    >>> values, positive = np.array([1.0, 2, 3, 2, 3, 4]), np.repeat([False, True], 3)
    >>> g, low, high = hedges_g(values, positive, np.arange(6))
    >>> round(g, 3), low < g < high
    (0.8, True)
    """
    ups, downs = int(positive.sum()), int((~positive).sum())
    if min(ups, downs) < 2:  # noqa: PLR2004 - a spread needs two
        return None, None, None
    freedom = ups + downs - 2
    means = np.where(positive, values[positive].mean(), values[~positive].mean())
    spread = float(((values - means) ** 2).sum() / freedom)
    if spread <= 1e-24 * max(float(np.abs(values).max()) ** 2, _TINY):
        return None, None, None
    small = 1.0 - 3.0 / (4.0 * freedom - 1.0)
    d = float(values[positive].mean() - values[~positive].mean()) / spread**0.5
    people, owner = np.unique(patients, return_inverse=True)
    if len(people) <= 2:  # noqa: PLR2004 - degrees of freedom
        return small * d, None, None
    pull = (values - means) / spread**0.5 * np.where(positive, 1.0 / ups, -1.0 / downs)
    pull = pull - d / (2.0 * freedom) * ((values - means) ** 2 / spread - freedom / (ups + downs))
    sums = np.bincount(owner, pull)
    error = float(np.sqrt(len(people) / (len(people) - 1.0) * (sums**2).sum()))
    half = float(t.ppf(0.5 + level / 2, len(people) - 2)) * error
    return small * d, small * (d - half), small * (d + half)


def rank_test(
    values: _Floats, positive: NDArray[np.bool_], patients: NDArray[np.intp], strata: NDArray[np.intp]
) -> _Floats:
    """Test by ranks whether a feature differs between sides, with films of one patient counted as dependent.

    The score test of a regression of the side on the feature's rank within its stratum, its variance summed over
    patients; with one film a patient and one stratum it is close to the Mann-Whitney test.

    Parameters
    ----------
    values : ndarray, (N, F)
        NaN takes no part.
    positive : ndarray of bool, (N,)
    patients, strata : ndarray of int, (N,)
        Numbers from 0.

    Returns
    -------
    ndarray, (F,)
        Two-sided p values; NaN where no stratum has both sides.

    References
    ----------
    D. D. Boos, Am. Stat. 46 (1992) 327-333, doi:10.1080/00031305.1992.10475921.

    Examples
    --------
    >>> values = np.arange(20.0)[:, None]
    >>> p = rank_test(values, np.arange(20) >= 10, np.arange(20), np.zeros(20, int))
    >>> bool(p[0] < 0.001)
    True
    """
    films, features = values.shape
    pulls = np.zeros((films, features))
    for number in np.unique(strata):
        rows = np.flatnonzero(strata == number)
        pulls[rows] = _pulls(values[rows], positive[rows])
    people = int(patients.max()) + 1 if films else 0
    totals = np.zeros((people, features))
    np.add.at(totals, patients, pulls)
    variance = (totals**2).sum(axis=0)
    counted = (totals != 0.0).sum(axis=0)
    result = np.full(features, np.nan)
    usable = (variance > _TINY) & (counted > 2)  # noqa: PLR2004 - degrees of freedom
    # Less than a full set of patients: Student's t in place of the normal, a little wider.
    deviate = totals.sum(axis=0)[usable] / np.sqrt(variance[usable])
    # The score test's deviate cannot exceed the root of the patients; this is the Wald form of the same quantity.
    left = np.maximum(counted[usable] - deviate**2, 1e-9)
    student = deviate * np.sqrt((counted[usable] - 2) / left)
    result[usable] = 2.0 * t.sf(np.abs(student), counted[usable] - 2)
    return result


def _pulls(values: _Floats, positive: NDArray[np.bool_]) -> _Floats:
    """Each film's part in the score of one stratum, (n, F); 0 where it has no value."""
    known = np.isfinite(values)
    filled = np.where(known, values, np.inf)
    ranks = np.where(known, rankdata(filled, axis=0), 0.0)
    count = np.maximum(known.sum(axis=0), 1)
    sides = np.where(known, positive[:, None], 0.0)
    share = sides.sum(axis=0) / count
    middle = ranks.sum(axis=0) / count
    # Divided by the largest rank, so that a large source weighs as its films and not as their square.
    pulls = np.where(known, (sides - share) * (ranks - middle), 0.0) / count
    return np.asarray(np.where((share > 0) & (share < 1), pulls, 0.0))


def _by_source(values: _Floats, positive: NDArray[np.bool_], strata: NDArray[np.intp]) -> _Floats:
    """Values less their source's mean (midway between sides) over its spread within sides; NaN without both sides."""
    result = np.full(values.shape, np.nan)
    for number in np.unique(strata):
        rows = (strata == number) & np.isfinite(values)
        up, down = values[rows & positive], values[rows & ~positive]
        if min(len(up), len(down)) < 2:  # noqa: PLR2004 - a spread needs two
            continue
        spread = (up.var() * len(up) + down.var() * len(down)) / (len(up) + len(down) - 2)
        if spread > _TINY:
            result[rows] = (values[rows] - 0.5 * (up.mean() + down.mean())) / spread**0.5
    return result


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
