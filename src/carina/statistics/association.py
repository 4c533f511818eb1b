"""Whether performance is associated with age, sex, BMI or ethnicity (M32)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from carina.statistics._covariates import Covariate, read_covariate
from carina.statistics._inputs import check_level, known_films
from carina.statistics.intervals import NOT_ESTIMABLE
from carina.statistics.logistic import (
    cluster_covariance,
    firth_logistic,
    is_separated,
    likelihood_ratio_test,
    logistic_regression,
    profile_interval,
)

__all__ = ["Association", "Term", "cluster_robust_wald", "correctness_regression", "interaction_test"]

_Floats = NDArray[np.float64]
LEAST_EVENTS_PER_VARIABLE = 10
"""Fewer films of the rarer outcome a coefficient are said to be few (M25)."""


@dataclass(frozen=True, slots=True)
class Term:
    """One coefficient.

    Attributes
    ----------
    name : str
        Such as ``"output x age, per 10"`` or ``"output x ethnicity: maori against european"``.
    estimate : float
        Difference of log odds: of the slope of the output, or of the odds of a right call.
    low, high : float or None
        Profile likelihood, or cluster-robust; `None` on a side that the data do not limit.
    """

    name: str
    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Association:
    """Test of one covariate.

    Attributes
    ----------
    covariate : str
    statistic, p_value : float or None
        `None` where not estimable; `note` says why. A large p value is no evidence of no difference: the intervals of
        the terms say which differences the films leave possible.
    degrees : int
        Of freedom.
    method : str
    terms : tuple of Term
    n, events : int
        Films, and those of outcome 1.
    patients : int or None
    events_per_variable : float or None
        Films of the rarer outcome a coefficient, intercept apart.
    left_out : dict of str to int
        Films left out, by reason.
    level : float
        Confidence level.
    note : str or None
    """

    covariate: str
    statistic: float | None
    degrees: int
    p_value: float | None
    method: str
    terms: tuple[Term, ...]
    n: int
    events: int
    patients: int | None
    events_per_variable: float | None
    left_out: Mapping[str, int]
    level: float = 0.95
    note: str | None = None

    def __str__(self) -> str:
        if self.p_value is None:
            return f"{self.covariate}: {self.note}"
        spans = "; ".join(
            f"{term.name} {term.estimate:.3g} ({_limit(term.low)} to {_limit(term.high)})" for term in self.terms
        )
        return f"{self.covariate}: p = {self.p_value:.3g} ({self.method}, {self.degrees} df); {spans}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def interaction_test(
    truth: NDArray[Any],
    output: NDArray[np.floating[Any]],
    covariate: NDArray[Any] | Sequence[Any],
    *,
    name: str = "covariate",
    unit: float = 1.0,
    level: float = 0.95,
) -> Association:
    """First form of M32: whether the output tells positives from negatives alike at every covariate.

    Logistic regression of the truth on output, covariate and their product; likelihood-ratio test of the product. One
    film a patient.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    output : ndarray, (N,)
        Log odds of the calibrated contrast (`bounded_logit`).
    covariate : ndarray, (N,)
        Numbers, or words for categories; NaN, `None` and empty words are missing. Categories are compared with the most
        frequent one; those of fewer than 5 films, or in which the output does not vary, are left out and counted.
    name : str
        Of the covariate.
    unit : float
        Of a number, such as 10 for ages in decades.
    level : float
        Of the terms' intervals.

    Returns
    -------
    Association
        Firth's penalised likelihood where the maximum does not exist (separation); the method says so. Not estimable
        with one class, or a constant output or covariate.

    Raises
    ------
    ValueError
        If arrays differ in length or outputs are not finite.

    References
    ----------
    P. Peduzzi et al., J. Clin. Epidemiol. 49 (1996) 1373-1379, doi:10.1016/S0895-4356(96)00236-3 (ten events a
    variable); `firth_logistic` for the penalty.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> truth, sex = np.repeat([0, 1], 100), np.tile(["F", "M"], 100)
    >>> found = interaction_test(truth, rng.normal(2 * truth, 1.5), sex, name="sex")
    >>> found.degrees, found.method, found.terms[0].name
    (1, 'likelihood ratio', 'output x sex: M against F')
    """
    return _interaction(truth, output, covariate, None, (name, unit, level))


def cluster_robust_wald(
    truth: NDArray[Any],
    output: NDArray[np.floating[Any]],
    covariate: NDArray[Any] | Sequence[Any],
    groups: NDArray[Any],
    *,
    name: str = "covariate",
    unit: float = 1.0,
    level: float = 0.95,
) -> Association:
    """First form of M32 on all films: the interaction by a Wald test with a variance by patient.

    Parameters
    ----------
    truth, output, covariate, name, unit, level
        As `interaction_test`.
    groups : ndarray, (N,)
        Patient of each film.

    Returns
    -------
    Association
        The statistic is Wald's over its degrees of freedom, referred to F with patients - 1 for the second; intervals
        by Student's t. Not estimable where the outcomes are separated: no robust variance exists then.

    Raises
    ------
    ValueError
        As `interaction_test`.

    References
    ----------
    K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986) 13-22, doi:10.1093/biomet/73.1.13.
    """
    return _interaction(truth, output, covariate, np.asarray(groups), (name, unit, level))


def correctness_regression(
    truth: NDArray[Any],
    called: NDArray[np.bool_],
    covariate: NDArray[Any] | Sequence[Any],
    groups: NDArray[Any] | None = None,
    *,
    name: str = "covariate",
    unit: float = 1.0,
    level: float = 0.95,
) -> dict[str, Association]:
    """Second form of M32: whether calls are right as often at every covariate, by side of the truth.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    called : ndarray of bool, (N,)
        True where called positive.
    covariate, name, unit, level
        As `interaction_test`.
    groups : ndarray, (N,), optional
        Patient of each film: the cluster-robust Wald test, for all films. Without, the likelihood-ratio test, for one
        film a patient.

    Returns
    -------
    dict of str to Association
        ``positive`` (of sensitivity) and ``negative`` (of specificity). Not estimable where all calls are right, or all
        wrong.

    Raises
    ------
    ValueError
        If arrays differ in length.

    Examples
    --------
    >>> truth, called = np.ones(40), np.arange(40) % 4 != 0
    >>> found = correctness_regression(truth, called, np.tile(["F", "F", "M", "M"], 10), name="sex")
    >>> found["positive"].method
    'likelihood ratio, Firth'
    >>> found["negative"].note
    'not estimable: no film'
    """
    check_level(level)
    calls = np.asarray(called, dtype=np.float64)
    sides, values, known = known_films(truth, calls, np.asarray(covariate, dtype=object), groups)
    column, people = np.asarray(covariate)[known], None if groups is None else np.asarray(groups)[known]
    result = {}
    for side, chosen in (("positive", sides), ("negative", ~sides)):
        right = (values[chosen] == 1) == (side == "positive")
        owners_here = None if people is None else people[chosen]
        read = read_covariate(column[chosen], name, unit)
        result[side] = _tested(right.astype(np.float64), None, read, owners_here, level)
    return result


def _interaction(
    truth: NDArray[Any],
    output: NDArray[np.floating[Any]],
    covariate: NDArray[Any] | Sequence[Any],
    groups: NDArray[Any] | None,
    told: tuple[str, float, float],
) -> Association:
    name, unit, level = told
    check_level(level)
    sides, values, known = known_films(truth, output, np.asarray(covariate, dtype=object), groups)
    read = read_covariate(np.asarray(covariate)[known], name, unit, values)
    people = None if groups is None else groups[known]
    return _tested(sides.astype(np.float64), values, read, people, level)


def _tested(
    outcome: _Floats, output: _Floats | None, covariate: Covariate, groups: NDArray[Any] | None, level: float
) -> Association:
    """Regress the outcome on the covariate, or on output, covariate and their product; test the last columns."""
    kept = covariate.kept
    sides, people = outcome[kept], None if groups is None else groups[kept]
    method = "likelihood ratio" if groups is None else "cluster-robust Wald"
    degrees = len(covariate.names)
    rarer = int(min(sides.sum(), sides.size - sides.sum()))
    others = 1 if output is None else 2
    base = (sides.size, int(sides.sum()), None if people is None else len(np.unique(people)))

    def result(
        statistic: float | None, p_value: float | None, terms: tuple[Term, ...], words: str, note: str | None
    ) -> Association:
        # Coefficients apart from the intercept: the covariate's, and with an output its own and the products'.
        share = rarer / (degrees * others + (others - 1)) if degrees else None
        notes = [note] if note else []
        if p_value is not None and share is not None and share < LEAST_EVENTS_PER_VARIABLE:
            least = LEAST_EVENTS_PER_VARIABLE
            notes.append(f"{share:.1f} films of the rarer outcome a coefficient, fewer than {least}")
        return Association(
            covariate.name, statistic, degrees, p_value, words, terms, *base, share, dict(covariate.left_out), level,
            "; ".join(notes) or None,
        )  # fmt: skip

    why = _why_not(sides, None if output is None else output[kept], covariate, base[2])
    if why:
        return result(None, None, (), method, f"{NOT_ESTIMABLE}: {why}")
    design, tested, scales, names = _design(covariate, None if output is None else output[kept])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return result(None, None, (), method, f"{NOT_ESTIMABLE}: output and {covariate.name} depend on one another")
    separated = is_separated(design, sides)
    if people is not None:
        if separated:
            why = "the outcomes are separated, and no robust variance exists then"
            return result(None, None, (), method, f"{NOT_ESTIMABLE}: {why}")
        statistic, p_value, terms = _robust(design, sides, people, (tested, scales, names), level)
        return result(statistic, p_value, terms, method, None)
    words = f"{method}, Firth" if separated else method
    statistic, _, p_value = likelihood_ratio_test(design, sides, tested, penalised=separated)
    fit = (firth_logistic if separated else logistic_regression)(design, sides)
    found = []
    for column, scale, name in zip(tested, scales, names, strict=True):
        low, high = profile_interval(design, sides, column, level, penalised=separated)
        value = float(fit.coefficients[column]) / scale
        found.append(Term(name, value, None if low is None else low / scale, None if high is None else high / scale))
    note = "the outcomes are separated: penalised likelihood" if separated else None
    return result(statistic, p_value, tuple(found), words, note)


def _why_not(sides: _Floats, output: _Floats | None, covariate: Covariate, patients: int | None) -> str | None:
    coefficients = 1 + len(covariate.names) if output is None else 2 + 2 * len(covariate.names)
    checks = (
        (not sides.size, "no film"),
        (sides.size and not 0 < sides.sum() < sides.size, "all calls are right, or all wrong"),
        (not covariate.names, f"{covariate.name} does not vary"),
        (output is not None and sides.size and np.ptp(output) <= 1e-12, "the output does not vary"),  # noqa: PLR2004
        (sides.size <= coefficients, f"{sides.size} films are too few for {coefficients} coefficients"),
        (patients is not None and patients <= coefficients, f"{patients} patients are too few"),
    )
    why = next((reason for fails, reason in checks if fails), None)
    if why == "all calls are right, or all wrong" and output is not None:
        return "one class only"
    return why


def _design(covariate: Covariate, output: _Floats | None) -> tuple[_Floats, list[int], list[float], list[str]]:
    """Design, tested columns, what to divide their coefficients by, and their names."""
    columns, ones = covariate.columns, np.ones((covariate.columns.shape[0], 1))
    count = columns.shape[1]
    if output is None:
        return np.hstack([ones, columns]), list(range(1, 1 + count)), list(covariate.scales), list(covariate.names)
    spread = float(output.std())
    scaled = ((output - output.mean()) / spread)[:, None]
    design = np.hstack([ones, scaled, columns, scaled * columns])
    scales = [spread * scale for scale in covariate.scales]
    return design, list(range(2 + count, 2 + 2 * count)), scales, [f"output x {name}" for name in covariate.names]


def _robust(
    design: _Floats,
    sides: _Floats,
    people: NDArray[Any],
    tested: tuple[list[int], list[float], list[str]],
    level: float,
) -> tuple[float, float, tuple[Term, ...]]:
    columns, scales, names = tested
    fit = logistic_regression(design, sides)
    covariance = cluster_covariance(fit, design, sides, people)
    values, block = fit.coefficients[columns], covariance[np.ix_(columns, columns)]
    degrees = len(np.unique(people)) - 1
    statistic = float(values @ np.linalg.pinv(block) @ values) / len(columns)
    half = float(student.ppf(0.5 + level / 2, degrees)) * np.sqrt(np.diag(block))
    terms = tuple(
        Term(name, float(value / scale), float((value - width) / scale), float((value + width) / scale))
        for name, value, width, scale in zip(names, values, half, scales, strict=True)
    )
    return statistic, float(fisher.sf(statistic, len(columns), degrees)), terms


def _limit(value: float | None) -> str:
    return "not limited" if value is None else f"{value:.3g}"
