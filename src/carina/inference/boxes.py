"""From the box branch's raw cells to boxes on the film (M21).

The network gives a score and a box for every cell; here the weak are dropped, overlapping ones suppressed, and what is
left is brought to the film's own pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import InputError
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import LungFields

__all__ = [
    "INSIDE",
    "IN_LUNGS",
    "MOST_BOXES",
    "NMS_IOU",
    "Box",
    "BoxRules",
    "boxes_in_lungs",
    "flip_boxes",
    "overlaps",
    "select_boxes",
    "suppress",
]

NMS_IOU = 0.5
"""Overlap (intersection over union) from which the weaker of two boxes goes."""

INSIDE = 0.8
"""Share of the smaller of two boxes within the other from which the weaker goes: a box within a box is one finding."""

IN_LUNGS = 0.25
"""Share of a box that must lie within the lung fields, where these are known."""

MOST_BOXES = 20
"""Boxes a film at most."""

_SMALLEST = 1.0
_Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Box:
    """A found box, in pixels of the film, which span 0 to W and 0 to H.

    Attributes
    ----------
    x, y : float
        Upper left corner.
    width, height : float
        Above 0.
    score : float
        In [0, 1].
    """

    x: float
    y: float
    width: float
    height: float
    score: float

    def __post_init__(self) -> None:
        """Refuse what is no box."""
        values = (self.x, self.y, self.width, self.height, self.score)
        if not np.isfinite(values).all() or self.width <= 0 or self.height <= 0:
            raise InputError(f"a box is x, y, width and height above 0, and a score, all finite; found {values!r}")


@dataclass(frozen=True, slots=True)
class BoxRules:
    """Which boxes are shown.

    Attributes
    ----------
    score : float
        Least score shown, in [0, 1].
    iou : float
        Overlap from which the weaker of two goes, in (0, 1].
    most : int
        Boxes a film at most.
    inside : float
        Share of the smaller of two boxes within the other from which the weaker goes, in (0, 1]; 1 turns it off.
    """

    score: float
    iou: float = NMS_IOU
    most: int = MOST_BOXES
    inside: float = INSIDE

    @classmethod
    def of_description(cls, description: Mapping[str, Any]) -> BoxRules | None:
        """Rules that a bundle's ``bundle.json`` states under ``branches``; `None` where it has no branches."""
        stated = description.get("branches")
        if not isinstance(stated, Mapping) or "score_threshold" not in stated:
            return None
        return cls(
            float(stated["score_threshold"]),
            float(stated.get("nms_iou", NMS_IOU)),
            int(stated.get("most_boxes", MOST_BOXES)),
            float(stated.get("nms_inside", INSIDE)),
        )


