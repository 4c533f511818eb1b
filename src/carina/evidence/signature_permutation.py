"""What the same search finds where there is nothing: labels dealt anew among patients (M27, M33)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from carina.evidence.signature_fits import fit_linear, fit_scaling
from carina.evidence.signature_models import (
    ModelOptions,
    Sample,
    choose_features,
    deal_patients,
    two_sided,
)
from carina.statistics import auc

__all__ = ["exchanged", "permuted_areas"]

_Floats = NDArray[np.float64]


def permuted_areas(
    sample: Sample,
    options: ModelOptions,
    settings: dict[str, float],
    repeats: int,
    done: Callable[[], None] | None = None,
) -> tuple[float, _Floats]:
    """AUC of the elastic net on the labels as they are, and on labels dealt anew among patients of each source.

    Patients of one source exchange all their labels with those of another who has as many films, so that classes,
    sources and films of one patient stay together as they were. Features are chosen anew each time; the penalty is
    held.

    Returns
    -------
    observed : float
    drawn : ndarray, (R,)
    """
    rng = np.random.default_rng(options.seed + 77)
    labels = np.stack([sample.positive, *(exchanged(sample, rng) for _ in range(repeats))])
    fold = deal_patients(sample, options.folds, options.seed)
    scores = np.full(labels.shape, np.nan)
    for number in range(options.folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(test):
            continue
        scaling = fit_scaling(sample.values[train])
        scaled, judged = scaling.apply(sample.values[train]), scaling.apply(sample.values[test])
        part = sample.take(train)
        for row, sides in enumerate(labels):
            own = replace(part, positive=sides[train])
            if not two_sided(own):
                continue
            columns = choose_features(scaled, own, options)
            coefficients, intercept = fit_linear(scaled[:, columns], own.positive, settings, options.seed)
            scores[row, test] = judged[:, columns] @ coefficients + intercept
            if done is not None and row:
                done()
    areas = np.array([_area(one, sides) for one, sides in zip(scores, labels, strict=True)])
    return float(areas[0]), areas[1:]


def exchanged(sample: Sample, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Labels after patients of one source with equally many films have exchanged theirs."""
    people, owner = np.unique(sample.patients, return_inverse=True)
    films = np.argsort(owner, kind="stable")
    counts = np.bincount(owner)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    result = sample.positive.copy()
    keys: dict[tuple[str, int], list[int]] = {}
    for person in range(len(people)):
        keys.setdefault((str(sample.sources[films[starts[person]]]), int(counts[person])), []).append(person)
    for (_, count), group in sorted(keys.items()):
        for person, giver in zip(group, rng.permutation(group).tolist(), strict=True):
            taken = films[starts[giver] : starts[giver] + count]
            result[films[starts[person] : starts[person] + count]] = sample.positive[taken]
    return result


def _area(scores: _Floats, positive: NDArray[np.bool_]) -> float:
    known = np.isfinite(scores)
    value = auc(positive[known].astype(np.float64), scores[known]) if 0 < positive[known].sum() < known.sum() else None
    return np.nan if value is None else float(value)
