"""What one set of patient weights makes of every measure: the arithmetic beneath `cluster_bootstrap`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranked", "patient_draws", "sums_by_patient"]

_Floats = NDArray[np.float64]
_BLOCK = 50_000
"""Weights of films held at a time; more than the caches hold makes it slower."""


def patient_draws(
    patients: int, films: int, repeats: int, seed: int, dtype: type[np.int32 | np.int64] = np.int32
) -> Iterator[NDArray[np.int32]]:
    """How often each patient is drawn, in blocks of draws.

    Yields
    ------
    ndarray of int32, (B, patients)
        Each row sums to `patients`. The draws depend on the seed, the number of patients and the kind of number alone.
    """
    rng = np.random.default_rng(seed)
    size = max(1, min(repeats, _BLOCK // max(films, 1)))
    for start in range(0, repeats, size):
        rows = min(size, repeats - start)
        block = np.empty((rows, patients), dtype=np.int32)
        for row in block:
            row[:] = np.bincount(rng.integers(0, patients, patients, dtype=dtype), minlength=patients)
        yield block


def sums_by_patient(
    columns: Sequence[NDArray[np.floating | np.bool_]], owner: NDArray[np.intp], patients: int
) -> _Floats:
    """Add film values up within each patient, (patients, columns)."""
    return np.stack([np.bincount(owner, column, patients) for column in columns], axis=1)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Films sorted once, so that each draw costs cumulative sums alone.

    Attributes
    ----------
    of_positive, of_negative : ndarray of int, (P,), (M,)
        Patient of each film of a side, by ascending score.
    below, up_to : ndarray of int, (P,)
        Negatives that score below each positive, and at most as high; `up_to` is `None` where no positive ties with
        one.
    first_alike : ndarray of int or None, (P,)
        Place of the first positive of the same score; `None` where positives do not tie.
    """

    of_positive: NDArray[np.intp]
    of_negative: NDArray[np.intp]
    below: NDArray[np.intp]
    up_to: NDArray[np.intp] | None
    first_alike: NDArray[np.intp] | None

    @classmethod
    def of(cls, sides: NDArray[np.bool_], scores: _Floats, owner: NDArray[np.intp]) -> Ranked:
        """Sort the films of both sides."""
        order = np.argsort(scores, kind="stable")
        values, up, people = scores[order], sides[order], owner[order]
        positive, negative = values[up], values[~up]
        below = np.searchsorted(negative, positive, side="left")
        up_to = np.searchsorted(negative, positive, side="right")
        alike = np.searchsorted(positive, positive, side="left")
        return cls(
            people[up],
            people[~up],
            below,
            None if np.array_equal(below, up_to) else up_to,
            None if np.array_equal(alike, np.arange(alike.size)) else alike,
        )

    def areas(self, weights: NDArray[np.int32]) -> tuple[_Floats, _Floats]:
        """AUC and average precision of each draw; NaN where a draw lacks the films.

        Parameters
        ----------
        weights : ndarray of int32, (B, patients)

        Returns
        -------
        auc, average_precision : ndarray, (B,)
        """
        ups = np.take(weights, self.of_positive, axis=1)
        downs = np.zeros((len(weights), self.of_negative.size + 1), dtype=np.int32)
        np.cumsum(np.take(weights, self.of_negative, axis=1), axis=1, dtype=np.int32, out=downs[:, 1:])
        positives, negatives = ups.sum(axis=1, dtype=np.float64), downs[:, -1].astype(np.float64)
        beneath = np.take(downs, self.below, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            doubled = 2 * beneath if self.up_to is None else beneath + np.take(downs, self.up_to, axis=1)
            auc = np.einsum("ij,ij->i", ups, doubled, dtype=np.float64) / (2 * positives * negatives)
            above = np.cumsum(ups[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]  # positives at or above each positive
            if self.first_alike is not None:
                above = np.take(above, self.first_alike, axis=1)
            called = above + (downs[:, -1:] - beneath)
            np.maximum(called, 1, out=called)
            precision = above / called
            average = np.einsum("ij,ij->i", ups, precision) / np.where(negatives > 0, positives, np.nan)
        return auc, average
