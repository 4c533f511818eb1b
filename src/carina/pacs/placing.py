"""From the film as it was judged back to the film as it was sent.

The gate may have turned a film before it was judged. Results refer to the image in the PACS, so masks, maps and boxes
are turned back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from carina.types import Array, Quality

__all__ = ["corners_back", "righted", "turned_back", "turns_of"]

_TURNS: Final = {"rotated_90_clockwise": 1, "rotated_180": 2, "rotated_90_counterclockwise": 3}


def turns_of(quality: Quality | None) -> int:
    """Clockwise quarter turns that the gate made, 0 to 3."""
    corrected = () if quality is None else quality.corrected
    return sum(_TURNS.get(name, 0) for name in corrected) % 4


def righted(pixels: Array, corrected: Sequence[str]) -> Array:
    """Put a film right as the gate did, from the names of its corrections.

    Examples
    --------
    >>> righted(np.array([[0.0, 0.25]], np.float32), ("inverted", "rotated_90_clockwise")).tolist()
    [[1.0], [0.75]]
    """
    turns = sum(_TURNS.get(name, 0) for name in corrected)
    pixels = np.rot90(pixels, -turns)
    return np.ascontiguousarray(np.float32(1.0) - pixels if "inverted" in corrected else pixels)


def turned_back(picture: NDArray[Any], turns: int) -> NDArray[Any]:
    """Undo clockwise quarter turns of an array ``(H, W)``.

    Examples
    --------
    >>> turned_back(np.array([[3, 1], [4, 2]]), 1).tolist()
    [[1, 2], [3, 4]]
    """
    return np.ascontiguousarray(np.rot90(picture, turns))


def corners_back(box: dict[str, Any], turns: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Corners of a box on the film as it was sent, x and y, closed: (5, 2).

    Parameters
    ----------
    box : dict
        `x`, `y`, `width`, `height` in pixels of the film as judged.
    turns : int
        Clockwise quarter turns that the gate made.
    shape : tuple of int
        Rows and columns of the film as judged.

    Examples
    --------
    >>> corners_back({"x": 0, "y": 0, "width": 2, "height": 1}, 1, (10, 4))[0].tolist()
    [0.0, 4.0]
    """
    left, top = float(box["x"]), float(box["y"])
    right, bottom = left + float(box["width"]), top + float(box["height"])
    rows, columns = float(shape[0]), float(shape[1])
    points = []
    for point in ((left, top), (right, top), (right, bottom), (left, bottom), (left, top)):
        x, y = point
        width, height = columns, rows
        for _ in range(turns % 4):  # a quarter turn counter-clockwise: (x, y) of W x H goes to (y, W - x) of H x W
            x, y = y, width - x
            width, height = height, width
        points.append((min(max(x, 0.0), width), min(max(y, 0.0), height)))
    return np.array(points)
