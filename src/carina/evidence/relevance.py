"""How much of a class map lies where the disease can be (M3).

Everything is measured on the raw class map (M23), brought to the network's field of view by bilinear interpolation as
the heatmap shows it, before any restriction to the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.evidence.localisation import is_flat
from carina.types import Array

__all__ = ["MassShare", "mass_share", "spread_map"]


@dataclass(frozen=True, slots=True)
class MassShare:
    """A map's mass against a region.

    Attributes
    ----------
    share : float
        Of the map's mass inside the region, in [0, 1].
    area : float
        Of the field of view that the region covers, in [0, 1]: the share of a map that points nowhere.
    reference : float
        Share of a map of the same grid whose cells hold just what they have of the region: a coarse grid cannot
        follow an outline, however well it knows the region.
    """

    share: float
    area: float
    reference: float

    @property
    def enrichment(self) -> float:
        """Share over area: 1 for a map that points nowhere, below 1 for one that avoids the region."""
        return self.share / self.area


def mass_share(raw: Any, region: NDArray[np.bool_]) -> MassShare | None:
    """Share of a class map's mass inside a region.

    Parameters
    ----------
    raw : array_like, (h, w)
        Raw class map, at least 0.
    region : ndarray of bool, (S, S)
        In the network's field of view.

    Returns
    -------
    MassShare or None
        `None` where the map is flat or the region is empty.

    Examples
    --------
    >>> region = np.zeros((4, 4), bool)
    >>> region[:, 2:] = True
    >>> found = mass_share(np.array([[0, 0, 0, 1]] * 4), region)
    >>> found.share, found.area, found.enrichment
    (1.0, 0.5, 2.0)
    """
    if is_flat(raw) or not region.any():
        return None
    heat = spread_map(raw, region.shape[0])
    grid = np.asarray(raw).shape
    cells = cv2.resize(region.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    best = spread_map(cells, region.shape[0])
    return MassShare(_inside(heat, region), float(region.mean()), _inside(best, region))


def spread_map(raw: Any, side: int) -> Array:
    """Bring a map to the network's field of view, bilinear: ``(h, w)`` to ``(side, side)``, scale unchanged."""
    values = np.asarray(raw, dtype=np.float32)
    return np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _inside(heat: Array, region: NDArray[np.bool_]) -> float:
    values = heat.astype(np.float64)
    return float(values[region].sum() / values.sum())
