"""Intraclass correlation: how much of what varies is the film, and not the way it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level

__all__ = ["IntraclassCorrelation", "eta_squared_ranks", "intraclass_correlation"]

_Floats = NDArray[np.float64]
_SHAPE = 2
_FLAT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class IntraclassCorrelation:
    """Intraclass correlations of single measurements, with their intervals.

    Attributes
    ----------
    agreement, agreement_low, agreement_high : ndarray of float64, (...)
        ICC(2,1): two-way random effects, absolute agreement; a shift between measurements counts against it.
    consistency, consistency_low, consistency_high : ndarray of float64, (...)
        ICC(3,1): two-way mixed effects, consistency; a shift common to all films does not count.
    films : int
        Films, all measured in every way.
    """

    agreement: _Floats
    agreement_low: _Floats
    agreement_high: _Floats
    consistency: _Floats
    consistency_low: _Floats
    consistency_high: _Floats
    films: int


def intraclass_correlation(
    values: NDArray[Any], groups: NDArray[Any] | None = None, *, level: float = 0.95
) -> IntraclassCorrelation:
    """Intraclass correlation of single measurements, ICC(2,1) and ICC(3,1), for many features at once.

    Parameters
    ----------
    values : ndarray, (N, K, ...)
        N films measured in K ways; further axes are features.
    groups : ndarray, (N,), or None
        Group of each film, such as its source. Films are then compared within their group: what sets groups apart does
        not make a feature look repeatable.
    level : float
        Of the intervals, in (0, 1).

    Returns
    -------
    IntraclassCorrelation
        NaN where films do not vary, or a value is missing. With groups the intervals have N less the number of groups
        as degrees of freedom of the films.

    Raises
    ------
    ValueError
        If there are fewer than two ways or than three films, or no degree of freedom is left.

    References
    ----------
    P. E. Shrout, J. L. Fleiss, Psychol. Bull. 86 (1979) 420-428, doi:10.1037/0033-2909.86.2.420; K. O. McGraw,
    S. P. Wong, Psychol. Methods 1 (1996) 30-46, doi:10.1037/1082-989X.1.1.30.

    Examples
    --------
    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> found = intraclass_correlation(ratings)
    >>> round(float(found.agreement), 2), round(float(found.consistency), 2)
    (0.29, 0.71)
    """
    from scipy.stats import f as fisher  # noqa: PLC0415 - half a second, and only where intervals are wanted

    check_level(level)
    data = np.asarray(values, np.float64)
    if data.ndim < _SHAPE or data.shape[0] < 3 or data.shape[1] < 2:  # noqa: PLR2004 - least that has an answer
        raise ValueError(f"agreement needs three films, each measured in two ways; found {data.shape}")
    films, ways = data.shape[:2]
    between, across, rest, freedom = _mean_squares(data, groups)
    rest_freedom = (films - 1) * (ways - 1)
    with np.errstate(all="ignore"):
        flat = between + across + rest <= _FLAT * np.maximum(1.0, np.square(data).mean(axis=(0, 1)))
        ratio = between / rest
        consistency = (between - rest) / (between + (ways - 1) * rest)
        lower = ratio / fisher.ppf(0.5 + level / 2, freedom, rest_freedom)
        upper = ratio * fisher.ppf(0.5 + level / 2, rest_freedom, freedom)
        exact = (rest <= _FLAT * between) & ~flat
        limits = [np.where(exact, 1.0, (one - 1) / (one + ways - 1)) for one in (lower, upper)]
        agreement = (between - rest) / (between + (ways - 1) * rest + ways * (across - rest) / films)
        low, high = _agreement_limits(between, across, rest, agreement, counts=(films, ways, freedom), level=level)
    blank = np.where(flat, np.nan, 0.0)
    return IntraclassCorrelation(
        agreement + blank, low + blank, high + blank, consistency + blank, limits[0] + blank, limits[1] + blank, films
    )


def eta_squared_ranks(values: NDArray[Any], groups: NDArray[Any]) -> _Floats:
    """Share of the variance of ranks that lies between groups, for many features at once.

    It is the Kruskal-Wallis H over N - 1, ties allowed for: 0 where groups are alike; where they are wholly apart it
    approaches 3/4 for two groups of one size, 8/9 for three.

    Parameters
    ----------
    values : ndarray, (N, ...)
        Finite, or the feature's answer is NaN.
    groups : ndarray, (N,)

    Returns
    -------
    ndarray of float64, (...)
        NaN for a constant feature.

    Raises
    ------
    ValueError
        If there are fewer than two groups.

    References
    ----------
    W. H. Kruskal, W. A. Wallis, J. Am. Stat. Assoc. 47 (1952) 583-621, doi:10.1080/01621459.1952.10483441.

    Examples
    --------
    >>> eta_squared_ranks(np.array([1.0, 2.0, 3.0, 4.0]), np.array(["a", "a", "b", "b"])).item()
    0.8
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - as above

    data = np.asarray(values, np.float64)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:  # noqa: PLR2004 - to compare
        raise ValueError(f"groups to compare must be two or more; found {len(names)}")
    ranks = np.asarray(rankdata(data, axis=0), np.float64) - (len(data) + 1) / 2
    total = np.square(ranks).sum(axis=0)
    apart = np.zeros(data.shape[1:])
    for number in range(len(names)):
        part = ranks[member == number]
        apart += len(part) * np.square(part.mean(axis=0))
    bad = ~np.isfinite(data).all(axis=0) | (total == 0)
    return np.asarray(np.where(bad, np.nan, apart / np.where(total == 0, 1.0, total)), np.float64)