def overlaps(one: _Floats, others: _Floats) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes.

    Parameters
    ----------
    one : ndarray, (N, 4)
        x0, y0, x1, y1.
    others : ndarray, (M, 4)

    Returns
    -------
    ndarray of float64, (N, M)
        In [0, 1]; 0 where both are empty.

    Examples
    --------
    >>> overlaps(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(3).tolist()
    [[0.333]]
    """
    first = np.asarray(one, np.float64).reshape(-1, 1, 4)
    second = np.asarray(others, np.float64).reshape(1, -1, 4)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.clip(high - low, 0.0, None).prod(-1)
    areas = [np.clip(box[..., 2:] - box[..., :2], 0.0, None).prod(-1) for box in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(union), where=union > 0))


def suppress(boxes: _Floats, scores: _Floats, iou: float = NMS_IOU, inside: float = 1.0) -> NDArray[np.intp]:
    """Non-maximum suppression: the strongest box stays, what overlaps it by more than `iou` goes, and so on.

    The pyramid's levels each see an opacity at their own scale, so that a small box within a large one overlaps it too
    little to go by `iou`; `inside` takes it away.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        x0, y0, x1, y1.
    scores : ndarray, (N,)
    iou : float
    inside : float
        A box goes too where more than this share of it, or of the stronger one, lies within the other; 1 turns it off.

    Returns
    -------
    ndarray of int
        Rows that stay, strongest first; of equal scores the earlier row first.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    sorted_ = np.asarray(boxes, np.float64)[order].reshape(-1, 4)
    shared = overlaps(sorted_, sorted_)
    area = np.clip(sorted_[:, 2:] - sorted_[:, :2], 0.0, None).prod(1)
    # intersection = IoU x union, and union = (one + other) / (1 + IoU)
    common = shared / (1.0 + shared) * (area[:, None] + area[None])
    within = common > inside * np.minimum(area[:, None], area[None]) if inside < 1 else np.zeros_like(shared, np.bool_)
    alive = np.ones(len(order), np.bool_)
    kept: list[int] = []
    for place in range(len(order)):
        if alive[place]:
            kept.append(place)
            alive &= (shared[place] <= iou) & ~within[place]
    return np.asarray(order[kept], np.intp)


def select_boxes(boxes: _Floats, scores: _Floats, frame: Frame, rules: BoxRules) -> tuple[Box, ...]:
    """Boxes of one film, in its own pixels.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        x0, y0, x1, y1 in pixels of the network's input, as the network gives them.
    scores : ndarray, (N,)
        In [0, 1].
    frame : Frame
        Which part of the film the network saw.
    rules : BoxRules

    Returns
    -------
    tuple of Box
        Strongest first; cut at the film's edges, and left out where less than a pixel of the network's input is left.

    Raises
    ------
    InputError
        If boxes and scores do not belong together.
    """
    corners, strengths = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 4 or strengths.shape != corners.shape[:1]:  # noqa: PLR2004 -- corners
        raise InputError(f"boxes (N, 4) need scores (N,); found {corners.shape} and {strengths.shape}")
    corners = np.clip(corners, 0.0, frame.size)
    whole = np.isfinite(corners).all(1) & ((corners[:, 2:] - corners[:, :2]).min(1, initial=np.inf) >= _SMALLEST)
    chosen = np.flatnonzero(whole & (strengths >= rules.score))
    chosen = chosen[suppress(corners[chosen], strengths[chosen], rules.iou, rules.inside)][: rules.most]
    on_film = frame.to_film(corners[chosen].reshape(-1, 2, 2)).reshape(-1, 4)
    on_film = np.clip(on_film, 0.0, [frame.columns, frame.rows, frame.columns, frame.rows])
    return tuple(
        Box(float(x0), float(y0), float(x1 - x0), float(y1 - y0), float(strengths[row]))
        for row, (x0, y0, x1, y1) in zip(chosen, on_film, strict=True)
        if x1 > x0 and y1 > y0
    )


def boxes_in_lungs(boxes: Sequence[Box], fields: LungFields) -> tuple[Box, ...]:
    """Leave out boxes that lie mostly outside the lungs: stomach gas, an arm, a plate on the chest.

    Parameters
    ----------
    boxes : sequence of Box
        In pixels of the film.
    fields : LungFields
        Of the film; heart and mediastinal border included, so that an opacity behind the heart stays. Implausible
        fields leave every box in.

    Returns
    -------
    tuple of Box
        Those of which at least `IN_LUNGS` lies within the fields.

    Examples
    --------
    >>> mask = np.zeros((40, 40), np.uint8)
    >>> mask[:, :10] = 1
    >>> boxes_in_lungs([Box(0, 0, 20, 20, 0.9), Box(20, 0, 20, 20, 0.8)], LungFields(mask))
    (Box(x=0, y=0, width=20, height=20, score=0.9),)
    """
    if not fields.plausible:
        return tuple(boxes)
    inside = fields.mask > 0
    return tuple(box for box in boxes if _pixels(inside, box).mean() >= IN_LUNGS)


def _pixels(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Pixels of a mask that a box touches, at least one."""
    top, left = min(int(box.y), mask.shape[0] - 1), min(int(box.x), mask.shape[1] - 1)
    bottom, right = max(top + 1, int(np.ceil(box.y + box.height))), max(left + 1, int(np.ceil(box.x + box.width)))
    return mask[top:bottom, left:right]


def flip_boxes(boxes: Sequence[Box], columns: int) -> tuple[Box, ...]:
    """Boxes of the film mirrored left to right.

    Parameters
    ----------
    boxes : sequence of Box
    columns : int
        Width of the film, pixels.
    """
    return tuple(Box(columns - box.x - box.width, box.y, box.width, box.height, box.score) for box in boxes)
