"""Penalised logistic and gradient-boosted models of texture, judged by films they were not fitted to (M27, M33).

Everything that looks at the films, scaling, choice of features, harmonisation and penalties, happens inside the
training part of a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from carina.evidence.signature_fits import LinearModel, Scaling, Trees, fit_linear, fit_scaling, fit_trees

__all__ = [
    "KINDS",
    "Crossed",
    "Harmoniser",
    "ModelOptions",
    "Sample",
    "choose_features",
    "cross_validate",
    "deal_patients",
    "fit_then_score",
    "two_sided",
]

KINDS = ("elastic_net", "boosted")
"""Models: logistic regression with an elastic net, and gradient-boosted trees."""

_Floats = NDArray[np.float64]
_Scores: TypeAlias = "dict[str, _Floats]"
_TINY = 1e-9
_GRIDS: dict[str, list[dict[str, float]]] = {
    "elastic_net": [{"C": c, "l1_ratio": ratio} for c, ratio in product((0.01, 0.03, 0.1, 0.3), (0.5,))],
    "boosted": [{"max_leaf_nodes": leaves, "max_iter": 80} for leaves in (3, 8)],
}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Films to learn from or to judge.

    Attributes
    ----------
    values : ndarray, (N, F)
        NaN where a film has no value.
    positive : ndarray of bool, (N,)
    patients, sources : ndarray, (N,)
    """

    values: _Floats
    positive: NDArray[np.bool_]
    patients: NDArray[Any]
    sources: NDArray[Any]

    def __len__(self) -> int:
        return len(self.positive)

    def take(self, rows: NDArray[Any]) -> Sample:
        """Return some films."""
        return Sample(self.values[rows], self.positive[rows], self.patients[rows], self.sources[rows])


