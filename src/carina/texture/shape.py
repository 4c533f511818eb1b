"""The shape of a region, and how rough its outline and its greys are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from carina.texture.matrices import compiled_kernels
from carina.texture.regions import Mask, Region
from carina.texture.table import features_of

__all__ = ["fractal", "shape"]

_Floats = NDArray[np.float64]
_BOXES = (2, 4, 8, 16, 32, 64)
_GLIDING = 8
_FINE = 8  # boxes of the outline are at most this share of the region: coarser ones follow its box, not its outline


def shape(mask: Mask, spacing: tuple[float, float]) -> dict[str, float]:
    """Shape features of a mask, as PyRadiomics' `shape2D` defines them.

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
    spacing : tuple of float
        Distance of rows and of columns.

    Returns
    -------
    dict of str to float
        ``shape2D_Feature`` to value, in units of `spacing`.
    """
    kernels = compiled_kernels()
    padded = np.pad(mask, 1)
    area, length = kernels.outline(padded, *spacing)
    places = np.argwhere(mask) * np.asarray(spacing)
    centred = places - places.mean(axis=0)
    minor, major = np.maximum(np.linalg.eigvalsh(centred.T @ centred / len(places)), 0.0)
    found = {
        "MeshSurface": area,
        "PixelSurface": len(places) * spacing[0] * spacing[1],
        "Perimeter": length,
        "PerimeterSurfaceRatio": length / area,
        "Sphericity": 2.0 * math.sqrt(math.pi * area) / length,
        "MaximumDiameter": kernels.farthest(_extremes(padded, spacing)),
        "MajorAxisLength": 4.0 * math.sqrt(major),
        "MinorAxisLength": 4.0 * math.sqrt(minor),
        "Elongation": math.sqrt(minor / major) if major else 1.0,
    }
    return {f"shape2D_{feature.name}": float(found[feature.kernel]) for feature in features_of("shape2D")}


def _extremes(mask: Mask, spacing: tuple[float, float]) -> _Floats:
    """First and last point of the outline in every half row (N, 2): the two farthest points are among them."""
    rows, columns = np.nonzero(mask[:, 1:] != mask[:, :-1])
    beside = np.stack((rows.astype(np.float64), columns + 0.5), axis=1)
    rows, columns = np.nonzero(mask[1:] != mask[:-1])
    points = np.concatenate((beside, np.stack((rows + 0.5, columns.astype(np.float64)), axis=1)))
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    first = np.flatnonzero(np.diff(points[:, 0], prepend=-1.0))
    last = np.append(first[1:] - 1, len(points) - 1)
    return np.ascontiguousarray(points[np.concatenate((first, last))] * np.asarray(spacing))


def fractal(picture: _Floats, region: Region) -> dict[str, float]:
    """Fractal dimensions of outline and greys, and lacunarity.

    `BoxCountingDimension` is of the region's outline; `DifferentialDimension` of the greys as a surface (Sarkar and
    Chaudhuri 1994, doi:10.1109/21.259692), over boxes that lie wholly inside; `Lacunarity` is the mean square over the
    squared mean of the grey sums in boxes of 8 pixels (Plotnick 1996, doi:10.1103/PhysRevE.53.5461).

    Returns
    -------
    dict of str to float
        ``fractal_Feature`` to value; NaN where the region is too small for two sizes of box.
    """
    mask, values = region.mask, region.cut(picture)
    inside = values[mask]
    lowest, span = float(inside.min()), float(inside.max() - inside.min())
    sizes, heights = [], []
    for side in _BOXES:
        tops, bottoms = _inner_boxes(values, mask, side)
        if not tops.size:
            break
        height = span * side / max(mask.shape)
        counted = np.ceil((tops - lowest) / height) - np.ceil((bottoms - lowest) / height) + 1.0
        sizes.append(side)
        heights.append(float(counted.mean()))
    greys = 2.0 - _slope(sizes, heights)
    edge = np.pad(mask, 1)
    outline = mask & ~(edge[:-2, 1:-1] & edge[2:, 1:-1] & edge[1:-1, :-2] & edge[1:-1, 2:])
    fitting = [side for side in _BOXES if _FINE * side <= max(mask.shape)]
    counts = [float(np.count_nonzero(_blocks(outline, side).any(axis=(1, 3)))) for side in fitting]
    found = {
        "BoxCountingDimension": -_slope(fitting, counts),
        "DifferentialDimension": greys,
        "Lacunarity": _lacunarity(values, mask),
    }
    return {f"fractal_{feature.name}": float(found[feature.kernel]) for feature in features_of("fractal")}


def _slope(sizes: list[int], counts: list[float]) -> float:
    """Slope of log count over log size."""
    return float(np.polyfit(np.log(sizes), np.log(counts), 1)[0]) if len(sizes) > 1 else math.nan


def _blocks(values: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Boxes (h, side, w, side), what is left over filled up with zeros."""
    rows, columns = (-length % side for length in values.shape)
    filled = np.pad(values, ((0, rows), (0, columns)))
    return filled.reshape(filled.shape[0] // side, side, filled.shape[1] // side, side)


def _inner_boxes(values: _Floats, mask: Mask, side: int) -> tuple[_Floats, _Floats]:
    """Largest and least value of each box wholly inside."""
    whole = _blocks(mask, side).all(axis=(1, 3))
    boxes = _blocks(values, side)
    return np.asarray(boxes.max(axis=(1, 3))[whole]), np.asarray(boxes.min(axis=(1, 3))[whole])


def _lacunarity(values: _Floats, mask: Mask) -> float:
    whole = _blocks(mask, _GLIDING).all(axis=(1, 3))
    sums = np.asarray(_blocks(values, _GLIDING), np.float64).sum(axis=(1, 3))[whole]
    mean = float(sums.mean()) if sums.size > 1 else 0.0
    return float(np.square(sums).mean()) / mean**2 if mean else math.nan
