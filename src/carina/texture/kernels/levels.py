"""Grey levels of a region, laid out as the counting kernels want them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["inside", "lay_levels"]

_Floats = NDArray[np.float64]


@compiled
def inside(picture: NDArray[Any], mask: NDArray[np.bool_]) -> _Floats:
    """Values (N,) of a picture (H, W) within a mask (H, W), row by row."""
    pixels = 0
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            pixels += mask[row, column]
    values = np.empty(pixels)
    pixels = 0
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            if mask[row, column]:
                values[pixels] = picture[row, column]
                pixels += 1
    return values


@compiled
def lay_levels(
    values: _Floats, mask: NDArray[np.bool_], edges: _Floats, margin: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Level of each pixel, 0 outside, as one array of rows with a margin of zeros on every side.

    Parameters
    ----------
    values : ndarray of float64, (N,)
        As `inside` returns them.
    mask : ndarray of bool, (H, W)
    edges : ndarray of float64, (G + 1,)
        Lower edges of the levels, equally far apart, and one beyond the last; the edges decide, not the quotient.
    margin : int

    Returns
    -------
    tuple of ndarray of int32, ((H + 2 margin) * (W + 2 margin),), and of int64, (G,)
        The levels, and how many pixels each has.
    """
    width = mask.shape[1] + 2 * margin
    out = np.zeros((mask.shape[0] + 2 * margin) * width, np.int32)
    counts = np.zeros(edges.size - 1, np.int64)
    first, steps, last = edges[0], 1.0 / (edges[1] - edges[0]), edges.size - 2
    pixel = 0
    for row in range(mask.shape[0]):
        start = (row + margin) * width + margin
        for column in range(mask.shape[1]):
            if mask[row, column]:
                value = values[pixel]
                level = min(max(int((value - first) * steps), 0), last)
                while level > 0 and value < edges[level]:
                    level -= 1
                while level < last and value >= edges[level + 1]:
                    level += 1
                out[start + column] = level + 1
                counts[level] += 1
                pixel += 1
    return out, counts
