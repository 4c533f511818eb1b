"""Lungs out of sight: where they are, and the film without them (M36).

What a model still says of a film without lungs it does not read from the disease. The audit asks a finished model so;
training shows such films to teach it that they say nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.imaging.lung_fields import LEFT, RIGHT, LungFields
from carina.types import Array

__all__ = ["disc", "lung_cover", "lungs_black"]

_WIDENED = 0.03


def lung_cover(fields: LungFields) -> NDArray[np.bool_]:
    """Convex hull of each lung field, widened by 3 % of the film's longer side, (H, W)."""
    cover = np.zeros(fields.mask.shape, np.uint8)
    for side in (RIGHT, LEFT):
        points = cv2.findNonZero((fields.mask == side).astype(np.uint8))
        if points is not None:
            cv2.fillConvexPoly(cover, cv2.convexHull(points), 1)
    return np.asarray(cv2.dilate(cover, disc(2 * _WIDENED * max(cover.shape))) > 0, dtype=np.bool_)


def lungs_black(pixels: Array, fields: LungFields) -> Array:
    """Black out the lungs: each field's convex hull, widened by 3 % of the film's longer side.

    The hull, not the outline: an opacity at the edge of a lung dents the outline found, which would tell the disease.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    fields : LungFields
        Of this film.

    Returns
    -------
    ndarray of float32, (H, W)
    """
    return np.asarray(np.where(lung_cover(fields), np.float32(0.0), pixels), dtype=np.float32)


def disc(diameter: float) -> NDArray[np.uint8]:
    """Disc for morphology, of 1 within; its width is the next odd number of pixels."""
    width = max(1, round(diameter)) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)), np.uint8)