def _mean_squares(data: _Floats, groups: NDArray[Any] | None) -> tuple[_Floats, _Floats, _Floats, int]:
    """Mean squares of films (within their groups), ways and the rest, and the films' degrees of freedom."""
    films, ways = data.shape[:2]
    grand = data.mean(axis=(0, 1))
    of_film, of_way = data.mean(axis=1), data.mean(axis=0)
    centre = np.broadcast_to(grand, of_film.shape).copy()
    freedom = films - 1
    if groups is not None:
        names, member = np.unique(np.asarray(groups), return_inverse=True)
        freedom = films - len(names)
        for number in range(len(names)):
            centre[member == number] = of_film[member == number].mean(axis=0)
    if freedom < 1:
        raise ValueError(f"films must be more than their groups; found {films} in {films - freedom} groups")
    between = ways * np.square(of_film - centre).sum(axis=0) / freedom
    across = films * np.square(of_way - grand).sum(axis=0) / (ways - 1)
    rest = np.square(data - of_film[:, None] - of_way[None] + grand).sum(axis=(0, 1)) / ((films - 1) * (ways - 1))
    return np.asarray(between), np.asarray(across), np.asarray(rest), freedom


def _agreement_limits(
    between: _Floats, across: _Floats, rest: _Floats, found: _Floats, *, counts: tuple[int, int, int], level: float
) -> tuple[_Floats, _Floats]:
    """Limits of ICC(2,1) with Satterthwaite's degrees of freedom (McGraw and Wong 1996, table 7)."""
    from scipy.stats import f as fisher  # noqa: PLC0415 - as above

    films, ways, freedom = counts
    a = ways * found / (films * (1 - found))
    b = 1 + ways * found * (films - 1) / (films * (1 - found))
    degrees = np.square(a * across + b * rest) / (
        np.square(a * across) / (ways - 1) + np.square(b * rest) / ((films - 1) * (ways - 1))
    )
    above = fisher.ppf(0.5 + level / 2, freedom, degrees)
    below = fisher.ppf(0.5 + level / 2, degrees, freedom)
    noise = ways * across + (ways * films - ways - films) * rest
    low = films * (between - above * rest) / (above * noise + films * between)
    high = films * (below * between - rest) / (noise + films * below * between)
    exact = (across <= _FLAT * between) & (rest <= _FLAT * between) & (between > 0)
    return np.where(exact, 1.0, low), np.where(exact, 1.0, high)
