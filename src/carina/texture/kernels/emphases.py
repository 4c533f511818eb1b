"""Features of matrices whose rows are grey levels and whose columns are sizes: runs, zones and dependences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import EPS, compiled

__all__ = ["EMPHASES", "emphases", "sparse", "tally"]

EMPHASES = (
    "small", "large", "grey_non_uniformity", "grey_non_uniformity_normalised", "size_non_uniformity",
    "size_non_uniformity_normalised", "percentage", "grey_variance", "size_variance", "entropy", "low_grey",
    "high_grey", "small_low", "small_high", "large_low", "large_high",
)  # fmt: skip
"""What `emphases` returns, in order."""

_Floats = NDArray[np.float64]


@compiled
def sparse(matrix: NDArray[Any]) -> _Floats:
    """Entries above 0 of a matrix (G, J) as rows of level, size and count (E, 3); index 0 is level 1 and size 1."""
    found = 0
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            found += matrix[row, column] > 0
    entries = np.empty((found, 3))
    found = 0
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            if matrix[row, column] > 0:
                entries[found, 0], entries[found, 1] = row + 1, column + 1
                entries[found, 2] = matrix[row, column]
                found += 1
    return entries


@compiled
def tally(grey: NDArray[np.int32], size: NDArray[np.int32], greys: int) -> _Floats:
    """Zones by level and size to rows of level, size and count (E, 3).

    Most zones are small and are counted in a table; the few large ones each keep a row, joined with their equals.
    """
    small = 256
    table = np.zeros((greys, small), np.int64)
    large = np.empty(size.size, np.int64)
    many = 0
    span = np.int64(1) << 32
    for zone in range(size.size):
        if size[zone] <= small:
            table[grey[zone] - 1, size[zone] - 1] += 1
        else:
            large[many] = grey[zone] * span + size[zone]
            many += 1
    counted = sparse(table)
    keys = np.sort(large[:many])
    rest = np.empty((many, 3))
    found = 0
    for key in range(many):
        if key and keys[key] == keys[key - 1]:
            rest[found - 1, 2] += 1.0
        else:
            rest[found, 0], rest[found, 1], rest[found, 2] = keys[key] // span, keys[key] % span, 1.0
            found += 1
    return np.concatenate((counted, rest[:found]))


@compiled
def _squares(entries: _Floats, column: int) -> float:
    """Sum of the squares of a marginal of the matrix."""
    largest = 0
    for entry in range(entries.shape[0]):
        largest = max(largest, int(entries[entry, column]))
    marginal = np.zeros(largest + 1)
    for entry in range(entries.shape[0]):
        marginal[int(entries[entry, column])] += entries[entry, 2]
    total = 0.0
    for value in marginal:
        total += value * value
    return total


@compiled
def emphases(entries: _Floats) -> _Floats:
    """Features of a matrix given as rows of level, size and count.

    Parameters
    ----------
    entries : ndarray of float64, (E, 3)

    Returns
    -------
    ndarray of float64, (16,)
        After `EMPHASES`; NaN where the matrix is empty.
    """
    out = np.zeros(16)
    total, pixels, mean_grey, mean_size = 0.0, 0.0, 0.0, 0.0
    for entry in range(entries.shape[0]):
        grey, size, count = entries[entry]
        total += count
        pixels += count * size
        mean_grey += count * grey
        mean_size += count * size
    if total == 0.0:
        out[:] = np.nan
        return out
    mean_grey /= total
    mean_size /= total
    for entry in range(entries.shape[0]):
        grey, size, count = entries[entry]
        share = count / total
        g2, s2 = grey * grey, size * size
        out[0] += share / s2
        out[1] += share * s2
        out[7] += share * (grey - mean_grey) ** 2
        out[8] += share * (size - mean_size) ** 2
        out[9] -= share * np.log2(share + EPS)
        out[10] += share / g2
        out[11] += share * g2
        out[12] += share / (g2 * s2)
        out[13] += share * g2 / s2
        out[14] += share * s2 / g2
        out[15] += share * g2 * s2
    grey_squares, size_squares = _squares(entries, 0), _squares(entries, 1)
    out[2], out[3] = grey_squares / total, grey_squares / total**2
    out[4], out[5] = size_squares / total, size_squares / total**2
    out[6] = total / pixels
    return out
