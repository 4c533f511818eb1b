"""From grey values to grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError
from carina.texture.settings import TextureSettings

__all__ = ["MOST_LEVELS", "bin_edges"]

MOST_LEVELS = 1024
"""Levels at most: a co-occurrence matrix holds their square."""

_Floats = NDArray[np.float64]


def bin_edges(least: float, largest: float, settings: TextureSettings) -> _Floats:
    """Lower edges of the levels, and one edge beyond the last.

    PyRadiomics sets bins of fixed size off from zero; IBSI sets them off from the region's least value.
    """
    if settings.bin_number is not None:
        edges = np.linspace(least, largest, settings.bin_number + 1)
        edges[-1] += 1.0
        return edges
    size = float(settings.bin_size or 1.0)
    if (largest - least) / size > MOST_LEVELS:
        raise TextureError(
            f"a region may have {MOST_LEVELS} grey levels at most; bins {size:g} wide make about "
            f"{(largest - least) / size:.0f} of values from {least:g} to {largest:g}: choose a larger bin_size"
        )
    start = least if settings.convention == "ibsi" else least - least % size
    edges = np.arange(start, largest + 2.0 * size, size)
    return edges if edges.size > 1 else np.array([start - 0.5, start + 0.5])
