"""How far heart and mediastinum reach into the lung fields: an estimate, row by row of each lung."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from carina.types import Array, Bytes

__all__ = ["HEIGHTS", "PRIOR", "covered", "medial_shares"]

Mask: TypeAlias = NDArray[np.bool_]

HEIGHTS = 24
"""Heights of a lung, apex to base, at which the share is given."""
_SIDES = (1, 2)
_HALF = 0.5
_BASE, _LEFT_BEHIND = 0.7, 0.2
_REACH = 2  # rows of the median filter to each side


def _prior() -> Array:
    depth = (np.arange(HEIGHTS) + 0.5) / HEIGHTS
    ramp = np.clip((depth - 0.35) / 0.45, 0.0, 1.0)
    return np.asarray([0.08 + 0.12 * ramp, 0.12 + 0.43 * ramp], np.float32)


PRIOR = _prior()
"""Shares (2, HEIGHTS) of an average adult, right then left: a band that widens downwards, more on the left."""
_MOST = np.asarray(np.clip(PRIOR + 0.30, 0.0, 0.85), np.float32)


def medial_shares(mask: Bytes, aerated: Array) -> Array:
    """Measure the medial part of each lung that a network does not see as aerated.

    In each row the run from the lung's medial edge to the first aerated pixel counts; the median over neighbouring rows
    smooths it. Where a run reaches further than a heart can (an opaque lung has no visible heart border), the average
    adult's share stands in.

    Parameters
    ----------
    mask : ndarray of uint8, (h, w)
        0 outside, 1 right, 2 left.
    aerated : ndarray of float32, (h, w)
        Probability that a pixel is aerated lung beside heart and mediastinum.

    Returns
    -------
    ndarray of float32, (2, HEIGHTS)
        Right, left; shares of each row's lung, in [0, 1], apex to base.
    """
    shares = PRIOR.copy()
    for number, side in enumerate(_SIDES):
        lung = mask == side
        rows = np.flatnonzero(lung.any(axis=1))
        if not rows.size:
            continue
        lung, air = lung[rows], aerated[rows]
        if side == _SIDES[0]:
            lung, air = lung[:, ::-1], air[:, ::-1]
        start, width = lung.argmax(axis=1), lung.sum(axis=1)
        open_ = lung & (air >= _HALF)
        run = np.where(open_.any(axis=1), open_.argmax(axis=1) - start, width)
        row_share = _median(np.clip(run / width, 0.0, 1.0))
        at = (np.arange(HEIGHTS) + 0.5) / HEIGHTS * len(rows) - 0.5
        found = np.interp(at, np.arange(len(rows)), row_share)
        shares[number] = np.where(found > _MOST[number], PRIOR[number], found)
    return shares


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(values, _REACH, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1)
    return np.asarray(np.median(windows, axis=1), np.float64)


def _beside_diaphragm(towards: Mask) -> Mask:
    """Rows at the base whose medial edge is the diaphragm: a fifth of the lung's width off the edge above."""
    start = towards.argmax(axis=1)
    low = round(_BASE * len(start))
    edge = start[min(low, len(start) - 1)]
    far = start > edge + _LEFT_BEHIND * int(towards.sum(axis=1).max())
    return np.asarray(far & (np.arange(len(start)) >= low), np.bool_)


def covered(mask: Bytes, shares: Array) -> Mask:
    """Pixels within the medial share of each row of each lung.

    Parameters
    ----------
    mask : ndarray of uint8, (H, W)
        0 outside, 1 right, 2 left.
    shares : ndarray of float32, (2, HEIGHTS)
        As `medial_shares` gives them.

    Returns
    -------
    ndarray of bool, (H, W)
    """
    result = np.zeros(mask.shape, np.bool_)
    for number, side in enumerate(_SIDES):
        lung = mask == side
        rows = np.flatnonzero(lung.any(axis=1))
        if not rows.size:
            continue
        top, height = int(rows[0]), int(rows[-1] - rows[0]) + 1
        at = (np.arange(height) + 0.5) / height * HEIGHTS - 0.5
        share = np.interp(at, np.arange(HEIGHTS), shares[number])
        part = lung[top : top + height]
        towards = part[:, ::-1] if side == _SIDES[0] else part
        share = np.where(_beside_diaphragm(towards), 0.0, share)
        place = np.cumsum(towards, axis=1) <= np.rint(share * towards.sum(axis=1))[:, None]
        medial = towards & place
        result[top : top + height] |= medial[:, ::-1] if side == _SIDES[0] else medial
    return result
