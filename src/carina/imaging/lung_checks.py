"""When lung fields are not to be believed: limits with a sentence each, set beside real lungs (see docs/lungs.md)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.types import Bytes

__all__ = ["LIMITS", "check_fields", "measure_fields"]

_RIGHT, _LEFT = 1, 2

LIMITS: dict[str, tuple[float, float]] = {
    "area": (0.12, 0.85),
    "ratio": (0.55, 1.0),
    "height_ratio": (0.60, 1.0),
    "centre_x": (0.35, 0.66),
    "centre_y": (0.14, 0.70),
    "apart": (0.13, 0.68),
    "level": (0.0, 0.16),
    "border": (0.0, 0.24),
    "filled": (0.73, 1.0),
    "dropped": (0.0, 0.10),
    "unsure": (0.0, 0.60),
}
"""Least and largest believable value of each measure of `measure_fields`, of the share in fragments and of the unsure.

The range over the 109 outlined films of this project, widened on both sides by half of it (``area`` on a logarithmic
scale and at most 0.85; ends that cannot be passed stay). The share in fragments is a choice. Of the real films at most
one in a hundred of any source is less sure than its limit, of pictures without lungs most are.
"""

_SENTENCES = {
    "area": "the lung fields cover {0:.0%} of the film; {1:.0%} to {2:.0%} is believable",
    "ratio": "the smaller lung field has {0:.0%} of the larger one's area; at least {1:.0%} is believable",
    "height_ratio": "the shorter lung field has {0:.0%} of the taller one's height; at least {1:.0%} is believable",
    "centre_x": "the lung fields' middle lies at {0:.0%} of the film's width; {1:.0%} to {2:.0%} is believable",
    "centre_y": "the lung fields' middle lies at {0:.0%} of the film's height; {1:.0%} to {2:.0%} is believable",
    "apart": "the lung fields' centres lie {0:.0%} of the film's width apart; {1:.0%} to {2:.0%} is believable",
    "level": "one lung field lies {0:.0%} of the film's height above the other; at most {2:.0%} is believable",
    "border": "{0:.0%} of the lung fields' outline lies on the film's border; at most {2:.0%} is believable",
    "filled": "a lung field fills {0:.0%} of its convex hull; at least {1:.0%} is believable",
    "dropped": "{0:.0%} of what looks like lung lies in fragments apart; at most {2:.0%} is believable",
    "unsure": "the network is unsure of an area {0:.0%} as large as the lung fields; at most {2:.0%} is believable",
}


def measure_fields(mask: Bytes) -> dict[str, float]:
    """Measure two lung fields, all free of units.

    Parameters
    ----------
    mask : ndarray of uint8, (H, W)
        0 outside, 1 right, 2 left; both present.

    Returns
    -------
    dict of str to float
        ``area`` of both over the film's; ``ratio`` of the smaller area to the larger; ``height_ratio`` likewise;
        ``centre_x`` and ``centre_y``, mean of the two centres over the film's width and height; ``apart``, horizontal
        distance of the centres over the film's width, negative where the sides are swapped; ``level``, their vertical
        distance over its height; ``border``, share of the outline on the film's border; ``filled``, the smaller share
        of its convex hull that a lung fills.
    """
    rows, columns = mask.shape
    one, other = _measure_lung(mask == _RIGHT), _measure_lung(mask == _LEFT)
    outline = one["outline"] + other["outline"]
    return {
        "area": (one["area"] + other["area"]) / mask.size,
        "ratio": min(one["area"], other["area"]) / max(one["area"], other["area"]),
        "height_ratio": min(one["height"], other["height"]) / max(one["height"], other["height"]),
        "centre_x": (one["x"] + other["x"]) / 2 / columns,
        "centre_y": (one["y"] + other["y"]) / 2 / rows,
        "apart": (other["x"] - one["x"]) / columns,
        "level": abs(one["y"] - other["y"]) / rows,
        "border": (one["border"] + other["border"]) / max(outline, 1.0),
        "filled": min(one["filled"], other["filled"]),
    }


def _measure_lung(lung: NDArray[np.bool_]) -> dict[str, float]:
    bytes_ = lung.astype(np.uint8)
    moments = cv2.moments(bytes_, binaryImage=True)
    area = moments["m00"]
    outlines, _ = cv2.findContours(bytes_, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(outlines)
    hull = np.zeros_like(bytes_)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    x, y = points[:, 0, 0], points[:, 0, 1]
    on_border = (x == 0) | (y == 0) | (x == lung.shape[1] - 1) | (y == lung.shape[0] - 1)
    return {
        "area": area,
        "x": moments["m10"] / area + 0.5,
        "y": moments["m01"] / area + 0.5,
        "height": float(y.max() - y.min() + 1),
        "outline": float(len(points)),
        "border": float(np.count_nonzero(on_border)),
        "filled": area / float(np.count_nonzero(hull)),
    }


def check_fields(mask: Bytes, *, dropped: float = 0.0, unsure: float = 0.0) -> tuple[str, ...]:
    """Say what speaks against lung fields.

    Parameters
    ----------
    mask : ndarray of uint8, (H, W)
        0 outside, 1 right, 2 left.
    dropped : float
        Share, in [0, 1], of what looked like lung that is in neither field.
    unsure : float
        Area where a network gives lung a probability from 0.1 to 0.9, over the area where it gives more than 0.5.

    Returns
    -------
    tuple of str
        A sentence for each measure outside its limits; empty where all are within.

    Examples
    --------
    >>> check_fields(np.zeros((64, 64), np.uint8))
    ('no lung field was found',)
    """
    right, left = bool((mask == _RIGHT).any()), bool((mask == _LEFT).any())
    if not right and not left:
        return ("no lung field was found",)
    if not (right and left):
        return (f"only the patient's {'right' if right else 'left'} lung field was found",)
    measures = {**measure_fields(mask), "dropped": dropped, "unsure": unsure}
    return tuple(
        _SENTENCES[name].format(measures[name], low, high)
        for name, (low, high) in LIMITS.items()
        if not low <= measures[name] <= high
    )
