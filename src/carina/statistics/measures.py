"""The accuracy parameters of M29, per contrast, per class and macro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from carina.statistics._inputs import check_level
from carina.statistics.accuracy import Counts
from carina.statistics.estimates import Estimate
from carina.statistics.intervals import NOT_ESTIMABLE, Proportion, clopper_pearson, proportion, wilson

__all__ = [
    "RATES",
    "accuracy_measures",
    "class_measures",
    "cohen_kappa",
    "confusion_matrix",
    "macro_measures",
    "matthews",
    "rates",
]

RATES = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc", "kappa")
"""Measures that four counts give."""

_SHARES = RATES[:5]
_DENOMINATORS = {
    "accuracy": "films",
    "sensitivity": "positives",
    "specificity": "negatives",
    "ppv": "positive calls",
    "npv": "negative calls",
    "f1": "positives or positive calls",
}
_BY_DRAWS = "interval: cluster_bootstrap"
_Floats = NDArray[np.float64]


def rates(tp: Any, fp: Any, tn: Any, fn: Any) -> dict[str, _Floats]:
    """Accuracy, sensitivity, specificity, PPV, NPV, F1, MCC and kappa of counts, NaN where 0/0.

    Parameters
    ----------
    tp, fp, tn, fn : array_like
        Counts, or weights, of one shape: one entry a threshold, a draw or a class.

    Returns
    -------
    dict of str to ndarray
        Of that shape, keys as `RATES`.

    References
    ----------
    MCC: B. W. Matthews, Biochim. Biophys. Acta 405 (1975) 442-451, doi:10.1016/0005-2795(75)90109-9. Kappa: J. Cohen,
    Educ. Psychol. Meas. 20 (1960) 37-46, doi:10.1177/001316446002000104.

    Examples
    --------
    >>> found = rates(8, 1, 18, 2)
    >>> round(float(found["f1"]), 4), round(float(found["mcc"]), 4), round(float(found["kappa"]), 4)
    (0.8421, 0.7678, 0.7655)
    """
    a, b, d, c = (np.asarray(each, dtype=np.float64) for each in (tp, fp, tn, fn))
    total = a + b + c + d
    chance = (a + c) * (a + b) + (b + d) * (c + d)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "accuracy": (a + d) / total,
            "sensitivity": a / (a + c),
            "specificity": d / (d + b),
            "ppv": a / (a + b),
            "npv": d / (d + c),
            "f1": 2 * a / (2 * a + b + c),
            "mcc": (a * d - b * c) / (np.sqrt(a + b) * np.sqrt(a + c) * np.sqrt(d + b) * np.sqrt(d + c)),
            "kappa": ((a + d) * total - chance) / (total * total - chance),
        }


def accuracy_measures(
    counts: Counts, level: float = 0.95, *, method: str = "clopper-pearson", patients: int | None = None
) -> dict[str, Estimate]:
    """Every accuracy parameter of four counts with its interval for independent films (M29).

    Parameters
    ----------
    counts : Counts
    level : float
        In (0, 1); 0.9875 for four intervals that hold together at 95 % (M31).
    method : {"clopper-pearson", "wilson"}
        Of the shares.
    patients : int, optional
        Kept with each estimate.

    Returns
    -------
    dict of str to Estimate
        ``tp``, ``fp``, ``tn``, ``fn`` (without interval) and the keys of `RATES`. Not estimable where 0/0. The interval
        of F1 is exact: with J = TP / (TP + FP + FN), a share, F1 = 2 J / (1 + J). That of MCC is asymptotic on Fisher's
        z scale, that of kappa asymptotic; neither is given where it has no width.

    Raises
    ------
    ValueError
        If the level or the method is unknown.

    References
    ----------
    Kappa: J. L. Fleiss, J. Cohen, B. S. Everitt, Psychol. Bull. 72 (1969) 323-327, doi:10.1037/h0028106. MCC, the phi
    coefficient: Y. M. M. Bishop, S. E. Fienberg, P. W. Holland, Discrete multivariate analysis, 1975, chapter 11.

    Examples
    --------
    >>> found = accuracy_measures(Counts(tp=8, fp=0, tn=18, fn=2))
    >>> str(found["sensitivity"]), str(found["f1"])
    ('0.800 (0.444 to 0.975), 8/10', '0.889 (0.615 to 0.987), 10 films')
    >>> str(accuracy_measures(Counts(0, 0, 5, 1))["ppv"])
    'not estimable, 0/0'
    """
    check_level(level)
    if method not in {"clopper-pearson", "wilson"}:
        raise ValueError(f"the interval must be 'clopper-pearson' or 'wilson'; found {method!r}")
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn
    total = tp + fp + tn + fn
    result = {
        name: Estimate(float(value), None, None, total, patients, level, "a count")
        for name, value in (("tp", tp), ("fp", fp), ("tn", tn), ("fn", fn))
    }
    for name in _SHARES:
        result[name] = _share(getattr(counts, name)(level), name, method, patients)
    result["f1"] = _f1(counts, level, patients)
    result["mcc"] = _mcc(counts, level, patients)
    result["kappa"] = cohen_kappa(np.array([[tn, fp], [fn, tp]]), level, patients=patients)
    return result


def confusion_matrix(truth: NDArray[Any], called: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.int64]:
    """Count what films of each class are called.

    Parameters
    ----------
    truth, called : ndarray, (N,)
        Class of each film, and what it was called; a film whose truth or call is none of `classes` takes no part.
    classes : sequence, K
        In the order of the rows.

    Returns
    -------
    ndarray of int, (K, K)
        Row: truth, column: called.

    Raises
    ------
    ValueError
        If truth and calls differ in number, or classes repeat.

    Examples
    --------
    >>> confusion_matrix(np.array(["a", "b", "b"]), np.array(["a", "a", "b"]), ["a", "b"]).tolist()
    [[1, 0], [1, 1]]
    """
    rows, columns, names = np.asarray(truth), np.asarray(called), list(classes)
    if rows.shape != columns.shape:
        raise ValueError(f"every film needs a truth and a call; found {rows.shape} and {columns.shape}")
    if len(set(names)) != len(names):
        raise ValueError(f"classes must differ; found {names!r}")
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    for row, true in enumerate(names):
        for column, call in enumerate(names):
            matrix[row, column] = int(((rows == true) & (columns == call)).sum())
    return matrix


def class_measures(
    matrix: NDArray[np.integer[Any]], classes: Sequence[str], level: float = 0.95, *, method: str = "clopper-pearson"
) -> dict[str, dict[str, Estimate]]:
    """Measures of each class against all others together (M29).

    Parameters
    ----------
    matrix : ndarray, (K, K)
        As `confusion_matrix`.
    classes : sequence of str, K
    level, method
        As `accuracy_measures`.

    Returns
    -------
    dict of str to dict of str to Estimate
        By class, then as `accuracy_measures`.
    """
    return {
        name: accuracy_measures(counts, level, method=method)
        for name, counts in _one_against_rest(matrix, classes).items()
    }


def macro_measures(
    matrix: NDArray[np.integer[Any]], classes: Sequence[str], level: float = 0.95
) -> dict[str, Estimate]:
    """Mean of each class's measure, each class counting the same; with accuracy, kappa and MCC of all classes (M29).

    Parameters
    ----------
    matrix : ndarray, (K, K)
        As `confusion_matrix`.
    classes : sequence of str, K
    level : float
        Of the intervals of accuracy and kappa.

    Returns
    -------
    dict of str to Estimate
        ``macro_sensitivity`` and so on for the keys of `RATES`, not estimable where that of one class is not, and the
        note names the class; ``accuracy``, ``kappa`` and ``mcc`` (Gorodkin) of the whole matrix.

    References
    ----------
    J. Gorodkin, Comput. Biol. Chem. 28 (2004) 367-374, doi:10.1016/j.compbiolchem.2004.09.006.
    """
    total = int(np.sum(matrix))
    by_class = {name: rates(one.tp, one.fp, one.tn, one.fn) for name, one in _one_against_rest(matrix, classes).items()}
    result: dict[str, Estimate] = {}
    for measure in RATES:
        values = {name: float(found[measure]) for name, found in by_class.items()}
        missing = [name for name, value in values.items() if not np.isfinite(value)]
        value = None if missing or not values else float(np.mean(list(values.values())))
        note = f"{NOT_ESTIMABLE} for {', '.join(missing)}, so that the mean is not" if missing else _BY_DRAWS
        result[f"macro_{measure}"] = Estimate(value, None, None, total, level=level, method="none", note=note)
    right = int(np.trace(matrix))
    result["accuracy"] = _share(proportion(right, total, level), "accuracy", "clopper-pearson", None)
    result["kappa"] = cohen_kappa(matrix, level)
    mcc = matthews(matrix)
    note = _BY_DRAWS if mcc is not None else f"{NOT_ESTIMABLE}: all films of one class, or called one class"
    result["mcc"] = Estimate(mcc, None, None, total, level=level, method="none", note=note)
    return result


def matthews(matrix: NDArray[Any]) -> float | None:
    """Matthews's correlation of truth and calls, for two or more classes (Gorodkin's R_K).

    Parameters
    ----------
    matrix : ndarray, (K, K)

    Returns
    -------
    float or None
        In [-1, 1]; `None` where all films are of one class or are called one class.

    Examples
    --------
    >>> matthews(np.array([[5, 0], [3, 0]])) is None
    True
    """
    table = np.asarray(matrix, dtype=np.float64)
    total, rows, columns = table.sum(), table.sum(axis=1), table.sum(axis=0)
    spread = (total**2 - rows @ rows) * (total**2 - columns @ columns)
    if spread <= 0:
        return None
    return float((np.trace(table) * total - rows @ columns) / np.sqrt(spread))


def cohen_kappa(matrix: NDArray[Any], level: float = 0.95, *, patients: int | None = None) -> Estimate:
    """Agreement of truth and calls beyond chance, for two or more classes, with its asymptotic interval.

    Parameters
    ----------
    matrix : ndarray, (K, K)
    level : float
        In (0, 1).
    patients : int, optional
        Kept with the estimate.

    Returns
    -------
    Estimate
        Not estimable where chance alone agrees always: all films of one class and called it. Films must be independent.

    References
    ----------
    J. L. Fleiss, J. Cohen, B. S. Everitt, Psychol. Bull. 72 (1969) 323-327, doi:10.1037/h0028106, equation 13.

    Examples
    --------
    >>> str(cohen_kappa(np.array([[20, 5], [10, 15]])))
    '0.400 (0.151 to 0.649), 50 films'
    """
    check_level(level)
    table = np.asarray(matrix, dtype=np.float64)
    total = float(table.sum())
    method = "Fleiss, Cohen and Everitt"

    def bare(value: float | None, note: str) -> Estimate:
        return Estimate(value, None, None, int(total), patients, level, method, note=note)

    if not total:
        return bare(None, f"{NOT_ESTIMABLE}: no film")
    shares = table / total
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, chance = float(np.trace(shares)), float(rows @ columns)
    if 1.0 - chance <= 0.0:
        return bare(None, f"{NOT_ESTIMABLE}: all films of one class and called it")
    value = (observed - chance) / (1.0 - chance)
    weights = 1.0 - (rows[None, :] + columns[:, None]) * (1.0 - value)
    on_diagonal = float((np.diag(shares) * np.diag(weights) ** 2).sum())
    off = shares * (rows[None, :] + columns[:, None]) ** 2
    off_diagonal = (1.0 - value) ** 2 * float(off.sum() - np.trace(off))
    variance = (on_diagonal + off_diagonal - (value - chance * (1.0 - value)) ** 2) / (total * (1.0 - chance) ** 2)
    half = float(norm.ppf(0.5 + level / 2)) * max(variance, 0.0) ** 0.5
    if half <= 1e-12:  # noqa: PLR2004 - rounding of a variance of nothing
        return bare(value, "no interval: it would have no width")
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), int(total), patients, level, method)


def _one_against_rest(matrix: NDArray[Any], classes: Sequence[str]) -> Mapping[str, Counts]:
    table = np.asarray(matrix)
    if table.shape != (len(classes), len(classes)):
        raise ValueError(f"a confusion matrix needs a row and a column a class; found {table.shape}, {len(classes)}")
    result = {}
    for place, name in enumerate(classes):
        tp = int(table[place, place])
        fp, fn = int(table[:, place].sum()) - tp, int(table[place].sum()) - tp
        result[name] = Counts(tp, fp, int(table.sum()) - tp - fp - fn, fn)
    return result


def _share(share: Proportion, name: str, method: str, patients: int | None) -> Estimate:
    words = {"clopper-pearson": "Clopper-Pearson", "wilson": "Wilson"}[method]
    low, high = share.low, share.high
    if method == "wilson":
        low, high = wilson(share.events, share.trials, share.level) or (None, None)
    note = f"{NOT_ESTIMABLE}: no {_DENOMINATORS[name]}" if share.estimate is None else None
    return Estimate(share.estimate, low, high, share.trials, patients, share.level, words, share.events, note)


def _f1(counts: Counts, level: float, patients: int | None) -> Estimate:
    trials = counts.tp + counts.fp + counts.fn
    method = "Clopper-Pearson of TP / (TP + FP + FN)"
    limits = clopper_pearson(counts.tp, trials, level)
    if limits is None:
        note = f"{NOT_ESTIMABLE}: no {_DENOMINATORS['f1']}"
        return Estimate(None, None, None, 0, patients, level, method, note=note)
    value, low, high = (2 * share / (1 + share) for share in (counts.tp / trials, *limits))
    return Estimate(value, low, high, trials, patients, level, method)


def _mcc(counts: Counts, level: float, patients: int | None) -> Estimate:
    total = counts.tp + counts.fp + counts.tn + counts.fn
    value = matthews(np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]]))
    method = "asymptotic, Fisher's z"

    def bare(note: str) -> Estimate:
        return Estimate(value, None, None, total, patients, level, method, note=note)

    if value is None:
        return bare(f"{NOT_ESTIMABLE}: all films of one side, or called one side")
    if abs(value) >= 1.0 - 1e-12:
        return bare("no interval: every call is right, or every one wrong")
    positive, called = (counts.tp + counts.fn) / total, (counts.tp + counts.fp) / total
    up, across = positive * (1 - positive), called * (1 - called)
    lean_up, lean_across = 1 - 2 * positive, 1 - 2 * called
    variance = 1 - value**2 + value * (1 + value**2 / 2) * lean_up * lean_across / (up * across) ** 0.5
    variance -= 0.75 * value**2 * (lean_up**2 / up + lean_across**2 / across)
    if variance <= 0:
        return bare("no interval: it would have no width")
    half = float(norm.ppf(0.5 + level / 2)) * (variance / total) ** 0.5 / (1 - value**2)
    low, high = (float(np.tanh(np.arctanh(value) + side * half)) for side in (-1, 1))
    return Estimate(value, low, high, total, patients, level, method)
