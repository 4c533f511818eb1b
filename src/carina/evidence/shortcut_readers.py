"""How much one thing tells of another: association, cross-validated readers, pairs within and across sources (M36)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from carina.evidence.audit_criteria import LEVEL
from carina.evidence.audit_measured import Measured
from carina.statistics import bootstrap_auc, delong_auc

__all__ = ["area", "auc_loss", "cramers_v", "mean_of", "source_gap", "tell_class", "tell_source"]

_FOLDS = 5
_PENALTY = 0.05
_DRAWS = 1000
_MOST_PAIRED = 1500


def cramers_v(sources: NDArray[Any], classes: NDArray[Any]) -> float | None:
    """Bias-corrected Cramer's V of two nominal variables.

    Parameters
    ----------
    sources, classes : ndarray, (N,)

    Returns
    -------
    float or None
        0 unrelated to 1 one tells the other; `None` where either has one value only.

    References
    ----------
    W. Bergsma, J. Korean Stat. Soc. 42 (2013) 323-328, doi:10.1016/j.jkss.2012.10.002.

    Examples
    --------
    >>> cramers_v(np.array(["a", "a", "b", "b"] * 25), np.array([1, 1, 0, 0] * 25))
    1.0
    >>> cramers_v(np.array(["a", "b", "a", "b"] * 25), np.array([1, 1, 0, 0] * 25))
    0.0
    """
    rows, row = np.unique(sources, return_inverse=True)
    columns, column = np.unique(classes, return_inverse=True)
    if len(rows) < 2 or len(columns) < 2:  # noqa: PLR2004 - one value tells nothing
        return None
    count = float(len(row))
    table = np.zeros((len(rows), len(columns)))
    np.add.at(table, (row, column), 1.0)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / count
    squared = float(((table - expected) ** 2 / expected).sum()) / count
    r, k = table.shape
    corrected = max(0.0, squared - (k - 1) * (r - 1) / (count - 1))
    fewest = min(r - (r - 1) ** 2 / (count - 1), k - (k - 1) ** 2 / (count - 1)) - 1
    return float(min(1.0, (corrected / fewest) ** 0.5)) if fewest > 0 else None


def area(truth: NDArray[Any], scores: NDArray[Any], patients: NDArray[Any], seed: int = 1) -> Measured:
    """AUC with an interval: DeLong's on the logit scale with one film a patient, else by patients drawn again."""
    if len(set(patients.tolist())) == len(patients):
        found = delong_auc(truth, scores, LEVEL, on_logit=True)
    else:
        found = bootstrap_auc(truth, scores, patients, seed=seed, level=LEVEL, repeats=_DRAWS)
    return Measured(found.estimate, found.low, found.high, found.positives + found.negatives)


def tell_class(
    features: NDArray[np.floating[Any]], truth: NDArray[Any], patients: NDArray[Any], *, seed: int = 1
) -> dict[str, Measured]:
    """Tell the two sides of a contrast apart by a penalised logistic regression, cross-validated by patient.

    Parameters
    ----------
    features : ndarray, (N, F)
    truth : ndarray, (N,)
        1 or 0.
    patients : ndarray, (N,)
    seed : int
        Of the folds.

    Returns
    -------
    dict of str to Measured
        ``auc`` and ``balanced_accuracy``; empty where a side has too few patients to fold.
    """
    chances = _crossed(features, truth.astype(int), patients, seed)
    if chances is None:
        return {}
    guess = (chances[:, 1] > 0.5).astype(int)  # noqa: PLR2004 - even odds; the classes weigh alike
    return {
        "auc": area(truth, chances[:, 1], patients),
        "balanced_accuracy": _balanced(truth.astype(int), guess, patients, seed),
    }


def tell_source(
    features: NDArray[np.floating[Any]], sources: NDArray[Any], patients: NDArray[Any], *, seed: int = 1
) -> tuple[Measured, float] | None:
    """Tell the sources of films of one class apart; as `tell_class`, for any number of sources.

    Returns
    -------
    balanced_accuracy : Measured
    chance : float
        One over the number of sources. `None` instead of both where there is one source, or too few patients.
    """
    names, owner = np.unique(sources, return_inverse=True)
    if len(names) < 2:  # noqa: PLR2004 - nothing to tell apart
        return None
    chances = _crossed(features, owner, patients, seed)
    if chances is None:
        return None
    return _balanced(owner, chances.argmax(1), patients, seed), 1.0 / len(names)


