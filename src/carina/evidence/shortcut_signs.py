"""What a film tells of where it was taken, without its lungs (M36): a few dozen numbers each, no network."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.evidence.shortcut_changes import outside
from carina.imaging.lung_fields import LungFields
from carina.types import Array

__all__ = ["SIGNS", "film_signs"]

SIGNS = {
    "border": "the outer tenth of the film",
    "corners": "the four corners",
    "greys": "the grey values and the sharpness outside the lungs",
}
"""Signs by name, with what they are read from; the lungs take part in none."""

_SIDE = 128
_DEPTHS = (0.04, 0.10)
_CORNER = 0.2
_QUANTILES = np.linspace(0.05, 0.95, 13)
_WHITE = 0.9
_FEW = 8


def film_signs(pixels: Array, fields: LungFields | None) -> dict[str, NDArray[np.float64]]:
    """Measure the signs of a film.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    fields : LungFields or None
        Its lungs, which are left out; without plausible ones nothing is measured.

    Returns
    -------
    dict of str to ndarray of float64, (F,)
        By name, as in `SIGNS`; empty without lungs.
    """
    if fields is None or not fields.plausible:
        return {}
    small = np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
    free = outside(fields, _SIDE)
    return {
        "border": np.concatenate([_strip(small, free, depth) for depth in _DEPTHS]),
        "corners": _corners(small, free),
        "greys": _greys(small, free),
    }


def _strip(small: Array, free: NDArray[np.bool_], depth: float) -> NDArray[np.float64]:
    edge = max(1, round(depth * _SIDE))
    parts = (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:])
    return np.concatenate([_values(small[part][free[part]])[:2] for part in parts])


def _corners(small: Array, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    edge = round(_CORNER * _SIDE)
    ends = (slice(None, edge), slice(-edge, None))
    found = [_values(small[rows, columns][free[rows, columns]]) for rows in ends for columns in ends]
    # A marker lies on either side: the corners of the upper and the lower edge also together.
    upper, lower = np.maximum(found[0], found[1]), np.maximum(found[2], found[3])
    return np.concatenate([*found, upper, lower])


def _values(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean, deviation, largest value and share of white."""
    if grey.size < _FEW:
        return np.zeros(4)
    return np.array([grey.mean(), grey.std(), grey.max(), (grey > _WHITE).mean()], dtype=np.float64)


def _greys(small: Array, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    edges = cv2.Laplacian(small, cv2.CV_32F)
    inner = cv2.erode(free.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    sharp = edges[inner] if inner.sum() >= _FEW else edges.ravel()
    tone = np.quantile(small[free] if free.sum() >= _FEW else small, _QUANTILES)
    fine = np.log(np.quantile(np.abs(sharp), (0.25, 0.5, 0.75, 0.95)) + 1e-4)
    return np.concatenate([tone, fine]).astype(np.float64)
