"""Features of a picture in a region, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError
from carina.texture.filters import picture_names, pictures, smaller_mask
from carina.texture.matrices import measure
from carina.texture.regions import Mask, Region, checked_picture, region_of
from carina.texture.settings import TextureSettings
from carina.texture.shape import fractal, shape
from carina.texture.table import TEXTURE_CLASSES, features_of

__all__ = ["feature_names", "features", "features_of_regions"]


def feature_names(settings: TextureSettings | None = None) -> tuple[str, ...]:
    """Names of the features, in the order in which `features` returns them.

    Parameters
    ----------
    settings : TextureSettings or None
        The defaults without.

    Returns
    -------
    tuple of str
        ``picture_class_Feature``, as PyRadiomics spells them.

    Examples
    --------
    >>> len(feature_names(TextureSettings.pyradiomics()))
    93
    >>> feature_names()[0], feature_names()[-1]
    ('original_shape2D_Elongation', 'scale-4_ngtdm_Strength')
    """
    chosen = settings or TextureSettings()
    of_region = [
        f"original_{feature.family}_{feature.name}"
        for family, wanted in (("shape2D", chosen.shape), ("fractal", chosen.fractal))
        if wanted
        for feature in features_of(family)
    ]
    of_pictures = [
        f"{picture}_{feature.family}_{feature.name}"
        for picture in picture_names(chosen)
        for family in TEXTURE_CLASSES
        for feature in features_of(family)
    ]
    return (*of_region, *of_pictures)


def features(image: NDArray[Any], mask: NDArray[Any], settings: TextureSettings | None = None) -> dict[str, float]:
    """Texture features of a picture within a region.

    Parameters
    ----------
    image : ndarray of numbers, (H, W)
        Grey values in any unit; what lies outside the mask matters to filtered pictures alone.
    mask : ndarray of bool, (H, W)
        True inside the region.
    settings : TextureSettings or None
        The defaults without.

    Returns
    -------
    dict of str to float
        In the order of `feature_names`. NaN only for fractal features of regions too small for two sizes of box.

    Raises
    ------
    TextureError
        If the mask is empty, holds one pixel or has another size than the picture, or if a value is not finite, the
        region is constant or of one grey level, or no two of its pixels touch.
    MissingExtraError
        If numba is not installed.

    Examples
    --------
    >>> picture = np.arange(64.0).reshape(8, 8) % 7
    >>> found = features(picture, np.ones((8, 8), bool), TextureSettings.pyradiomics(1.0))
    >>> found["original_firstorder_Maximum"], round(found["original_glcm_JointEntropy"], 3)
    (6.0, 3.557)
    """
    chosen = settings or TextureSettings()
    found, refused = features_of_regions(image, {"region": mask}, chosen)
    if refused:
        raise TextureError(refused["region"])
    return found["region"]


def features_of_regions(
    image: NDArray[Any], masks: Mapping[str, NDArray[Any]], settings: TextureSettings
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Features of several regions of one picture; each filter is applied once.

    Parameters
    ----------
    image : ndarray of numbers, (H, W)
    masks : mapping of str to ndarray of bool, (H, W)
    settings : TextureSettings

    Returns
    -------
    tuple of dict, dict
        Features of each region in the order of `feature_names`, and for each region that cannot be measured why not.

    Raises
    ------
    TextureError
        If the picture itself is none, or not finite where a filter reads it.
    """
    picture = checked_picture(image)
    refused: dict[str, str] = {}
    regions: dict[str, Region] = {}
    found: dict[str, dict[str, float]] = {}
    for name, mask in masks.items():
        try:
            regions[name] = region_of(picture, mask)
            found[name] = _of_region(picture, regions[name], settings)
        except TextureError as error:
            refused[name] = str(error)
    filtered = set(picture_names(settings)) - {"original"}
    if filtered and regions.keys() - refused.keys() and not np.isfinite(picture).all():
        raise TextureError(
            "a picture must be finite wherever a filter reads it; found NaN or infinity: fill what lies "
            "outside the mask"
        )
    for drawn in pictures(picture, settings):
        for name in regions.keys() - refused.keys():
            try:
                region = regions[name] if drawn.scale == 1 else _smaller_region(drawn.values, masks[name], drawn.scale)
                measured = measure(drawn.values, region, drawn.settings)
            except TextureError as error:
                refused[name] = str(error) if drawn.name == "original" else f"{drawn.name}: {error}"
                continue
            found[name] |= {f"{drawn.name}_{key}": value for key, value in measured.items()}
    return {name: found[name] for name in regions if name not in refused}, refused


def _smaller_region(picture: NDArray[np.float64], mask: NDArray[Any], scale: int) -> Region:
    shrunk: Mask = smaller_mask(mask, scale)
    return region_of(picture, shrunk)


def _of_region(picture: NDArray[np.float64], region: Region, settings: TextureSettings) -> dict[str, float]:
    """Shape and fractal features, which need no grey levels."""
    if not (settings.shape or settings.fractal):
        return {}
    values = region.cut(picture)[region.mask]
    if not np.isfinite(values).all():
        raise TextureError("a region must hold finite values; found NaN or infinity inside the mask")
    if values.min() == values.max():
        raise TextureError(f"a region must have texture; every pixel inside the mask is {values[0]:g}")
    found = shape(region.mask, settings.spacing) if settings.shape else {}
    found |= fractal(picture, region) if settings.fractal else {}
    return {f"original_{name}": value for name, value in found.items() if not math.isinf(value)}