def source_gap(
    truth: NDArray[Any], scores: NDArray[Any], sources: NDArray[Any], patients: NDArray[Any], *, seed: int = 1
) -> dict[str, Measured]:
    """AUC over pairs of films of one source, over pairs of different sources, and their difference.

    Each side is cut to 1,500 films drawn at random.

    Returns
    -------
    dict of str to Measured
        ``within_source_auc``, ``cross_source_auc``, ``gap`` (cross less within); the first is missing where no source
        has both sides, the second with one source alone, and the gap unless both are there.
    """
    pairs = _Pairs(truth, patients, seed)
    same = sources[pairs.ups][:, None] == sources[pairs.downs]
    found = {
        name: pairs.over(scores, which)
        for name, which in (("within_source_auc", same), ("cross_source_auc", ~same))
        if which.any()
    }
    if len(found) == 2:  # noqa: PLR2004 - both
        found["gap"] = found["cross_source_auc"] - found["within_source_auc"]
    return {name: _interval(values, pairs.films) for name, values in found.items()}


def auc_loss(
    truth: NDArray[Any],
    before: NDArray[np.floating[Any]],
    after: NDArray[np.floating[Any]],
    patients: NDArray[Any],
    *,
    seed: int = 1,
) -> Measured:
    """AUC of one score less that of another on the same films; both of the same patients drawn again."""
    pairs = _Pairs(truth, patients, seed)
    every = np.ones((len(pairs.ups), len(pairs.downs)), np.bool_)
    return _interval(pairs.over(before, every) - pairs.over(after, every), pairs.films)


class _Pairs:
    """Pairs of a positive and a negative film, under patients drawn again."""

    def __init__(self, truth: NDArray[Any], patients: NDArray[Any], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.ups, self.downs = (_at_most(np.flatnonzero(truth == side), rng) for side in (1, 0))
        self.films = len(self.ups) + len(self.downs)
        _, owner = np.unique(patients, return_inverse=True)
        draws = _draws(owner, seed).astype(np.float32)
        self._up_weights, self._down_weights = draws[:, owner[self.ups]], draws[:, owner[self.downs]]

    def over(self, scores: NDArray[np.floating[Any]], which: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Share of the pairs chosen that are ordered rightly, ties half, for every draw, (draws,)."""
        up, down = scores[self.ups][:, None], scores[self.downs]
        wins = ((up > down) + 0.5 * (up == down)) * which
        won = ((self._up_weights @ wins.astype(np.float32)) * self._down_weights).sum(1, dtype=np.float64)
        total = ((self._up_weights @ which.astype(np.float32)) * self._down_weights).sum(1, dtype=np.float64)
        return np.asarray(np.where(total > 0, won / np.maximum(total, 1e-9), np.nan))


def mean_of(values: NDArray[np.floating[Any]], patients: NDArray[Any], *, seed: int = 1) -> Measured:
    """Mean of films with an interval by patients drawn again."""
    known = np.isfinite(values)
    if not known.any():
        return Measured(None)
    _, owner = np.unique(patients[known], return_inverse=True)
    draws = _draws(owner, seed)
    sums, sizes = np.bincount(owner, values[known]), np.bincount(owner)
    return _interval((draws @ sums) / (draws @ sizes), int(known.sum()))


def _crossed(
    features: NDArray[np.floating[Any]], truth: NDArray[Any], patients: NDArray[Any], seed: int
) -> NDArray[np.float64] | None:
    """Probabilities of each class for films of patients that the reader was not fitted on."""
    fewest = min(len(set(patients[truth == side].tolist())) for side in np.unique(truth))
    if len(np.unique(truth)) < 2 or fewest < 2 * _FOLDS:  # noqa: PLR2004 - two patients of each class in every fold
        return None
    reader = make_pipeline(
        StandardScaler(), LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=2000, tol=1e-3)
    )
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    chances = cross_val_predict(
        reader, np.asarray(features, np.float64), truth, groups=patients, cv=folds, method="predict_proba"
    )
    return np.asarray(chances, dtype=np.float64)


def _balanced(truth: NDArray[Any], guess: NDArray[Any], patients: NDArray[Any], seed: int) -> Measured:
    _, owner = np.unique(patients, return_inverse=True)
    draws = _draws(owner, seed)
    recalls = []
    for side in np.unique(truth):
        right = np.bincount(owner, (truth == side) & (guess == side))
        here = np.bincount(owner, truth == side)
        drawn = draws @ here
        recalls.append(np.where(drawn > 0, (draws @ right) / np.maximum(drawn, 1.0), np.nan))
    return _interval(np.mean(recalls, axis=0), len(truth))


def _draws(owner: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """How often each patient is drawn, (draws, patients); the first draw is the films as they are."""
    count = int(owner.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=_DRAWS)
    draws[0] = 1
    return draws.astype(np.float64)


def _interval(values: NDArray[np.float64], count: int) -> Measured:
    known = values[1:][np.isfinite(values[1:])]
    value = float(values[0])
    if not known.size:
        return Measured(value, None, None, count)
    low, high = (float(end) for end in np.quantile(known, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)))
    return Measured(value, low, high, count) if high > low else Measured(value, None, None, count)


def _at_most(rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= _MOST_PAIRED else np.sort(rng.permutation(rows)[:_MOST_PAIRED])
