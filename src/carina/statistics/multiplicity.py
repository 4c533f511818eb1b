"""Many tests or intervals at once (M30, M32)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level

__all__ = ["benjamini_hochberg", "bonferroni", "bonferroni_level", "holm"]

_PValues = Sequence[float | None] | NDArray[np.float64]


def bonferroni_level(tests: int, level: float = 0.95) -> float:
    """Level of each of `tests` intervals so that all hold together at `level`.

    Raises
    ------
    ValueError
        Without a test, or if the level is outside (0, 1).

    Examples
    --------
    >>> bonferroni_level(4)
    0.9875
    """
    check_level(level)
    if tests < 1:
        raise ValueError(f"a family needs at least one member; found {tests!r}")
    return 1.0 - round(1.0 - level, 15) / tests


def bonferroni(p_values: _PValues) -> NDArray[np.float64]:
    """P values times their number, at most 1: controls the chance of any false finding.

    Parameters
    ----------
    p_values : sequence of float or None, (m,)
        In [0, 1]; `None` or NaN, a test that could not be made, stays NaN and does not count towards m.

    Returns
    -------
    ndarray, (m,)

    Raises
    ------
    ValueError
        If a value is outside [0, 1].

    Examples
    --------
    >>> bonferroni([0.01, 0.4, None]).tolist()
    [0.02, 0.8, nan]
    """
    values, known = _checked(p_values)
    values[known] = np.minimum(values[known] * known.sum(), 1.0)
    return values


def holm(p_values: _PValues) -> NDArray[np.float64]:
    """Step-down adjusted p values: controls the chance of any false finding, never weaker than Bonferroni.

    Parameters, returns and raises as `bonferroni`.

    References
    ----------
    S. Holm, Scand. J. Stat. 6 (1979) 65-70, www.jstor.org/stable/4615733.

    Examples
    --------
    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03, 0.005]).tolist()]
    [0.03, 0.06, 0.06, 0.02]
    """
    values, known = _checked(p_values)
    found = values[known]
    order = np.argsort(found, kind="stable")
    steps = np.maximum.accumulate(found[order] * (found.size - np.arange(found.size)))
    values[np.flatnonzero(known)[order]] = np.minimum(steps, 1.0)
    return values


def benjamini_hochberg(p_values: _PValues) -> NDArray[np.float64]:
    """Step-up adjusted p values: controls the share of false findings among findings, for independent tests.

    Parameters, returns and raises as `bonferroni`.

    References
    ----------
    Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289-300, doi:10.1111/j.2517-6161.1995.tb02031.x.

    Examples
    --------
    >>> [round(p, 4) for p in benjamini_hochberg([0.01, 0.04, 0.03, 0.005]).tolist()]
    [0.02, 0.04, 0.04, 0.02]
    """
    values, known = _checked(p_values)
    found = values[known]
    order = np.argsort(found, kind="stable")[::-1]
    steps = np.minimum.accumulate(found[order] * found.size / np.arange(found.size, 0, -1))
    values[np.flatnonzero(known)[order]] = np.minimum(steps, 1.0)
    return values


def _checked(p_values: _PValues) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.array([np.nan if value is None else value for value in p_values], dtype=np.float64)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"p values must be within 0 and 1; found {values[known].tolist()}")
    return values, known
