"""Filtered pictures: what is measured beside the picture itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.matrices import compiled_kernels
from carina.texture.regions import Mask
from carina.texture.settings import TextureSettings

__all__ = [
    "Picture",
    "laplacian_of_gaussian",
    "local_binary_patterns",
    "picture_names",
    "pictures",
    "smaller",
    "wavelets",
]

_Floats = NDArray[np.float64]
_SAMPLES = 8
_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture to measure.

    Attributes
    ----------
    name : str
        What its features' names begin with.
    values : ndarray of float64, (h, w)
    settings : TextureSettings
        Those that fit its values.
    scale : int
        By how much it is smaller than the original.
    """

    name: str
    values: _Floats
    settings: TextureSettings
    scale: int = 1


def picture_names(settings: TextureSettings) -> tuple[str, ...]:
    """Names of the pictures that `pictures` yields, in order."""
    names = ["original"] if settings.original else []
    names += [f"wavelet-{band}" for band in ("LH", "HL", "HH", "LL")] if settings.wavelets else []
    names += [_sigma_name(sigma) for sigma in settings.sigmas]
    names += ["lbp-2D"] if settings.lbp else []
    return (*names, *(f"scale-{scale}" for scale in settings.scales))


def pictures(original: _Floats, settings: TextureSettings) -> Iterator[Picture]:
    """Make the pictures that the settings ask for, one after the other so that few are held at once.

    Parameters
    ----------
    original : ndarray of float64, (H, W)
    settings : TextureSettings

    Yields
    ------
    Picture
    """
    if settings.original:
        yield Picture("original", original, settings)
    if settings.wavelets:
        bands = wavelets(original)
        for band in ("LH", "HL", "HH", "LL"):
            yield Picture(f"wavelet-{band}", bands.pop(band), settings)
    for sigma in settings.sigmas:
        yield Picture(_sigma_name(sigma), laplacian_of_gaussian(original, sigma, settings.spacing), settings)
    if settings.lbp:
        steps = settings.model_copy(update={"bin_number": None, "bin_size": 1.0})
        yield Picture("lbp-2D", local_binary_patterns(original), steps)
    for scale in settings.scales:
        spacing = (settings.spacing[0] * scale, settings.spacing[1] * scale)
        yield Picture(
            f"scale-{scale}", smaller(original, scale), settings.model_copy(update={"spacing": spacing}), scale
        )


def _sigma_name(sigma: float) -> str:
    return f"log-sigma-{str(float(sigma)).replace('.', '-')}-mm-2D"


@cache
def _coiflet() -> tuple[_Floats, _Floats]:
    """Low and high pass of the first coiflet (Daubechies, Ten Lectures on Wavelets, 1992, table 8.1)."""
    root = math.sqrt(7.0)
    low = np.array([1 - root, 5 + root, 14 + 2 * root, 14 - 2 * root, 1 - root, root - 3]) / (16.0 * math.sqrt(2.0))
    high = low[::-1] * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    return low, high


def wavelets(picture: _Floats) -> dict[str, _Floats]:
    """One level of the undecimated wavelet transform with the first coiflet, as PyRadiomics takes it.

    Parameters
    ----------
    picture : ndarray of float64, (H, W)
        Taken as periodic; a side of odd length is first made even by its opposite edge.

    Returns
    -------
    dict of str to ndarray of float64, (H, W)
        ``"LL"``, ``"LH"``, ``"HL"`` and ``"HH"``: low or high pass along a row, then along a column.
    """
    from scipy.ndimage import correlate1d  # noqa: PLC0415 - scipy is heavy at import

    rows, columns = picture.shape
    even = np.pad(picture, ((0, rows % 2), (0, columns % 2)), "wrap")
    low, high = _coiflet()
    along = {
        letter: correlate1d(even, kernel, axis=1, mode="wrap", origin=-1)
        for letter, kernel in (("L", low), ("H", high))
    }
    return {
        across + down: np.ascontiguousarray(
            correlate1d(along[across], kernel, axis=0, mode="wrap", origin=-1)[:rows, :columns]
        )
        for across in "LH"
        for down, kernel in (("L", low), ("H", high))
    }


def laplacian_of_gaussian(picture: _Floats, sigma: float, spacing: tuple[float, float] = (1.0, 1.0)) -> _Floats:
    """Laplacian of a Gaussian, normalised across scale (times sigma squared).

    A sampled Gaussian cut at four sigma, as IBSI 2 (arXiv:2006.05470) defines the filter; PyRadiomics takes ITK's
    recursive approximation of it.

    Parameters
    ----------
    picture : ndarray of float64, (H, W)
    sigma : float
        In units of `spacing`.
    spacing : tuple of float
        Distance of rows and of columns.

    Returns
    -------
    ndarray of float64, (H, W)
    """
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 - scipy is heavy at import

    widths = (sigma / spacing[0], sigma / spacing[1])
    down = gaussian_filter(picture, widths, order=(2, 0), mode="mirror") / spacing[0] ** 2
    across = gaussian_filter(picture, widths, order=(0, 2), mode="mirror") / spacing[1] ** 2
    return np.asarray((down + across) * sigma**2, np.float64)


def local_binary_patterns(picture: _Floats) -> _Floats:
    """Uniform local binary patterns of eight samples at one pixel's distance.

    After Ojala 2002, doi:10.1109/TPAMI.2002.1017623.

    Returns
    -------
    ndarray of float64, (H, W)
        0 to 9.
    """
    angles = 2.0 * np.pi * np.arange(_SAMPLES) / _SAMPLES
    rows, columns = np.round(-np.sin(angles), 5), np.round(np.cos(angles), 5)
    return np.asarray(compiled_kernels().binary_patterns(picture, rows, columns), np.float64)


def smaller(values: NDArray[Any], scale: int) -> _Floats:
    """Means of blocks of `scale` pixels (H // scale, W // scale); what is left over at the lower right is left out."""
    rows, columns = (side // scale * scale for side in values.shape)
    blocks = values[:rows, :columns].reshape(rows // scale, scale, columns // scale, scale)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64), np.float64)


def smaller_mask(mask: Mask, scale: int) -> Mask:
    """Blocks of which at least half lies within the mask."""
    return mask if scale == 1 else np.asarray(smaller(mask, scale) >= _SHARE, np.bool_)
