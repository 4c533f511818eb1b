"""Logistic regression by maximum likelihood and by Firth's penalised likelihood (M32)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog
from scipy.special import expit
from scipy.stats import chi2

from carina.statistics._inputs import check_level, owners

__all__ = [
    "LogisticFit",
    "cluster_covariance",
    "firth_logistic",
    "is_separated",
    "likelihood_ratio_test",
    "logistic_regression",
    "profile_interval",
]

_Floats = NDArray[np.float64]
_ITERATIONS = 200
_TOLERANCE = 1e-9
_CERTAIN = 1e-6
_FARTHEST = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """A fitted logistic regression.

    Attributes
    ----------
    coefficients : ndarray, (P,)
        Log odds ratios, one a column of the design.
    covariance : ndarray, (P, P)
        Inverse Fisher information.
    log_likelihood : float
        Penalised where `penalised`: plus half the log determinant of the information.
    penalised : bool
        Firth's.
    n, events : int
        Films, and those of outcome 1.
    converged : bool
    """

    coefficients: _Floats
    covariance: _Floats
    log_likelihood: float
    penalised: bool
    n: int
    events: int
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    design: _Floats
    outcome: _Floats
    offset: _Floats
    penalised: bool

    @classmethod
    def of(
        cls, design: NDArray[Any], outcome: NDArray[Any], offset: NDArray[Any] | None, *, penalised: bool
    ) -> _Problem:
        columns, sides = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
        shift = np.zeros(sides.shape) if offset is None else np.asarray(offset, dtype=np.float64)
        if columns.shape[:-1] != sides.shape or shift.shape != sides.shape or sides.ndim != 1:
            raise ValueError(f"a design needs a row a film; found {columns.shape} for {sides.shape} outcomes")
        if not np.isfinite(columns).all() or not np.isfinite(shift).all():
            raise ValueError("the design must be finite; leave out films without a value and say so")
        if not np.isin(sides, (0.0, 1.0)).all():
            raise ValueError("outcomes must be 1 or 0; leave out the others and say so")
        if not 0 < sides.sum() < sides.size:
            raise ValueError("a regression needs both outcomes; found one only")
        if np.linalg.matrix_rank(columns) < columns.shape[1]:
            raise ValueError("the design's columns depend on one another; leave one of them out")
        return cls(columns, sides, shift, penalised)

    def at(self, beta: _Floats) -> tuple[float, _Floats, _Floats]:
        """Log likelihood, score and information at coefficients."""
        linear = self.design @ beta + self.offset
        chance = expit(linear)
        weight = chance * (1 - chance)
        value = float(-(np.logaddexp(0.0, np.where(self.outcome == 1, -linear, linear))).sum())
        information = (self.design * weight[:, None]).T @ self.design
        residual = self.outcome - chance
        if self.penalised:
            sign, log_det = np.linalg.slogdet(information)
            if sign <= 0 or not np.isfinite(log_det):
                return -np.inf, np.zeros(beta.size), information
            leverage = weight * np.einsum("ij,ji->i", self.design, np.linalg.solve(information, self.design.T))
            value += 0.5 * float(log_det)
            residual = residual + leverage * (0.5 - chance)
        return value, self.design.T @ residual, information


def logistic_regression(
    design: NDArray[Any], outcome: NDArray[Any], *, offset: NDArray[Any] | None = None
) -> LogisticFit:
    """Logistic regression of maximum likelihood.

    Parameters
    ----------
    design : ndarray, (N, P)
        With a column of ones, where an intercept is wanted.
    outcome : ndarray, (N,)
        1 or 0, both present.
    offset : ndarray, (N,), optional
        Added to the log odds, with coefficient 1.

    Returns
    -------
    LogisticFit

    Raises
    ------
    ValueError
        If the outcomes are separated by the design, so that no finite maximum exists (use `firth_logistic`), if its
        columns depend on one another or a value is not allowed.

    Examples
    --------
    >>> x = np.array([0.0, 1, 2, 3, 4, 5])
    >>> fit = logistic_regression(np.column_stack([np.ones(6), x]), np.array([0, 0, 1, 0, 1, 1]))
    >>> fit.coefficients.round(3).tolist()
    [-3.035, 1.214]
    """
    problem = _Problem.of(design, outcome, offset, penalised=False)
    if problem.design.shape[1] and is_separated(problem.design, problem.outcome):
        raise ValueError(
            "the outcomes are separated: some combination of the columns tells them apart without an error, so that "
            "the likelihood has no maximum; use firth_logistic"
        )
    return _fit(problem, np.zeros(problem.design.shape[1]), np.ones(problem.design.shape[1], dtype=bool))


def firth_logistic(design: NDArray[Any], outcome: NDArray[Any], *, offset: NDArray[Any] | None = None) -> LogisticFit:
    """Logistic regression of Firth's penalised likelihood: finite under separation, with less bias in small samples.

    Parameters as `logistic_regression`.

    Returns
    -------
    LogisticFit

    Raises
    ------
    ValueError
        If the design's columns depend on one another or a value is not allowed.

    References
    ----------
    D. Firth, Biometrika 80 (1993) 27-38, doi:10.1093/biomet/80.1.27; G. Heinze, M. Schemper, Stat. Med. 21 (2002)
    2409-2419, doi:10.1002/sim.1047.

    Examples
    --------
    >>> fit = firth_logistic(np.column_stack([np.ones(4), [0, 0, 1, 1]]), np.array([0, 0, 1, 1]))
    >>> fit.coefficients.round(3).tolist()  # log(0.5 / 2.5), and log(2.5 / 0.5) more than that
    [-1.609, 3.219]
    """
    problem = _Problem.of(design, outcome, offset, penalised=True)
    return _fit(problem, np.zeros(problem.design.shape[1]), np.ones(problem.design.shape[1], dtype=bool))


def is_separated(design: NDArray[Any], outcome: NDArray[Any]) -> bool:
    """Whether some combination of the columns orders the outcomes without an error, ties allowed but for all.

    Then the likelihood of a logistic regression has no maximum: complete or quasi-complete separation.

    Parameters
    ----------
    design : ndarray, (N, P)
    outcome : ndarray, (N,)
        1 or 0.

    References
    ----------
    A. Albert, J. A. Anderson, Biometrika 71 (1984) 1-10, doi:10.1093/biomet/71.1.1; by the linear programme of K.
    Konis, thesis, Oxford 2007.

    Examples
    --------
    >>> is_separated(np.column_stack([np.ones(4), [0, 1, 2, 3]]), np.array([0, 0, 1, 1]))
    True
    >>> is_separated(np.column_stack([np.ones(4), [0, 2, 1, 3]]), np.array([0, 0, 1, 1]))
    False
    """
    columns, sides = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if not 0 < sides.sum() < sides.size:
        return True
    problem = _Problem(columns, sides, np.zeros(sides.size), penalised=False)
    tried = _fit(problem, np.zeros(columns.shape[1]), np.ones(columns.shape[1], dtype=bool))
    chance = expit(columns @ tried.coefficients)
    if tried.converged and float(np.minimum(chance, 1 - chance).min()) > _CERTAIN:
        return False  # a finite maximum was found
    signed = np.where(sides == 1, 1.0, -1.0)[:, None] * columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(sides.size), bounds=(-1, 1), method="highs")
    return bool(found.status == 0 and -found.fun > 1e-7)  # noqa: PLR2004 - the solver's tolerance


def likelihood_ratio_test(
    design: NDArray[Any], outcome: NDArray[Any], tested: Sequence[int], *, penalised: bool = False
) -> tuple[float, int, float]:
    """Test that some coefficients are all 0.

    Parameters
    ----------
    design, outcome
        As `logistic_regression`.
    tested : sequence of int
        Columns of the design.
    penalised : bool
        Firth's penalty, of the full design in both fits.

    Returns
    -------
    statistic : float
        Twice the difference of the log likelihoods.
    degrees : int
        Of freedom.
    p_value : float
        From the chi-squared distribution.

    Raises
    ------
    ValueError
        As `logistic_regression` or `firth_logistic`, or without a column to test.

    References
    ----------
    Penalised: G. Heinze, M. Schemper, Stat. Med. 21 (2002) 2409-2419, doi:10.1002/sim.1047.

    Examples
    --------
    >>> x, y = np.array([0.0, 1, 2, 3, 4, 5]), np.array([0, 0, 1, 0, 1, 1])
    >>> statistic, degrees, p = likelihood_ratio_test(np.column_stack([np.ones(6), x]), y, [1])
    >>> round(statistic, 3), degrees, round(p, 4)
    (3.362, 1, 0.0667)
    """
    if not len(tested):
        raise ValueError("a test needs at least one column; found none")
    full = firth_logistic(design, outcome) if penalised else logistic_regression(design, outcome)
    problem = _Problem.of(design, outcome, None, penalised=penalised)
    free = np.ones(problem.design.shape[1], dtype=bool)
    free[list(tested)] = False
    held = _fit(problem, np.zeros(free.size), free)
    statistic = max(0.0, 2 * (full.log_likelihood - held.log_likelihood))
    return statistic, len(tested), float(chi2.sf(statistic, len(tested)))


def profile_interval(
    design: NDArray[Any], outcome: NDArray[Any], column: int, level: float = 0.95, *, penalised: bool = False
) -> tuple[float | None, float | None]:
    """Interval of one coefficient from its profile likelihood.

    Parameters
    ----------
    design, outcome, penalised
        As `likelihood_ratio_test`.
    column : int
    level : float
        In (0, 1).

    Returns
    -------
    low, high : float or None
        `None` where the likelihood never falls so far on that side: the data do not limit it.

    Raises
    ------
    ValueError
        As `likelihood_ratio_test`.

    References
    ----------
    D. J. Venzon, S. H. Moolgavkar, Appl. Stat. 37 (1988) 87-94, doi:10.2307/2347496.
    """
    check_level(level)
    full = firth_logistic(design, outcome) if penalised else logistic_regression(design, outcome)
    problem = _Problem.of(design, outcome, None, penalised=penalised)
    free = np.ones(problem.design.shape[1], dtype=bool)
    free[column] = False
    drop = float(chi2.ppf(level, 1)) / 2
    start, error = full.coefficients, float(full.covariance[column, column]) ** 0.5

    def excess(value: float) -> float:
        held = start.copy()
        held[column] = value
        return full.log_likelihood - _fit(problem, held, free).log_likelihood - drop

    limits: list[float | None] = []
    for side in (-1.0, 1.0):
        inner, step = float(start[column]), 2.0 * error
        outer = inner + side * step
        while excess(outer) < 0 and step < _FARTHEST * error:
            inner, step = outer, 1.6 * step
            outer = float(start[column]) + side * step
        limits.append(float(brentq(excess, *sorted((inner, outer)), xtol=1e-8)) if excess(outer) >= 0 else None)
    return limits[0], limits[1]


def cluster_covariance(
    fit: LogisticFit, design: NDArray[Any], outcome: NDArray[Any], groups: NDArray[Any], *, offset: Any = None
) -> _Floats:
    """Covariance of the coefficients where films of one patient are not independent (sandwich).

    Parameters
    ----------
    fit : LogisticFit
        Of maximum likelihood.
    design, outcome, offset
        What it was fitted to.
    groups : ndarray, (N,)
        Patient of each film.

    Returns
    -------
    ndarray, (P, P)
        With the factor G / (G - 1) for G patients.

    Raises
    ------
    ValueError
        If there are no more patients than coefficients, or `groups` is of another length.

    References
    ----------
    K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986) 13-22, doi:10.1093/biomet/73.1.13.
    """
    columns, sides = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if np.shape(groups) != sides.shape:
        raise ValueError(f"every film needs a patient; found {np.shape(groups)} for {sides.shape} films")
    patients, owner = owners(groups)
    if patients <= columns.shape[1]:
        raise ValueError(f"a robust variance needs more patients than coefficients; found {patients} patients")
    shift = 0.0 if offset is None else np.asarray(offset, dtype=np.float64)
    scores = columns * (sides - expit(columns @ fit.coefficients + shift))[:, None]
    sums = np.stack([np.bincount(owner, score, patients) for score in scores.T])
    return np.asarray(patients / (patients - 1) * fit.covariance @ (sums @ sums.T) @ fit.covariance)


def _fit(problem: _Problem, start: _Floats, free: NDArray[np.bool_]) -> LogisticFit:
    """Newton's method with halved steps over the free coefficients; the others stay where they start."""
    beta = start.copy()
    value, score, information = problem.at(beta)
    converged = not free.any()
    for _ in range(_ITERATIONS):
        if converged:
            break
        step = _newton_step(information[np.ix_(free, free)], score[free])
        largest = float(np.abs(step).max(initial=0.0))
        step *= min(1.0, 5.0 / max(largest, 1e-300))
        for halving in range(30):
            tried = beta.copy()
            tried[free] += step / 2**halving
            found = problem.at(tried)
            if found[0] >= value - 1e-12 * max(1.0, abs(value)):
                break
        else:
            break
        gained, beta, (value, score, information) = found[0] - value, tried, found
        converged = largest < _TOLERANCE * max(1.0, float(np.abs(beta).max())) and gained < 1e-8  # noqa: PLR2004
    result = LogisticFit(
        beta,
        np.full(information.shape, np.nan),
        value,
        problem.penalised,
        problem.outcome.size,
        int(problem.outcome.sum()),
        converged,
    )
    try:
        return replace(result, covariance=np.asarray(np.linalg.inv(information), dtype=np.float64))
    except np.linalg.LinAlgError:
        return replace(result, converged=False)


def _newton_step(information: _Floats, score: _Floats) -> _Floats:
    try:
        return np.asarray(np.linalg.solve(information, score))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(information, score, rcond=None)[0])