Harmoniser: TypeAlias = Callable[[Sample], Callable[[_Floats, NDArray[Any]], _Floats]]
"""Fitted to training films, gives a function from values (N, F) and sources (N,) to values (N, F)."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How models are fitted.

    Attributes
    ----------
    folds, inner_folds : int
        Outer folds, and those inside each training part that choose the penalty; dealt by patient.
    most : int
        Features that a model may use at most.
    alike : float
        Of two features that correlate more than this, the weaker stays out.
    seed : int
    kinds : tuple of str
        Of `KINDS`.
    harmonise : callable or None
    """

    folds: int = 5
    inner_folds: int = 4
    most: int = 60
    alike: float = 0.95
    seed: int = 1
    kinds: tuple[str, ...] = KINDS
    harmonise: Harmoniser | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Scores of films by models that were fitted without their patients.

    Attributes
    ----------
    scores : dict of str to ndarray, (N,)
        Log odds by kind of model.
    fold : ndarray of int, (N,)
    chosen : dict of str to list of dict
        Settings chosen in each fold.
    fused : dict of str to ndarray, (N,)
        Log odds of a second model of this score and another one, such as a network's; empty without.
    used : dict of str to int
        How often each feature number had a coefficient, over the folds of the elastic net.
    """

    scores: _Scores
    fold: NDArray[np.intp]
    chosen: dict[str, list[dict[str, float]]]
    fused: _Scores = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)


def deal_patients(sample: Sample, folds: int, seed: int) -> NDArray[np.intp]:
    """Deal patients into folds, evenly within source and side.

    Returns
    -------
    ndarray of int, (N,)
        Fold of each film; all films of a patient in one.
    """
    people, owner = np.unique(sample.patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    share = np.bincount(owner, sample.positive) / np.bincount(owner)
    first = np.full(len(people), len(sample))
    np.minimum.at(first, owner, np.arange(len(sample)))
    strata = [(str(sample.sources[film]), bool(part >= 0.5)) for film, part in zip(first, share, strict=True)]  # noqa: PLR2004 - half of the films
    order = sorted(rng.permutation(len(people)).tolist(), key=lambda person: strata[person])
    dealt = np.empty(len(people), np.intp)
    dealt[order] = np.arange(len(people)) % folds
    return np.asarray(dealt[owner])


def cross_validate(
    sample: Sample,
    options: ModelOptions,
    other: _Floats | None = None,
    done: Callable[[], None] | None = None,
) -> Crossed:
    """Nested cross-validation by patient.

    Parameters
    ----------
    sample : Sample
    options : ModelOptions
    other : ndarray, (N,), optional
        Scores of another model, such as a network's log odds, NaN where there are none. Each fold's training films, by
        their inner scores, weigh the two.
    done : callable, optional
        Called after each outer fold.

    Returns
    -------
    Crossed
    """
    fold = deal_patients(sample, options.folds, options.seed)
    scores = {kind: np.full(len(sample), np.nan) for kind in options.kinds}
    fused = {kind: np.full(len(sample), np.nan) for kind in options.kinds} if other is not None else {}
    chosen: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.kinds}
    used: dict[int, int] = {}
    for number in range(options.folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part, held = sample.take(train), sample.take(test)
        if not len(held) or not two_sided(part):
            continue
        inner, best = _inner(part, options, seed=options.seed + 1000 * (number + 1))
        found = _fitted(part, held, options, {kind: [best[kind]] for kind in options.kinds})
        for kind in options.kinds:
            scores[kind][test] = found.scores[kind][0]
            chosen[kind].append(best[kind])
            if other is not None:
                fused[kind][test] = _fuse(inner[kind], other[train], part.positive, found.scores[kind][0], other[test])
        for column in found.used:
            used[column] = used.get(column, 0) + 1
        if done is not None:
            done()
    return Crossed(scores, fold, chosen, fused, used)


def fit_then_score(
    train: Sample, test: Sample, options: ModelOptions
) -> tuple[_Scores, dict[str, dict[str, float]], LinearModel | None]:
    """Fit on all training films, penalties chosen inside them, and score others.

    Returns
    -------
    scores : dict of str to ndarray, (M,)
    chosen : dict of str to dict
    model : LinearModel or None
        The logistic regression, where it is among the kinds; without harmonisation in it.
    """
    _, best = _inner(train, options, seed=options.seed)
    found = _fitted(train, test, options, {kind: [best[kind]] for kind in options.kinds})
    return {kind: found.scores[kind][0] for kind in options.kinds}, best, found.linear


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    scores: dict[str, list[_Floats]]
    linear: LinearModel | None
    used: list[int]


def _inner(part: Sample, options: ModelOptions, seed: int) -> tuple[_Scores, dict[str, dict[str, float]]]:
    """Scores of a training part's films by models fitted without their patients, and the settings that did best."""
    fold = deal_patients(part, options.inner_folds, seed)
    grids = {kind: _GRIDS[kind] for kind in options.kinds}
    scores = {kind: np.zeros((len(grid), len(part))) for kind, grid in grids.items()}
    for number in range(options.inner_folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        inside = part.take(train)
        if not len(test) or not two_sided(inside):
            continue
        found = _fitted(inside, part.take(test), options, grids)
        for kind in options.kinds:
            scores[kind][:, test] = np.stack(found.scores[kind])
    best, inner = {}, {}
    for kind, grid in grids.items():
        losses = [_log_loss(row, part.positive) for row in scores[kind]]
        place = int(np.argmin(losses))
        best[kind], inner[kind] = grid[place], scores[kind][place]
    return inner, best


def _fitted(
    train: Sample, test: Sample, options: ModelOptions, grids: Mapping[str, Sequence[dict[str, float]]]
) -> _Found:
    """Scores of test films for every setting of every kind of model."""
    values, judged = train.values, test.values
    if options.harmonise is not None:
        change = options.harmonise(train)
        values, judged = change(values, train.sources), change(judged, test.sources)
    scaling = fit_scaling(values)
    scaled = scaling.apply(values)
    columns = choose_features(scaled, train, options)
    narrow = Scaling(scaling.median[columns], scaling.mean[columns], scaling.spread[columns])
    scores: dict[str, list[_Floats]] = {}
    linear = None
    for kind, grid in grids.items():
        scores[kind] = []
        for settings in grid:
            if kind == "elastic_net":
                linear = LinearModel(
                    columns, narrow, *fit_linear(scaled[:, columns], train.positive, settings, options.seed)
                )
                scores[kind].append(linear.score(judged))
            else:
                trees = fit_trees(scaled[:, columns], train.positive, settings, options.seed)
                scores[kind].append(Trees(columns, narrow, trees).score(judged))
    used = [] if linear is None else columns[linear.coefficients != 0.0].tolist()
    return _Found(scores, linear, used)


def choose_features(scaled: _Floats, train: Sample, options: ModelOptions) -> NDArray[np.intp]:
    """Features that differ most between sides, of those alike the first; within sources where one has both sides."""
    strength = screen(centre_by_source(scaled, train), train)
    order = np.argsort(-strength, kind="stable")[: 4 * options.most]
    order = order[strength[order] > 0.0]
    alike = np.abs(np.atleast_2d(np.corrcoef(scaled[:, order], rowvar=False))) > options.alike
    kept: list[int] = []
    for place in range(len(order)):
        if not alike[place, kept].any():
            kept.append(place)
        if len(kept) == options.most:
            break
    return np.asarray(order[kept], np.intp)


def centre_by_source(scaled: _Floats, train: Sample) -> _Floats:
    """Values less their source's mean, 0 for a source of one side; unchanged where every source has one side."""
    centred = np.zeros_like(scaled)
    both = False
    for name in np.unique(train.sources):
        rows = np.flatnonzero(train.sources == name)
        if 0 < train.positive[rows].sum() < len(rows):
            centred[rows] = scaled[rows] - scaled[rows].mean(axis=0)
            both = True
    return centred if both else scaled - scaled.mean(axis=0)


def screen(centred: _Floats, train: Sample) -> _Floats:
    """Correlation of each feature with the side, without sign, (F,)."""
    sides = train.positive - train.positive.mean()
    length = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(np.abs(sides @ centred) / np.maximum(length, _TINY))


def _fuse(inner: _Floats, other: _Floats, positive: NDArray[np.bool_], held: _Floats, held_other: _Floats) -> _Floats:
    """Log odds of held films from both scores, weighed by a logistic regression on the training films."""
    known, usable = np.isfinite(other), np.isfinite(held_other)
    result = np.full(len(held), np.nan)
    if not 0 < positive[known].sum() < known.sum() or not usable.any():
        return result
    both = np.column_stack([inner[known], other[known]])
    middle, spread = both.mean(axis=0), np.maximum(both.std(axis=0), _TINY)
    model = LogisticRegression(C=100.0).fit((both - middle) / spread, positive[known])
    shown = (np.column_stack([held[usable], held_other[usable]]) - middle) / spread
    result[usable] = shown @ np.ravel(model.coef_) + float(model.intercept_[0])
    return result


def two_sided(sample: Sample) -> bool:
    """Whether both sides have a film."""
    return bool(sample.positive.any()) and not bool(sample.positive.all())


def _log_loss(scores: _Floats, positive: NDArray[np.bool_]) -> float:
    return float(np.logaddexp(0.0, np.where(positive, -scores, scores)).mean())
