"""How a film was made, read outside its lungs: what a signature of the lungs must say more than (M36)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError
from carina.evidence.shortcut_signs import film_signs
from carina.imaging import read_film
from carina.imaging.lung_fields import LungFields
from carina.inference.lungs import LungFinder
from carina.types import Array

__all__ = ["control_signs", "film_controls"]

_QUANTILES = (0.25, 0.5, 0.75, 0.95)
_MARGIN = 0.03
_FEW = 64


def film_controls(
    paths: Mapping[str, Path],
    image_ids: Sequence[str],
    finder: LungFinder,
    done: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Measure every film outside its lungs.

    Parameters
    ----------
    paths : mapping of str to Path
        File of each film.
    image_ids : sequence of str, (N,)
    finder : LungFinder
    done : callable, optional
        Called with the number of films done.

    Returns
    -------
    ndarray, (N, K)
        NaN for films that are not at hand, cannot be read or whose lungs are not to be believed.
    """
    found: list[NDArray[np.float64] | None] = []
    for number, name in enumerate(image_ids, start=1):
        path = paths.get(name)
        try:
            film = None if path is None else read_film(path)
            found.append(None if film is None else control_signs(film.pixels, finder.find(film)))
        except (CarinaError, OSError):
            found.append(None)
        if done is not None:
            done(number)
    width = next((len(one) for one in found if one is not None), 1)
    return np.stack([np.full(width, np.nan) if one is None else one for one in found])


def control_signs(pixels: Array, fields: LungFields) -> NDArray[np.float64] | None:
    """Signs of the shortcut audit, and sharpness and noise at full resolution, all outside the lungs.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    fields : LungFields

    Returns
    -------
    ndarray, (K,), or None
        `None` where the lungs are not to be believed.
    """
    signs = film_signs(pixels, fields)
    if not signs:
        return None
    margin = 2 * max(1, round(_MARGIN * max(pixels.shape))) + 1
    lungs = cv2.dilate(np.asarray(fields.mask > 0, np.uint8), np.ones((margin, margin), np.uint8))
    free = (lungs == 0) & (pixels > 0.02) & (pixels < 0.98)  # noqa: PLR2004 - film, not the black or white around it
    fine = []
    for sigma in (0.0, 1.0):
        picture = np.asarray(pixels if sigma == 0 else cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32)
        edges = np.abs(cv2.Laplacian(picture, cv2.CV_32F))
        fine.append(np.quantile(edges[free] if free.sum() >= _FEW else edges, _QUANTILES))
    return np.concatenate([*signs.values(), np.log(np.concatenate(fine) + 1e-4)])
