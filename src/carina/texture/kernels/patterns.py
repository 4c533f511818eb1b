"""Local binary patterns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["binary_patterns"]

_Floats = NDArray[np.float64]


@compiled
def _at(picture: _Floats, row: int, column: int) -> float:
    """Take a pixel, 0 outside the picture."""
    if row < 0 or row >= picture.shape[0] or column < 0 or column >= picture.shape[1]:
        return 0.0
    return float(picture[row, column])


@compiled
def _between(picture: _Floats, row: float, column: float) -> float:
    """Bilinear interpolation."""
    top, left = int(np.floor(row)), int(np.floor(column))
    bottom, right = int(np.ceil(row)), int(np.ceil(column))
    down, across = row - top, column - left
    above = (1.0 - across) * _at(picture, top, left) + across * _at(picture, top, right)
    below = (1.0 - across) * _at(picture, bottom, left) + across * _at(picture, bottom, right)
    return (1.0 - down) * above + down * below


@compiled
def binary_patterns(picture: _Floats, rows: _Floats, columns: _Floats) -> _Floats:
    """Uniform, rotation-invariant local binary patterns.

    Parameters
    ----------
    picture : ndarray of float64, (H, W)
    rows, columns : ndarray of float64, (P,)
        Where the samples around a pixel lie, in order around it.

    Returns
    -------
    ndarray of float64, (H, W)
        Number of samples not below the pixel where they form at most one arc, otherwise P + 1.
    """
    out = np.empty(picture.shape)
    above = np.empty(rows.size, np.bool_)
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            centre = picture[row, column]
            changes, many = 0, 0
            for sample in range(rows.size):
                above[sample] = _between(picture, row + rows[sample], column + columns[sample]) - centre >= 0.0
                many += above[sample]
                changes += sample > 0 and above[sample] != above[sample - 1]
            out[row, column] = many if changes <= 2 else rows.size + 1  # noqa: PLR2004 - one arc begins and ends
    return out
