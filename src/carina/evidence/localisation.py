"""How well boxes and maps find what a reader boxed: pure arithmetic on arrays.

Boxes are rows ``x, y, width, height`` in pixels, y down; a pixel's area runs from its index to its index + 1. Scaling
the axes of a film, each by its own factor, changes no intersection over union.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "Detections",
    "Overlap",
    "average_precision",
    "box_iou",
    "box_mask",
    "froc_sensitivity",
    "heat_boxes",
    "is_flat",
    "map_overlap",
    "match_boxes",
    "pointing_hit",
]

Floats = NDArray[np.float64]
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes found on a set of films.

    Attributes
    ----------
    films : ndarray of int, (N,)
        Index of each box's film.
    boxes : ndarray of float64, (N, 4)
        x, y, width, height, pixels.
    scores : ndarray of float64, (N,)
        Higher is surer.
    """

    films: NDArray[np.int64]
    boxes: Floats
    scores: Floats

    @classmethod
    def gather(cls, per_film: Sequence[tuple[Any, Any]]) -> Detections:
        """From boxes ``(n, 4)`` and scores ``(n,)`` of each film, in the films' order.

        Examples
        --------
        >>> Detections.gather([([[0, 0, 2, 2]], [0.5]), ([], [])]).films.tolist()
        [0]
        """
        films = [np.full(len(scores), film, np.int64) for film, (_, scores) in enumerate(per_film)]
        boxes = [np.asarray(one, dtype=np.float64).reshape(-1, 4) for one, _ in per_film]
        scores = [np.asarray(one, dtype=np.float64).reshape(-1) for _, one in per_film]
        empty = np.zeros(0)
        return cls(
            np.concatenate([empty.astype(np.int64), *films]),
            np.concatenate([np.zeros((0, 4)), *boxes]),
            np.concatenate([empty, *scores]),
        )


@dataclass(frozen=True, slots=True)
class Overlap:
    """A map against the boxes of its film.

    Attributes
    ----------
    iou : float
        Intersection over union of the region at or above the threshold and the union of the boxes, in [0, 1].
    inside : float
        Share of the map's mass inside the boxes, in [0, 1] (the energy-based pointing game).
    area : float
        Share of the film that the boxes cover: what a map without a notion would put inside.
    """

    iou: float
    inside: float
    area: float


def box_iou(first: Any, second: Any) -> Floats:
    """Intersection over union of every pair of boxes.

    Parameters
    ----------
    first : array_like, (N, 4)
    second : array_like, (M, 4)

    Returns
    -------
    ndarray of float64, (N, M)
        In [0, 1]; 0 for a pair without area.

    Examples
    --------
    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 2, 2], [5, 5, 1, 1]]).round(3).tolist()
    [[0.333, 0.0]]
    """
    one = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    two = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    low = np.maximum(one[..., :2], two[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], two[..., :2] + two[..., 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = one[..., 2:].prod(axis=-1) + two[..., 2:].prod(axis=-1) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def match_boxes(found: Detections, truths: Sequence[Any], least_iou: float) -> NDArray[np.bool_]:
    """Say which found boxes are right: each true box is found once.

    Within a film the boxes choose in the order of their scores, each the free true box it overlaps most, if by at
    least `least_iou` (COCO's rule). A second box on the same truth is false.

    Parameters
    ----------
    found : Detections
    truths : sequence of array_like, (n, 4)
        True boxes of each film.
    least_iou : float
        In (0, 1].

    Returns
    -------
    ndarray of bool, (N,)
    """
    hits = np.zeros(len(found.scores), np.bool_)
    for film, true in enumerate(truths):
        mine = np.flatnonzero(found.films == film)
        mine = mine[np.argsort(-found.scores[mine], kind="stable")]
        overlaps = box_iou(found.boxes[mine], true)
        for row, box in zip(overlaps, mine, strict=True):
            if row.size and row.max() >= least_iou:
                hits[box] = True
                overlaps[:, int(row.argmax())] = -1.0
    return hits


def average_precision(scores: Any, hits: Any, truths: float, weights: Floats | None = None) -> float | None:
    """Area under precision over recall, precision made monotone, all points.

    Boxes of equal score are admitted together, so that the order in a file changes nothing.

    Parameters
    ----------
    scores : array_like, (N,)
    hits : array_like of bool, (N,)
    truths : float
        True boxes in all, counted with the weights of their films.
    weights : ndarray, (N,), or None
        Of each found box's film, for resampling.

    Returns
    -------
    float or None
        In [0, 1]; `None` without a true box.

    References
    ----------
    M. Everingham et al., Int. J. Comput. Vis. 88 (2010) 303-338, doi:10.1007/s11263-009-0275-4; all points as of 2010.

    Examples
    --------
    >>> average_precision([0.9, 0.8, 0.7], [True, False, True], 2)
    0.8333333333333333
    """
    if truths <= 0:
        return None
    right, wrong = _admitted(scores, hits, weights)
    if not right.size:
        return 0.0
    recall = np.concatenate([[0.0], right / truths])
    precision = np.divide(right, right + wrong, out=np.zeros_like(right), where=right + wrong > 0)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * best).sum())


