"""Feature maps: every feature of the window around every pixel of a region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError
from carina.texture.discretise import bin_edges
from carina.texture.matrices import UNIT, around, compiled_kernels, directions, flat
from carina.texture.regions import Region, checked_picture, region_of
from carina.texture.settings import TextureSettings
from carina.texture.table import TEXTURE_CLASSES, features_of

__all__ = ["MOST_RADIUS", "feature_maps", "map_names"]

MOST_RADIUS = 32
"""Radius of a window at most, pixels."""

_AT_ONCE = 1 << 12
_WIDTH = 95
_STARTS = {"firstorder": 0, "glcm": 18, "gldm": 42, "glrlm": 58, "glszm": 74, "ngtdm": 90}
_Floats = NDArray[np.float64]


def map_names() -> tuple[str, ...]:
    """Names of the features that can be mapped, 93.

    Examples
    --------
    >>> len(map_names()), map_names()[0]
    (93, 'firstorder_10Percentile')
    """
    return tuple(f"{family}_{feature.name}" for family in TEXTURE_CLASSES for feature in features_of(family))


def feature_maps(
    image: NDArray[Any],
    mask: NDArray[Any],
    names: Sequence[str],
    settings: TextureSettings | None = None,
    *,
    radius: int = 2,
    threads: int = 1,
) -> _Floats:
    """Map texture features over a region, as PyRadiomics' voxel-based extraction does.

    Grey levels are those of the whole region; each window is what of the square around a pixel lies inside it.

    Parameters
    ----------
    image : ndarray of numbers, (H, W)
    mask : ndarray of bool, (H, W)
        True inside the region.
    names : sequence of str
        Of `map_names`; a leading ``original_`` may stand.
    settings : TextureSettings or None
        The defaults without. Filters, shape and fractal play no part: map a filtered picture by handing it in.
    radius : int
        Of the window, 1 to 32 pixels; a window is ``2 * radius + 1`` pixels wide.
    threads : int
        Threads to share the region's pixels.

    Returns
    -------
    ndarray of float64, (F, H, W)
        NaN outside the mask, and where a window has no answer, such as co-occurrence around a lonely pixel.

    Raises
    ------
    TextureError
        As for `features`, for an unknown name, and for a radius out of range.
    MissingExtraError
        If numba is not installed.

    Examples
    --------
    >>> picture = np.arange(64.0).reshape(8, 8) % 5
    >>> found = feature_maps(picture, np.ones((8, 8), bool), ["glcm_Contrast"], TextureSettings.pyradiomics(1.0))
    >>> found.shape, bool(np.isfinite(found).all())
    ((1, 8, 8), True)
    """
    chosen = settings or TextureSettings()
    wanted = [name.removeprefix("original_") for name in names]
    unknown = sorted(set(wanted) - set(map_names()))
    if unknown:
        raise TextureError(f"features to map must be of map_names(), such as 'glcm_Contrast'; unknown are {unknown}")
    if not wanted or not 1 <= radius <= MOST_RADIUS or threads < 1:
        raise TextureError(
            f"maps need a feature, a radius from 1 to {MOST_RADIUS} and a thread; found {len(wanted)} features, radius "
            f"{radius}, {threads} threads"
        )
    if chosen.weighting != "none" or chosen.aggregation != "averaged":
        raise TextureError("maps average over directions; choose aggregation 'averaged' and weighting 'none'")
    picture = checked_picture(image)
    region = region_of(picture, mask)
    out = np.full((len(wanted), *picture.shape), np.nan)
    columns = [_column(name) for name in wanted]
    pixels = np.argwhere(region.mask)
    work = _prepared(picture, region, radius, chosen, wanted)

    def measure(start: int) -> None:
        part = pixels[start : start + _AT_ONCE]
        found = np.full((len(part), _WIDTH), np.nan)
        compiled_kernels().window_features(work[0], work[1], part, *work[2:], found)
        rows, across = part[:, 0] + region.rows.start, part[:, 1] + region.columns.start
        for place, (name, column) in enumerate(zip(wanted, columns, strict=True)):
            out[place, rows, across] = found[:, column] + _offset(name, chosen)
            if name == "firstorder_TotalEnergy":
                out[place, rows, across] *= chosen.spacing[0] * chosen.spacing[1]

    starts = range(0, len(pixels), _AT_ONCE)
    if threads == 1:
        for start in starts:
            measure(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(measure, starts))
    return out


def _column(name: str) -> int:
    """Where a feature stands among what the kernel finds."""
    kernels = compiled_kernels()
    family, _, feature = name.partition("_")
    kernel = next(entry.kernel for entry in features_of(family) if entry.name == feature)
    order: tuple[str, ...] = {
        "firstorder": (*kernels.FIRST_ORDER, "Entropy", "Uniformity"),
        "glcm": (*kernels.CO_OCCURRENCE, "MCC"),
        "ngtdm": kernels.DIFFERENCES,
    }.get(family, kernels.EMPHASES)
    return _STARTS[family] + order.index("Energy" if kernel == "TotalEnergy" else kernel)


def _offset(name: str, settings: TextureSettings) -> float:
    return -3.0 if name == "firstorder_Kurtosis" and settings.convention == "ibsi" else 0.0


def _prepared(
    picture: _Floats, region: Region, radius: int, settings: TextureSettings, wanted: Sequence[str]
) -> tuple[Any, ...]:
    """Prepare what the kernel takes, but for the pixels."""
    kernels = compiled_kernels()
    part = np.asarray(region.cut(picture), np.float64)
    values = kernels.inside(part, region.mask)
    least, largest = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(largest)):
        raise TextureError("a region must hold finite values; found NaN or infinity inside the mask")
    if least == largest:
        raise TextureError(f"a region must have texture; every pixel inside the mask is {least:g}")
    laid, by_level = kernels.lay_levels(values, region.mask, bin_edges(least, largest, settings), 0)
    present = np.flatnonzero(by_level)
    if present.size < 2:  # noqa: PLR2004 - one level
        raise TextureError("a region must have two grey levels or more; choose a smaller bin_size or a bin_number")
    top = int(present[-1]) + 1
    margin = max(*settings.distances, 1)
    width = 2 * (radius + margin) + 1
    unit = (*UNIT, *((-down, -across) for down, across in UNIT))
    steps = (flat(directions(settings), width), flat(around(settings), width), flat(unit, width))
    correlate = "glcm_MCC" in wanted
    lonely = settings.convention == "pyradiomics"
    choices = np.array([settings.alpha, top, settings.symmetric, correlate, lonely], np.int64)
    families = np.array([any(name.startswith(f"{family}_") for name in wanted) for family in TEXTURE_CLASSES])
    return part, laid.reshape(part.shape), steps, (radius, margin, top), choices, families
