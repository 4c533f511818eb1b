"""Right and wrong calls of a test with two outcomes (M29, M30)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics.intervals import Proportion, proportion

__all__ = ["Counts", "count_calls", "first_of_each", "threshold_for_band", "threshold_for_specificity"]

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls against the truth.

    Attributes
    ----------
    tp, fp, tn, fn : int
        True and false positives, true and false negatives.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    def sensitivity(self, level: float = 0.95) -> Proportion:
        """Positives that are called positive."""
        return proportion(self.tp, self.tp + self.fn, level)

    def specificity(self, level: float = 0.95) -> Proportion:
        """Negatives that are called negative."""
        return proportion(self.tn, self.tn + self.fp, level)

    def ppv(self, level: float = 0.95) -> Proportion:
        """Positive calls that are right."""
        return proportion(self.tp, self.tp + self.fp, level)

    def npv(self, level: float = 0.95) -> Proportion:
        """Negative calls that are right."""
        return proportion(self.tn, self.tn + self.fn, level)

    def accuracy(self, level: float = 0.95) -> Proportion:
        """Share of the calls that is right."""
        return proportion(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn, level)


def count_calls(truth: NDArray[Any], called: NDArray[np.bool_]) -> Counts:
    """Count calls against the truth.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    called : ndarray of bool, (N,)
        True where called positive.

    Examples
    --------
    >>> count_calls(np.array([1, 1, 0, np.nan]), np.array([True, False, False, True]))
    Counts(tp=1, fp=0, tn=1, fn=1)
    """
    positive, negative = np.asarray(truth) == 1, np.asarray(truth) == 0
    return Counts(
        tp=int((positive & called).sum()),
        fp=int((negative & called).sum()),
        tn=int((negative & ~called).sum()),
        fn=int((positive & ~called).sum()),
    )


def first_of_each(groups: NDArray[Any]) -> NDArray[np.intp]:
    """Row of each group's first film, ascending: one film a patient (M31, M33).

    Examples
    --------
    >>> first_of_each(np.array(["b", "a", "b"])).tolist()
    [0, 1]
    """
    return np.sort(np.unique(np.asarray(groups), return_index=True)[1])


def threshold_for_specificity(
    negatives: NDArray[np.floating[Any]], specificity: float, *, new_ones: bool = True
) -> float:
    """Threshold that at least `specificity` of the negatives stay below, new ones included on average.

    The smallest number above the r-th smallest negative score, r = ceil((n + 1) specificity): of one further,
    exchangeable negative the chance to stay below is at least `specificity`, not just of those at hand. With too few
    negatives for such a rank, n < specificity / (1 - specificity), it is the smallest number above all of them, and the
    chance n / (n + 1).

    Parameters
    ----------
    negatives : ndarray, (n,)
        Scores of the negatives in [0, 1], n >= 1.
    specificity : float
        In (0, 1).
    new_ones : bool
        Whether the rank is r, which holds for new negatives; else it is ceil(n specificity), for those at hand alone.
        With n a few dozens r is the largest of them: one odd film then decides.

    Returns
    -------
    float
        Called positive at or above it; at most 1.

    Raises
    ------
    ValueError
        Without negatives.

    Examples
    --------
    >>> 0.18 < threshold_for_specificity(np.arange(20) / 100, 0.9) < 0.19
    True
    """
    scores = np.sort(np.asarray(negatives, dtype=np.float64))
    if scores.size == 0:
        raise ValueError("a threshold for a specificity needs at least one negative; found none")
    rank = int(np.ceil((scores.size + new_ones) * specificity - _SLACK))
    return min(1.0, float(np.nextafter(scores[min(rank, scores.size) - 1], np.inf)))


def threshold_for_band(
    truth: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]], least_right: float
) -> tuple[float, float]:
    """Two thresholds outside which at least `least_right` of the films is right, on each side by itself.

    `high` is the smallest score such that of the films at or above it at least `least_right` are positive, `low` the
    largest such that of the films below it at least `least_right` are negative: the narrowest band. Where the two
    conditions leave no band, both are the one threshold that meets both with the most films right. A side that cannot
    be met is never called: `high` 1, or `low` 0.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative, both present.
    scores : ndarray, (N,)
        In [0, 1].
    least_right : float
        In (0.5, 1).

    Returns
    -------
    low, high : float
        low <= high.

    Raises
    ------
    ValueError
        Unless both truths are present.

    Examples
    --------
    >>> threshold_for_band(np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 0.9)
    (0.3, 0.5)
    """
    order = np.argsort(scores, kind="stable")
    sorted_scores, positive = np.asarray(scores, dtype=np.float64)[order], np.asarray(truth)[order] == 1
    total = int(positive.sum())
    if total in (0, positive.size):
        raise ValueError("a band needs films of both sides; found only one")
    cuts, below = np.unique(sorted_scores, return_index=True)  # at cut c: `below` films under it, the rest at or above
    below_negative = below - np.concatenate([[0], np.cumsum(positive)])[below]
    above, above_positive = positive.size - below, total - (below - below_negative)
    up = above_positive >= least_right * above - _SLACK
    down = (below_negative >= least_right * below - _SLACK) & (below > 0)
    both = np.flatnonzero(up & down)
    if both.size:
        best = both[np.argmax((above_positive + below_negative)[both])]
        return float(cuts[best]), float(cuts[best])
    high = float(cuts[np.argmax(up)]) if up.any() else 1.0
    low = float(cuts[down].max(initial=0.0)) if down.any() else 0.0
    if low > high:
        low = float(cuts[down & (cuts <= high)].max(initial=0.0))
    return low, high