def froc_sensitivity(
    scores: Any, hits: Any, *, truths: float, films: float, at: Sequence[float], weights: Floats | None = None
) -> list[float | None]:
    """Share of the true boxes found where at most so many false boxes a film are allowed.

    Parameters
    ----------
    scores : array_like, (N,)
    hits : array_like of bool, (N,)
    truths, films : float
        True boxes and films in all, counted with their weights.
    at : sequence of float
        False boxes a film.
    weights : ndarray, (N,), or None
        Of each found box's film, for resampling.

    Returns
    -------
    list of float or None
        One for each of `at`, in [0, 1]: the highest sensitivity of a score threshold within it, not interpolated.
        `None` without a true box.

    References
    ----------
    P. C. Bunch et al., Proc. SPIE 127 (1977) 124-135, doi:10.1117/12.955926.

    Examples
    --------
    >>> froc_sensitivity([0.9, 0.8, 0.7], [True, False, True], truths=2, films=2, at=(0.25, 0.5))
    [0.5, 1.0]
    """
    if truths <= 0 or films <= 0:
        return [None] * len(at)
    right, wrong = _admitted(scores, hits, weights)
    reached: list[float | None] = []
    for most in at:
        within = right[wrong / films <= most + _FLAT]
        reached.append(float(within.max() / truths) if within.size else 0.0)
    return reached


def is_flat(heat: Any) -> bool:
    """Whether a map points nowhere: constant, or without mass."""
    values = np.asarray(heat, dtype=np.float64)
    return bool(values.max() - values.min() <= _FLAT * max(float(abs(values).max()), _FLAT))


def pointing_hit(heat: Any, boxes: Any, tolerance: float = 0.0) -> float | None:
    """Whether the map's maximum lies inside a true box.

    Parameters
    ----------
    heat : array_like, (H, W)
        Any scale; the maximum counts at its pixel's centre.
    boxes : array_like, (n, 4)
    tolerance : float
        How far outside a box still counts, pixels, along each axis.

    Returns
    -------
    float or None
        1 or 0; between them where several pixels share the maximum, their share inside. `None` for a flat map.

    References
    ----------
    J. Zhang et al., Int. J. Comput. Vis. 126 (2018) 1084-1102, doi:10.1007/s11263-017-1059-x.

    Examples
    --------
    >>> pointing_hit([[0, 0], [0, 1]], [[1, 1, 1, 1]])
    1.0
    """
    values = np.asarray(heat, dtype=np.float64)
    if is_flat(values):
        return None
    true = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    points = np.argwhere(values >= values.max())[:, None, ::-1] + 0.5
    inside = (points >= true[:, :2] - tolerance) & (points <= true[:, :2] + true[:, 2:] + tolerance)
    return float(inside.all(axis=-1).any(axis=-1).mean())


def map_overlap(heat: Any, boxes: Any, threshold: float = 0.5) -> Overlap | None:
    """Compare a map with true boxes.

    Parameters
    ----------
    heat : array_like, (H, W)
        At least 0.
    boxes : array_like, (n, 4)
    threshold : float
        Share of the map's maximum from which a pixel belongs to its region, in (0, 1].

    Returns
    -------
    Overlap or None
        `None` for a flat map.

    References
    ----------
    Share of mass inside: H. Wang et al. 2020, the energy-based pointing game, doi:10.1109/CVPRW50498.2020.00020.
    """
    values = np.asarray(heat, dtype=np.float64)
    if is_flat(values):
        return None
    true = box_mask(boxes, (values.shape[0], values.shape[1]))
    region = values >= threshold * values.max()
    union = (region | true).sum()
    return Overlap(
        iou=float((region & true).sum() / union) if union else 0.0,
        inside=float(values[true].sum() / values.sum()),
        area=float(true.mean()),
    )


def box_mask(boxes: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a box.

    Parameters
    ----------
    boxes : array_like, (n, 4)
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of bool, (H, W)
    """
    mask = np.zeros(shape, np.bool_)
    rows, columns = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    for x, y, width, height in np.asarray(boxes, dtype=np.float64).reshape(-1, 4):
        mask |= ((rows >= y) & (rows < y + height))[:, None] & ((columns >= x) & (columns < x + width))[None]
    return mask


def heat_boxes(heat: Any, threshold: float = 0.5) -> tuple[Floats, Floats]:
    """Boxes around the connected regions of a map.

    Parameters
    ----------
    heat : array_like, (H, W)
        At least 0.
    threshold : float
        Share of the maximum from which a pixel belongs to a region, in (0, 1].

    Returns
    -------
    boxes : ndarray of float64, (n, 4)
        Pixels; none for a flat map.
    scores : ndarray of float64, (n,)
        Each region's highest value as a share of the map's, in (0, 1].
    """
    values = np.asarray(heat, dtype=np.float64)
    if is_flat(values):
        return np.zeros((0, 4)), np.zeros(0)
    top = float(values.max())
    regions, count = ndimage.label(values >= threshold * top)
    found = ndimage.find_objects(regions)
    boxes = [[one[1].start, one[0].start, one[1].stop - one[1].start, one[0].stop - one[0].start] for one in found]
    peaks = ndimage.maximum(values, regions, range(1, count + 1))
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.asarray(peaks, dtype=np.float64) / top


def _admitted(scores: Any, hits: Any, weights: Floats | None) -> tuple[Floats, Floats]:
    """Right and wrong boxes admitted as the threshold falls past each distinct score."""
    values, right = np.asarray(scores, dtype=np.float64), np.asarray(hits, dtype=np.bool_)
    order = np.argsort(-values, kind="stable")
    weight = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    ranked, weight, right = values[order], weight[order], right[order]
    ends = np.flatnonzero(np.concatenate([np.diff(ranked) != 0, [True]])) if ranked.size else np.zeros(0, np.int64)
    return np.cumsum(weight * right)[ends], np.cumsum(weight * ~right)[ends]
