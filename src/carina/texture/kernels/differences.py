"""Features of the neighbourhood grey tone difference matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["DIFFERENCES", "tone_differences"]

DIFFERENCES = ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")
"""What `tone_differences` returns, in order."""

_Floats = NDArray[np.float64]

_SMOOTH = 1e6


@compiled
def _pairs(shares: _Floats, sums: _Floats, grey: _Floats) -> tuple[float, float, float, float]:
    """Add up over pairs of levels for busyness, complexity, contrast and strength."""
    busy, complexity, contrast, strength = 0.0, 0.0, 0.0, 0.0
    for i in range(grey.size):
        for j in range(i):
            apart = grey[i] - grey[j]
            p, q = shares[i], shares[j]
            busy += abs(grey[i] * p - grey[j] * q)
            complexity += abs(apart) * (p * sums[i] + q * sums[j]) / (p + q)
            contrast += p * q * apart * apart
            strength += (p + q) * apart * apart
    return 2.0 * busy, 2.0 * complexity, 2.0 * contrast, 2.0 * strength


@compiled
def tone_differences(counts: _Floats, sums: _Floats) -> _Floats:
    """Features from pixels and summed differences of each level.

    Parameters
    ----------
    counts, sums : ndarray of float64, (G,)
        For the levels from 1.

    Returns
    -------
    ndarray of float64, (5,)
        After `DIFFERENCES`.
    """
    present = 0
    total = 0.0
    for level in range(counts.size):
        present += counts[level] > 0.0
        total += counts[level]
    out = np.full(5, np.nan)
    if present == 0:
        return out
    grey, shares, apart = np.empty(present), np.empty(present), np.empty(present)
    present, weighted, all_apart = 0, 0.0, 0.0
    for level in range(counts.size):
        if counts[level] > 0.0:
            grey[present], shares[present], apart[present] = level + 1, counts[level] / total, sums[level]
            weighted += shares[present] * sums[level]
            all_apart += sums[level]
            present += 1
    busy, complexity, contrast, strength = _pairs(shares, apart, grey)
    out[0] = weighted / busy if busy else 0.0
    out[1] = 1.0 / weighted if weighted else _SMOOTH
    out[2] = complexity / total
    out[3] = contrast * all_apart / total / (present * (present - 1)) if present > 1 else 0.0
    out[4] = strength / all_apart if all_apart else 0.0
    return out
