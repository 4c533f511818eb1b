"""Found boxes against known ones, to choose the score threshold on made opacities (M21).

For real films `carina.evidence` judges; here only what a training needs to set its threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from carina.inference.boxes import INSIDE, MOST_BOXES, NMS_IOU, overlaps, suppress

__all__ = ["BoxFigures", "judge_boxes", "matched"]

_MATCH = 0.5
_LEAST_SCORE = 0.02


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """Boxes at the threshold of the largest F1.

    Attributes
    ----------
    threshold : float
        Score.
    f1, precision, recall : float
        At IoU 0.5, at the threshold.
    false_boxes : float
        False boxes a film without an opacity, at the threshold.
    dice : float
        Of the opacity map against the known extent, over all pixels of all films.
    films : int
    boxes : int
        Known ones.
    """

    threshold: float
    f1: float
    precision: float
    recall: float
    false_boxes: float
    dice: float
    films: int
    boxes: int

    def to_dict(self) -> dict[str, float]:
        """As JSON, rounded to four decimals."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def matched(boxes: NDArray[np.floating], wanted: NDArray[np.floating], iou: float = _MATCH) -> NDArray[np.bool_]:
    """Tell which found boxes, strongest first, hit a known box that no stronger one has hit.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        Strongest first.
    wanted : ndarray, (M, 4)
    iou : float
        Least overlap of a hit.

    Returns
    -------
    ndarray of bool, (N,)
    """
    shared = overlaps(boxes, wanted)
    hits = np.zeros(len(boxes), np.bool_)
    for row in range(len(boxes)):
        if shared.shape[1] and shared[row].max() >= iou:
            hits[row] = True
            shared[:, int(shared[row].argmax())] = -1.0
    return hits


def judge_boxes(
    found: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]],
    wanted: Sequence[NDArray[np.floating]],
    *,
    dice: float = 0.0,
) -> BoxFigures:
    """Find the threshold of the largest F1, and what the boxes are worth there.

    Parameters
    ----------
    found : sequence of (boxes (N, 4), scores (N,))
        Of each film, before suppression.
    wanted : sequence of ndarray, (M, 4)
        Known boxes of each film.
    dice : float
        Handed on.

    Returns
    -------
    BoxFigures
        With threshold 1 where no box was found or none is known.
    """
    scores: list[float] = []
    hits: list[bool] = []
    empty: list[bool] = []
    for (boxes, strengths), known in zip(found, wanted, strict=True):
        chosen = np.flatnonzero(strengths >= _LEAST_SCORE)
        kept = chosen[suppress(boxes[chosen], strengths[chosen], NMS_IOU, INSIDE)][:MOST_BOXES]
        scores += strengths[kept].tolist()
        hits += matched(boxes[kept], known).tolist()
        empty += [len(known) == 0] * len(kept)
    total = sum(len(known) for known in wanted)
    none = BoxFigures(1.0, 0.0, 0.0, 0.0, 0.0, dice, len(wanted), total)
    if not any(hits):
        return none
    order = np.argsort(-np.asarray(scores), kind="stable")
    right = np.cumsum(np.asarray(hits)[order])
    shown = np.arange(1, len(order) + 1)
    f1 = 2 * right / (shown + total)
    best = int(f1.argmax())
    threshold = float(np.asarray(scores)[order[best]])
    without = sum(len(known) == 0 for known in wanted)
    false = sum(score >= threshold and blank for score, blank in zip(scores, empty, strict=True))
    return BoxFigures(
        threshold=round(threshold - 5e-5, 4),
        f1=float(f1[best]),
        precision=float(right[best] / shown[best]),
        recall=float(right[best] / total),
        false_boxes=false / without if without else 0.0,
        dice=dice,
        films=len(wanted),
        boxes=total,
    )
