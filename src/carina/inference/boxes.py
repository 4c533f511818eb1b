"""From the box branch's raw cells to boxes on the film (M21).

The network gives a score and a box for every cell; here the weak are dropped, overlapping ones suppressed, and what is
left is brought to the film's own pixels and written as COCO writes boxes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import InputError
from carina.imaging.framing import Frame

__all__ = [
    "CATEGORY",
    "MOST_BOXES",
    "NMS_IOU",
    "Box",
    "BoxRules",
    "coco_json",
    "flip_boxes",
    "overlaps",
    "select_boxes",
    "suppress",
]

NMS_IOU = 0.5
"""Overlap (intersection over union) from which the weaker of two boxes goes."""

MOST_BOXES = 20
"""Boxes a film at most."""

CATEGORY = {"id": 1, "name": "opacity"}
"""The one COCO category."""

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

    def to_dict(self) -> dict[str, Any]:
        """As COCO has it: ``bbox``, ``score`` and ``category_id``."""
        return {
            "bbox": [self.x, self.y, self.width, self.height],
            "score": self.score,
            "category_id": CATEGORY["id"],
        }


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
    """

    score: float
    iou: float = NMS_IOU
    most: int = MOST_BOXES

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


def suppress(boxes: _Floats, scores: _Floats, iou: float = NMS_IOU) -> NDArray[np.intp]:
    """Non-maximum suppression: the strongest box stays, what overlaps it by more than `iou` goes, and so on.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        x0, y0, x1, y1.
    scores : ndarray, (N,)
    iou : float

    Returns
    -------
    ndarray of int
        Rows that stay, strongest first; of equal scores the earlier row first.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    shared = overlaps(np.asarray(boxes)[order], np.asarray(boxes)[order])
    alive = np.ones(len(order), np.bool_)
    kept: list[int] = []
    for place in range(len(order)):
        if alive[place]:
            kept.append(place)
            alive &= shared[place] <= iou
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
    chosen = chosen[suppress(corners[chosen], strengths[chosen], rules.iou)][: rules.most]
    on_film = frame.to_film(corners[chosen].reshape(-1, 2, 2)).reshape(-1, 4)
    on_film = np.clip(on_film, 0.0, [frame.columns, frame.rows, frame.columns, frame.rows])
    return tuple(
        Box(float(x0), float(y0), float(x1 - x0), float(y1 - y0), float(strengths[row]))
        for row, (x0, y0, x1, y1) in zip(chosen, on_film, strict=True)
        if x1 > x0 and y1 > y0
    )


def flip_boxes(boxes: Sequence[Box], columns: int) -> tuple[Box, ...]:
    """Boxes of the film mirrored left to right.

    Parameters
    ----------
    boxes : sequence of Box
    columns : int
        Width of the film, pixels.
    """
    return tuple(Box(columns - box.x - box.width, box.y, box.width, box.height, box.score) for box in boxes)


def coco_json(films: Iterable[tuple[str, int, int, Sequence[Box]]]) -> str:
    """Boxes of many films as one COCO file.

    Parameters
    ----------
    films : iterable of (file name, rows, columns, boxes)

    Returns
    -------
    str
        JSON with ``images``, ``annotations`` (with ``score``, as COCO's results have it) and ``categories``.

    References
    ----------
    Lin 2014, doi:10.1007/978-3-319-10602-1_48; cocodataset.org, data format.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, rows, columns, boxes) in enumerate(films, start=1):
        images.append({"id": number, "file_name": name, "width": columns, "height": rows})
        for box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    **box.to_dict(),
                    "area": box.width * box.height,
                    "iscrowd": 0,
                }
            )
    return json.dumps({"images": images, "annotations": annotations, "categories": [CATEGORY]}, allow_nan=False)
