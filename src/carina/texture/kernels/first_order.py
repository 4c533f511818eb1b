"""First-order features: of the grey values, not of where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import EPS, compiled

__all__ = ["FIRST_ORDER", "first_order", "integer_counts", "order_statistics", "uniformity"]

FIRST_ORDER = (
    "10Percentile", "90Percentile", "Energy", "InterquartileRange", "Kurtosis", "Maximum", "Mean",
    "MeanAbsoluteDeviation", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation", "RootMeanSquared", "Skewness",
    "Variance",
)  # fmt: skip
"""What `first_order` returns, in order: those of the values themselves; `uniformity` has those of the levels."""

_Floats = NDArray[np.float64]


@compiled
def integer_counts(values: _Floats, lowest: float, span: int) -> NDArray[np.int64]:
    """Count whole values from `lowest` on (span + 1,); an empty array where a value is not whole."""
    counts = np.zeros(span + 1, np.int64)
    for value in values:
        place = int(value - lowest)
        if place + lowest != value:
            return np.zeros(0, np.int64)
        counts[place] += 1
    return counts


@compiled
def order_statistics(counts: NDArray[np.int64], lowest: float, ranks: NDArray[np.int64]) -> _Floats:
    """Values (R,) at ascending ranks from 0, out of counted whole values."""
    out = np.empty(ranks.size)
    place, below = 0, counts[0]
    for rank in range(ranks.size):
        while below <= ranks[rank]:
            place += 1
            below += counts[place]
        out[rank] = lowest + place
    return out


@compiled
def uniformity(counts: NDArray[Any]) -> tuple[float, float]:
    """Entropy in bits and uniformity of pixels counted by level."""
    total = 0.0
    for count in counts:
        total += count
    entropy, even = 0.0, 0.0
    for count in counts:
        if count > 0:
            share = count / total
            entropy -= share * np.log2(share + EPS)
            even += share * share
    return entropy, even


@compiled
def first_order(values: _Floats, quantiles: _Floats) -> _Floats:
    """Features of grey values.

    Parameters
    ----------
    values : ndarray of float64, (N,)
    quantiles : ndarray of float64, (5,)
        At 10, 25, 50, 75 and 90 %.

    Returns
    -------
    ndarray of float64, (15,)
        After `FIRST_ORDER`; kurtosis is 3 for a normal distribution.
    """
    low, high = quantiles[0], quantiles[4]
    total, energy, middle, inside = 0.0, 0.0, 0.0, 0
    least, most = values[0], values[0]
    for value in values:
        total += value
        energy += value * value
        least = min(least, value)
        most = max(most, value)
        if low <= value <= high:
            middle += value
            inside += 1
    mean = total / values.size
    middle /= inside
    second, third, fourth, apart, robust = 0.0, 0.0, 0.0, 0.0, 0.0
    for value in values:
        off = value - mean
        square = off * off
        second += square
        third += square * off
        fourth += square * square
        apart += abs(off)
        if low <= value <= high:
            robust += abs(value - middle)
    size = values.size
    second, third, fourth = second / size, third / size, fourth / size
    spread = second if second > 0.0 else 1.0
    out = np.empty(15)
    out[0], out[1], out[2], out[3] = low, high, energy, quantiles[3] - quantiles[1]
    out[4], out[5], out[6], out[7] = fourth / spread**2, most, mean, apart / size
    out[8], out[9], out[10], out[11] = quantiles[2], least, most - least, robust / inside
    out[12], out[13], out[14] = np.sqrt(energy / size), third / spread**1.5, second
    return out
