"""Outline of a region by marching squares: area, length and the points on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["farthest", "outline"]

_Floats = NDArray[np.float64]

_FULL = 4


@compiled
def outline(mask: NDArray[np.bool_], down: float, across: float) -> tuple[float, float]:
    """Area and length of the outline of a mask (H, W) that has a margin of False; spacing of rows and columns."""
    corner = np.sqrt((down / 2.0) ** 2 + (across / 2.0) ** 2)
    area, length = 0.0, 0.0
    for row in range(mask.shape[0] - 1):
        for column in range(mask.shape[1] - 1):
            a, b = mask[row, column], mask[row, column + 1]
            c, d = mask[row + 1, column], mask[row + 1, column + 1]
            inside = int(a) + int(b) + int(c) + int(d)
            if inside == _FULL:
                area += 1.0
            elif inside in (1, _FULL - 1):
                area += 0.125 if inside == 1 else 0.875
                length += corner
            elif inside and a == d:  # two corners across from each other stay apart
                area += 0.25
                length += 2.0 * corner
            elif inside:
                area += 0.5
                length += across if a == b else down
    return area * down * across, length


@compiled
def farthest(points: _Floats) -> float:
    """Largest distance between two of the points (N, 2)."""
    largest = 0.0
    for i in range(points.shape[0]):
        for j in range(i):
            largest = max(largest, (points[i, 0] - points[j, 0]) ** 2 + (points[i, 1] - points[j, 1]) ** 2)
    return float(np.sqrt(largest))
