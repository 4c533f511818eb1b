"""Features of a grey level co-occurrence matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import EPS, compiled

__all__ = ["CO_OCCURRENCE", "cooccurrence", "correlation_matrix"]

CO_OCCURRENCE = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation",
    "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2",
    "InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MaximumProbability", "SumAverage", "SumEntropy",
    "SumSquares",
)  # fmt: skip
"""What `cooccurrence` returns, in order: every feature but MCC, which needs eigenvalues."""

_Floats = NDArray[np.float64]


@compiled
def _entropy(shares: _Floats) -> float:
    total = 0.0
    for share in shares:
        if share > 0.0:
            total -= share * np.log2(share + EPS)
    return total


@compiled
def _marginals(counts: NDArray[Any], grey: NDArray[Any], total: float, top: int) -> tuple[_Floats, ...]:
    """Shares of pixels by row, by column, by sum and by difference of their levels."""
    size = grey.size
    rows, columns = np.zeros(size), np.zeros(size)
    sums, differences = np.zeros(2 * top + 1), np.zeros(top)
    for i in range(size):
        for j in range(size):
            if counts[i, j] > 0:
                share = counts[i, j] / total
                rows[i] += share
                columns[j] += share
                sums[grey[i] + grey[j]] += share
                differences[abs(grey[i] - grey[j])] += share
    return rows, columns, sums, differences


@compiled
def _differences(differences: _Floats, top: int, out: _Floats) -> None:
    """Features of the differences alone."""
    average = 0.0
    for k in range(top):
        average += k * differences[k]
    for k in range(top):
        share = differences[k]
        if share > 0.0:
            out[4] += share * k * k
            out[8] += share * (k - average) ** 2
            out[9] += share / (1.0 + k)
            out[10] += share / (1.0 + k * k)
            out[11] += share / (1.0 + k * k / (top * top))
            out[12] += share / (1.0 + k / top)
            if k:
                out[15] += share / (k * k)
    out[6] = average
    out[7] = _entropy(differences)


@compiled
def _joint(counts: NDArray[Any], grey: NDArray[Any], total: float, means: tuple[float, float], out: _Floats) -> float:
    """Add up over pairs of levels; return their covariance."""
    along, across = means
    covariance = 0.0
    for i in range(grey.size):
        a = grey[i]
        for j in range(grey.size):
            if counts[i, j] > 0:
                share = counts[i, j] / total
                b = grey[j]
                off = a + b - along - across
                square = off * off
                out[0] += share * a * b
                out[1] += share * square * square
                out[2] += share * square * off
                out[3] += share * square
                out[17] += share * share
                out[18] -= share * np.log2(share + EPS)
                out[19] = max(out[19], share)
                out[22] += share * (a - along) ** 2
                covariance += share * (a - along) * (b - across)
    return covariance


@compiled
def cooccurrence(counts: NDArray[Any], grey: NDArray[Any], top: int) -> _Floats:
    """Features of one co-occurrence matrix.

    Parameters
    ----------
    counts : ndarray, (G, G)
        Pairs of levels.
    grey : ndarray of int, (G,)
        The level of each row and column, from 1, ascending.
    top : int
        The highest level in the region, which normalises `Idn` and `Idmn`.

    Returns
    -------
    ndarray of float64, (23,)
        After `CO_OCCURRENCE`; NaN where no pair was counted.
    """
    out = np.zeros(23)
    total = 0.0
    for i in range(grey.size):
        for j in range(grey.size):
            total += counts[i, j]
    if total == 0.0:
        out[:] = np.nan
        return out
    rows, columns, sums, differences = _marginals(counts, grey, total, top)
    along, across = 0.0, 0.0
    for i in range(grey.size):
        along += grey[i] * rows[i]
        across += grey[i] * columns[i]
    covariance = _joint(counts, grey, total, (along, across), out)
    _differences(differences, top, out)
    variance = 0.0
    for i in range(grey.size):
        variance += columns[i] * (grey[i] - across) ** 2
    spread = np.sqrt(out[22]) * np.sqrt(variance)
    out[5] = covariance / (spread + EPS) if spread > 0.0 else 1.0
    # Both of Haralick's cross entropies equal the sum of the marginal ones.
    by_row, by_column = _entropy(rows), _entropy(columns)
    shared = max(by_row + by_column - out[18], 0.0)
    largest = max(by_row, by_column)
    out[13] = -shared / largest if largest > 0.0 else 0.0
    out[14] = np.sqrt(1.0 - np.exp(-2.0 * shared))
    out[16], out[20], out[21] = along, along + across, _entropy(sums)
    return out


@compiled
def correlation_matrix(counts: NDArray[Any]) -> _Floats:
    """Matrix (G, G) whose second largest singular value is the maximal correlation coefficient."""
    size = counts.shape[0]
    out = np.zeros((size, size))
    rows, columns, total = np.zeros(size), np.zeros(size), 0.0
    for i in range(size):
        for j in range(size):
            rows[i] += counts[i, j]
            columns[j] += counts[i, j]
            total += counts[i, j]
    if total == 0.0:
        return out
    for i in range(size):
        for j in range(size):
            if counts[i, j] > 0:
                out[i, j] = (counts[i, j] / total) / np.sqrt((rows[i] / total) * (columns[j] / total) + EPS)
    return out
