"""The features of one picture in one region, class by class: where settings meet the kernels."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import MissingExtraError, TextureError
from carina.texture.discretise import bin_edges
from carina.texture.regions import Region
from carina.texture.settings import TextureSettings
from carina.texture.table import features_of

__all__ = ["UNIT", "around", "compiled_kernels", "directions", "flat", "measure"]

_Floats = NDArray[np.float64]
_QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90)
UNIT = ((0, 1), (1, -1), (1, 0), (1, 1))
_STEP = {0: (0, 1), 45: (1, -1), 90: (1, 0), 135: (1, 1)}
_MOST_WHOLE = 1 << 16


def compiled_kernels() -> ModuleType:
    """Import the compiled kernels when first needed.

    Raises
    ------
    MissingExtraError
        If numba is not installed.
    """
    try:
        return importlib.import_module("carina.texture.kernels")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "numba":
            raise MissingExtraError("texture", "texture") from error
        raise


def directions(settings: TextureSettings) -> tuple[tuple[int, int], ...]:
    """List the steps (rows, columns) of the co-occurrence, one of each opposite pair."""
    angles = settings.angles or (tuple(_STEP) if settings.convention == "ibsi" else None)
    if angles is not None:
        return tuple((_STEP[angle][0] * far, _STEP[angle][1] * far) for far in settings.distances for angle in angles)
    steps: list[tuple[int, int]] = []
    for far in settings.distances:
        ring = [(y, x) for y in range(far + 1) for x in range(-far, far + 1) if max(y, abs(x)) == far]
        steps += [(y, x) for y, x in ring if y > 0 or x > 0]
    return tuple(steps)


def around(settings: TextureSettings) -> tuple[tuple[int, int], ...]:
    """List the steps to every neighbour of a pixel, whatever directions the co-occurrence takes."""
    far = tuple(range(1, max(settings.distances) + 1)) if settings.convention == "ibsi" else settings.distances
    ahead = directions(settings.model_copy(update={"angles": None, "distances": far, "convention": "pyradiomics"}))
    return ahead + tuple((-y, -x) for y, x in ahead)


def _norm(step: tuple[int, int], settings: TextureSettings) -> float:
    down, across = abs(step[0]) * settings.spacing[0], abs(step[1]) * settings.spacing[1]
    if settings.weighting == "infinity":
        return max(down, across)
    return down + across if settings.weighting == "manhattan" else math.hypot(down, across)


def measure(picture: _Floats, region: Region, settings: TextureSettings) -> dict[str, float]:
    """Measure the 93 features of one picture in one region.

    Parameters
    ----------
    picture : ndarray of float64, (H, W)
    region : Region
    settings : TextureSettings

    Returns
    -------
    dict of str to float
        ``class_Feature`` to value.

    Raises
    ------
    TextureError
        If a value is not finite, the region is of one value or one grey level, or no two of its pixels touch.
    """
    kernels = compiled_kernels()
    values = kernels.inside(region.cut(picture), region.mask)
    least, largest = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(largest)):  # a NaN anywhere makes both of them NaN
        raise TextureError("a region must hold finite values; found NaN or infinity inside the mask")
    if least == largest:
        raise TextureError(f"a region must have texture; every pixel inside the mask is {least:g}")
    margin = max(*settings.distances, 1)
    edges = bin_edges(least, largest, settings)
    levels, by_level = kernels.lay_levels(values, region.mask, edges, margin)
    by_level = by_level[: int(np.flatnonzero(by_level)[-1]) + 1]
    width = region.mask.shape[1] + 2 * margin
    if np.count_nonzero(by_level) < 2:  # noqa: PLR2004 - one level
        raise TextureError(
            f"a region must have two grey levels or more; one holds all values from {least:g} to {largest:g}: choose a "
            "smaller bin_size or a bin_number"
        )
    found = {f"firstorder_{name}": value for name, value in _first_order(kernels, values, by_level, settings).items()}
    glcm, dependences, tones, runs = _counted(kernels, levels, (width, by_level.size, max(region.mask.shape)), settings)
    if not glcm.any():
        raise TextureError("a region must have neighbouring pixels; no two inside the mask are at the distances asked")
    found |= _named("glcm", _cooccurrence(kernels, glcm, by_level, settings))
    found |= _named("gldm", _emphases(kernels, kernels.sparse(dependences)))
    found |= _named("glrlm", _runs(kernels, runs, _lines(kernels, levels, width, runs, settings), settings))
    unit = flat((*UNIT, *((-y, -x) for y, x in UNIT)), width)
    found |= _named("glszm", _emphases(kernels, kernels.tally(*kernels.zones(levels, unit), by_level.size)))
    counted = tones[:, 1] if settings.convention == "ibsi" else tones[:, 0]
    differences = kernels.tone_differences(np.ascontiguousarray(counted), np.ascontiguousarray(tones[:, 2]))
    return found | _named("ngtdm", dict(zip(kernels.DIFFERENCES, differences.tolist(), strict=True)))


def flat(steps: Sequence[tuple[int, int]], width: int) -> NDArray[np.int64]:
    """Turn steps of rows and columns into steps in the flat array of levels."""
    return np.array([down * width + across for down, across in steps], np.int64)


def _counted(
    kernels: Any, levels: NDArray[np.int32], sizes: tuple[int, int, int], settings: TextureSettings
) -> tuple[NDArray[Any], NDArray[Any], _Floats, NDArray[Any]]:
    """Co-occurrences (A, G, G), dependences (G, B + 1), differences (G, 3) and runs (4, G, R)."""
    width, greys, longest = sizes
    ahead, near = directions(settings), around(settings)
    if ahead == UNIT and len(near) == 2 * len(UNIT):
        found = kernels.count_touching(levels, flat(UNIT, width), settings.alpha, longest, greys)
        return found[0], found[1], found[2], found[3]
    glcm = np.zeros((len(ahead), greys, greys), np.int32)
    dependences = np.zeros((greys, len(near) + 1), np.int32)
    tones = kernels.count_neighbours(levels, flat(ahead, width), flat(near, width), settings.alpha, glcm, dependences)
    runs = np.zeros((len(UNIT), greys, longest), np.int32)
    for way, step in enumerate(flat(UNIT, width)):
        kernels.count_runs(levels, int(step), runs[way])
    return glcm, dependences, tones, runs


def _lines(
    kernels: Any, levels: NDArray[np.int32], width: int, runs: NDArray[Any], settings: TextureSettings
) -> list[int]:
    """Directions whose runs count.

    PyRadiomics leaves out a direction in which every line crosses the region in one pixel; IBSI does not.
    """
    return [
        way
        for way, (down, across) in enumerate(UNIT)
        if settings.convention == "ibsi"
        or runs[way, :, 1:].any()
        or kernels.several_on_a_line(levels, width, down, across)
    ]


def _named(family: str, found: dict[str, float]) -> dict[str, float]:
    """Values under the names the table gives them, in its order."""
    return {f"{family}_{feature.name}": float(found[feature.kernel]) for feature in features_of(family)}


def _emphases(kernels: Any, entries: _Floats) -> dict[str, float]:
    return dict(zip(kernels.EMPHASES, kernels.emphases(entries).tolist(), strict=True))


def _first_order(
    kernels: Any, values: _Floats, by_level: NDArray[np.int64], settings: TextureSettings
) -> dict[str, float]:
    found = dict(
        zip(kernels.FIRST_ORDER, kernels.first_order(values, _quantiles(kernels, values)).tolist(), strict=True)
    )
    found["TotalEnergy"] = found["Energy"] * settings.spacing[0] * settings.spacing[1]
    found["Entropy"], found["Uniformity"] = kernels.uniformity(by_level)
    if settings.convention == "ibsi":
        found["Kurtosis"] -= 3.0
    return {feature.name: found[feature.kernel] for feature in features_of("firstorder")}


def _quantiles(kernels: Any, values: _Floats) -> _Floats:
    """Values (5,) at 10, 25, 50, 75 and 90 %, linear between neighbouring ranks."""
    places = (values.size - 1) * np.array(_QUANTILES)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, values.size - 1)
    ranks = np.unique(np.concatenate((low, high)))
    ordered = _whole(kernels, values, ranks)
    if ordered is None:
        ordered = np.partition(values, ranks)[ranks]
    below, above = ordered[np.searchsorted(ranks, low)], ordered[np.searchsorted(ranks, high)]
    return np.asarray(below + (above - below) * (places - low), np.float64)


def _whole(kernels: Any, values: _Floats, ranks: NDArray[np.int64]) -> _Floats | None:
    """Values at ranks by counting, where all values are whole; `None` where they are not."""
    lowest, span = float(values.min()), float(values.max() - values.min())
    if span > _MOST_WHOLE or lowest != math.floor(lowest):
        return None
    counts = kernels.integer_counts(values, lowest, int(span))
    return np.asarray(kernels.order_statistics(counts, lowest, ranks), np.float64) if counts.size else None


def _cooccurrence(
    kernels: Any, glcm: _Floats, by_level: NDArray[np.int64], settings: TextureSettings
) -> dict[str, float]:
    if settings.symmetric:
        glcm = glcm + glcm.transpose(0, 2, 1)
    if settings.weighting != "none":
        weights = np.exp(-np.square([_norm(step, settings) for step in directions(settings)]))
        glcm = np.tensordot(weights, glcm, 1)[None]
    elif settings.aggregation == "merged":
        glcm = glcm.sum(axis=0, keepdims=True)
    present = np.flatnonzero(by_level)
    grey = present + 1
    glcm = np.ascontiguousarray(glcm[np.ix_(np.flatnonzero(glcm.any(axis=(1, 2))), present, present)])
    top = int(grey[-1])
    each = np.array([kernels.cooccurrence(matrix, grey, top) for matrix in glcm]).mean(axis=0)
    correlations = np.array([kernels.correlation_matrix(matrix) for matrix in glcm])
    if settings.symmetric:
        strengths = np.sort(np.abs(np.linalg.eigvalsh(correlations)), axis=1)[:, -2]
    else:
        strengths = np.linalg.svd(correlations, compute_uv=False)[:, 1]
    return dict(zip(kernels.CO_OCCURRENCE, each.tolist(), strict=True)) | {"MCC": float(strengths.mean())}


def _runs(kernels: Any, runs: NDArray[Any], ways: list[int], settings: TextureSettings) -> dict[str, float]:
    if settings.weighting != "none" or settings.aggregation == "merged":
        weights = [_norm(step, settings) if settings.weighting != "none" else 1.0 for step in UNIT]
        total = np.tensordot(np.array(weights)[ways], runs[ways], 1)
        return _emphases(kernels, kernels.sparse(total))
    each = [kernels.emphases(kernels.sparse(runs[way])) for way in ways]
    return dict(zip(kernels.EMPHASES, np.mean(each, axis=0).tolist(), strict=True))
