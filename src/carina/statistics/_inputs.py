"""What every function asks of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_level", "check_repeats", "known_films", "owners"]


def known_films(
    truth: NDArray[Any], scores: NDArray[Any], *others: NDArray[Any] | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
    """Sides and scores of the films whose truth is 1 or 0, and where they stand.

    Returns
    -------
    sides : ndarray of bool, (M,)
    scores : ndarray of float, (M,) or (M, K)
    known : ndarray of bool, (N,)
        True for the M films that take part.

    Raises
    ------
    ValueError
        Unless all arrays have one length, every truth is 1, 0 or NaN and the scores of known films are finite.
    """
    labels, values = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    for each in (values, *(np.asarray(other) for other in others if other is not None)):
        if labels.ndim != 1 or each.shape[:1] != labels.shape:
            raise ValueError(
                f"truth, scores and patients must be as many, one a film; found {labels.shape} and {each.shape}"
            )
    labels = labels.astype(np.float64)
    known = ~np.isnan(labels)
    strange = known & (labels != 0) & (labels != 1)
    if strange.any():
        raise ValueError(f"truth must be 1, 0 or NaN; found {labels[strange][0]!r}")
    bad = ~np.isfinite(values[known])
    if bad.any():
        raise ValueError(
            f"scores must be finite; found {int(bad.sum())} that are not among {int(known.sum())} films with a truth; "
            "leave these films out and say so"
        )
    return labels[known] == 1, values[known], known


def owners(groups: NDArray[Any]) -> tuple[int, NDArray[np.intp]]:
    """How many groups (patients) there are, and the number of each film's."""
    people, owner = np.unique(np.asarray(groups), return_inverse=True)
    return len(people), np.asarray(owner, dtype=np.intp).reshape(-1)


def check_level(level: float) -> None:
    """Raise unless a confidence level is within 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level must be within 0 and 1; found {level!r}")


def check_repeats(repeats: int) -> None:
    """Raise unless a bootstrap has enough draws for an interval."""
    if repeats < 1:
        raise ValueError(f"a bootstrap needs at least one draw; found {repeats!r}")
