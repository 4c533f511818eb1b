"""Films without what a model should read, or without what it should not (M36).

Each change keeps the film's size, so that the changed film is framed by the *original* film's lung fields: lungs that
have been blacked out cannot be found again, and a model framed by them would be shown another part of the film.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.imaging.lung_cover import disc, lung_cover, lungs_black
from carina.imaging.lung_fields import LungFields
from carina.types import Array

__all__ = ["CHANGES", "LUNGLESS", "border_only", "markers_removed", "outside"]

_BOX_WIDENED = 0.02
_MARKER_SIZE = 0.09
_MARKER_LIFT = 0.25
_MARKER_HALO = 0.012
_WORKING_SIDE = 512
_HALF = 0.5


def border_only(pixels: Array, fields: LungFields) -> Array:
    """Leave only what lies outside the box of both lungs, widened by 2 % of its size; black within.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
    fields : LungFields

    Returns
    -------
    ndarray of float32, (H, W)
    """
    result = pixels.astype(np.float32, copy=True)
    if (box := fields.box) is None:
        return result
    x, y, width, height = box
    wide, high = round(_BOX_WIDENED * width), round(_BOX_WIDENED * height)
    result[max(0, y - high) : y + height + high, max(0, x - wide) : x + width + wide] = 0.0
    return result


def markers_removed(pixels: Array, fields: LungFields) -> Array:
    """Take away what is small and bright outside the lungs: letters, lead markers, clips, edges of plates.

    Small is what vanishes under a morphological opening by a disc of 9 % of the film's shorter side; bright, what
    loses a quarter of the grey scale by it. There the opened film is shown. Nothing is read: a marker that lies on the
    lungs, is dark, or is larger stays.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    fields : LungFields

    Returns
    -------
    ndarray of float32, (H, W)
    """
    scale = min(1.0, _WORKING_SIDE / min(pixels.shape))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc(_MARKER_SIZE * min(small.shape)))
    lifted = (small - opened > _MARKER_LIFT).astype(np.uint8)
    halo = cv2.dilate(lifted, disc(2 * _MARKER_HALO * min(small.shape)))
    full = (pixels.shape[1], pixels.shape[0])
    where = cv2.resize(halo, full, interpolation=cv2.INTER_NEAREST).astype(bool) & ~lung_cover(fields)
    under = np.asarray(cv2.resize(opened, full, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(np.where(where, np.minimum(under, pixels), pixels), dtype=np.float32)


CHANGES: dict[str, Callable[[Array, LungFields], Array]] = {
    "lungs_black": lungs_black,
    "border_only": border_only,
    "markers_removed": markers_removed,
}
"""Changes by name; each takes the pixels and the lung fields of the unchanged film."""

LUNGLESS = ("lungs_black", "border_only")
"""Changes after which nothing of the disease is left."""


def outside(fields: LungFields, side: int) -> NDArray[np.bool_]:
    """Give the part of a film at `side` x `side` pixels that lies outside `lung_cover`."""
    cover = cv2.resize(lung_cover(fields).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cover < _HALF, dtype=np.bool_)
