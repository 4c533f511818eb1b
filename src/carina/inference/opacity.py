"""From the score map to opacity on the film, and how much of each lung zone is opaque (M22)."""

from __future__ import annotations

import numpy as np

from carina.errors import InputError
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import ZONES, LungFields, heart, zones
from carina.types import Array

__all__ = ["OPAQUE", "opacity_on_film", "opaque_shares"]

OPAQUE = 0.5
"""Opacity from which a pixel counts as opaque: half way up the edge of what was made to learn from."""


def opacity_on_film(opacity: Array, frame: Frame) -> Array:
    """Bring the network's opacity map to the film's size.

    Parameters
    ----------
    opacity : ndarray of float32, (s, s)
        In [0, 1]; spans the network's input.
    frame : Frame
        Which part of the film the network saw.

    Returns
    -------
    ndarray of float32, (H, W)
        In [0, 1]; 0 where the network did not look.

    Raises
    ------
    InputError
        If the map is not a finite square in [0, 1].
    """
    if opacity.ndim != 2 or opacity.shape[0] != opacity.shape[1] or not opacity.size:  # noqa: PLR2004 -- rows, columns
        raise InputError(f"an opacity map is a square; found shape {opacity.shape}")
    if not (np.isfinite(opacity).all() and opacity.min() >= 0.0 and opacity.max() <= 1.0):
        raise InputError(f"an opacity map lies in [0, 1]; found {float(opacity.min())!r} to {float(opacity.max())!r}")
    return np.asarray(np.clip(frame.lay_out(opacity), 0.0, 1.0), np.float32)


def opaque_shares(opacity: Array, fields: LungFields, *, without_heart: bool = True) -> dict[str, float | None]:
    """Share of each lung zone, and of both lungs, that is opaque.

    Parameters
    ----------
    opacity : ndarray of float32, (H, W)
        At the film's size.
    fields : LungFields
        Of the film.
    without_heart : bool
        Leave out the estimated heart, which lies in the fields and is no parenchyma; see `lung_fields.heart`.

    Returns
    -------
    dict of str to float or None
        ``"lungs"`` and each of `ZONES`; share of the zone's pixels with an opacity of `OPAQUE` or more, in [0, 1];
        `None` for a zone without pixels.

    Raises
    ------
    InputError
        If the map has another size than the film.

    Examples
    --------
    >>> mask = np.zeros((6, 4), np.uint8)
    >>> mask[:, 1] = 1
    >>> heat = np.zeros((6, 4), np.float32)
    >>> heat[:2] = 0.9
    >>> shares = opaque_shares(heat, LungFields(mask), without_heart=False)
    >>> shares["right_upper"], shares["right_lower"], shares["left_upper"], round(shares["lungs"], 2)
    (1.0, 0.0, None, 0.33)
    """
    if opacity.shape != fields.mask.shape:
        raise InputError(f"opacity map and lung fields must have one size; found {opacity.shape}, {fields.mask.shape}")
    numbers = zones(fields)
    if without_heart:
        numbers = np.where(heart(fields), np.uint8(0), numbers)
    counted = np.bincount(numbers.ravel(), minlength=len(ZONES) + 1)[1:]
    opaque = np.bincount(numbers[opacity >= OPAQUE].ravel(), minlength=len(ZONES) + 1)[1:]
    shares: dict[str, float | None] = {
        name: float(one / whole) if whole else None for name, one, whole in zip(ZONES, opaque, counted, strict=True)
    }
    total = int(counted.sum())
    return {"lungs": float(opaque.sum() / total) if total else None, **shares}
