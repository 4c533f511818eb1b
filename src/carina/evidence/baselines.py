"""Boxes that anyone could draw without looking at the disease: what a detector has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.imaging.lung_fields import LEFT, RIGHT, LungFields

__all__ = ["average_boxes", "lung_centre_boxes", "lung_centres"]

Floats = NDArray[np.float64]
_HALF = 0.5


def average_boxes(
    boxes: Sequence[Any], shapes: Sequence[tuple[int, int]], patients: Sequence[str]
) -> list[tuple[Floats, Floats]]:
    """Average box of each half of the film, learned from the other patients' films.

    One average over both halves would lie on the spine; a reader's boxes lie in one lung. So the boxes whose centre is
    in the film's left half and those in its right half are averaged apart.

    Parameters
    ----------
    boxes : sequence of array_like, (n, 4)
        True boxes of each film: x, y, width, height, film pixels.
    shapes : sequence of tuple of int
        Rows and columns of each film.
    patients : sequence of str
        A film's own patient never takes part in its average.

    Returns
    -------
    list of tuple
        For each film boxes ``(m, 4)`` in film pixels, m at most 2, and scores ``(m,)``: the share of the other
        patients' boxes in that half.

    Examples
    --------
    >>> found = average_boxes([[[0, 0, 2, 2]], [[1, 1, 2, 2]]], [(8, 8), (8, 8)], ["a", "b"])
    >>> found[0][0].tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    relative = [
        np.asarray(one, dtype=np.float64).reshape(-1, 4) / (shape[1], shape[0], shape[1], shape[0])
        for one, shape in zip(boxes, shapes, strict=True)
    ]
    found = []
    for shape, patient in zip(shapes, patients, strict=True):
        others = [one for one, owner in zip(relative, patients, strict=True) if owner != patient]
        found.append(_averaged(np.concatenate([np.zeros((0, 4)), *others]), shape))
    return found


def lung_centre_boxes(
    centres: Sequence[Any],
    boxes: Sequence[Any],
    shapes: Sequence[tuple[int, int]],
    patients: Sequence[str],
) -> list[tuple[Floats, Floats]]:
    """One box at the centre of each lung, of the size that the other patients' boxes have on average.

    Parameters
    ----------
    centres : sequence of array_like, (m, 2)
        Of each film's lungs, as `lung_centres` gives them; a film without lungs gets no box.
    boxes, shapes, patients : sequences
        As in `average_boxes`.

    Returns
    -------
    list of tuple
        Boxes ``(m, 4)`` in film pixels and scores ``(m,)``, 1 for both lungs.
    """
    found = []
    for one, shape, patient in zip(centres, shapes, patients, strict=True):
        sizes = [
            np.asarray(boxes[other], dtype=np.float64).reshape(-1, 4)[:, 2:] / (shapes[other][1], shapes[other][0])
            for other in range(len(boxes))
            if patients[other] != patient
        ]
        known = np.concatenate([np.zeros((0, 2)), *sizes])
        middles = np.asarray(one, dtype=np.float64).reshape(-1, 2)[: None if len(known) else 0]
        size = known.mean(axis=0) * (shape[1], shape[0]) if len(known) else np.zeros(2)
        drawn = np.concatenate([middles - size / 2, np.broadcast_to(size, middles.shape)], axis=1)
        found.append((drawn, np.ones(len(middles))))
    return found


def lung_centres(fields: LungFields) -> Floats:
    """Centre of area of each lung.

    Returns
    -------
    ndarray of float64, (m, 2)
        x and y, film pixels; right lung first, a missing lung left out.
    """
    centres = []
    for side in (RIGHT, LEFT):
        rows, columns = np.nonzero(fields.mask == side)
        if rows.size:
            centres.append((columns.mean() + _HALF, rows.mean() + _HALF))
    return np.array(centres, dtype=np.float64).reshape(-1, 2)


def _averaged(relative: Floats, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    centre = relative[:, 0] + relative[:, 2] / 2
    halves = [relative[centre < _HALF], relative[centre >= _HALF]]
    known = [half for half in halves if len(half)]
    boxes = np.array([half.mean(axis=0) for half in known]).reshape(-1, 4)
    scores = np.array([len(half) / len(relative) for half in known])
    return boxes * (shape[1], shape[0], shape[1], shape[0]), scores
