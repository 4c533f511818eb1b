"""Which part of a film the network sees, and the way back to the film's own pixels.

Coordinates are continuous, in pixels: a pixel's area runs from its index to its index + 1, so that the film spans
0 to W and 0 to H and the network's input 0 to S.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.imaging.lung_fields import LungFields
from carina.types import Array

__all__ = ["LUNG_MARGIN", "Frame", "frame_film"]

LUNG_MARGIN = 0.08
"""Margin around both lungs, as a share of their box's width and height, on each side."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Region of a film that fills the network's square input, each axis by its own scale.

    Attributes
    ----------
    left, top : int
        Of the region, film pixels.
    width, height : int
        Of the region, film pixels, at least 1.
    rows, columns : int
        Of the film.
    size : int
        Side of the network's input, pixels.

    Examples
    --------
    >>> frame = Frame(left=10, top=20, width=100, height=200, rows=300, columns=200, size=50)
    >>> frame.to_network([[10.0, 20.0], [110.0, 220.0]]).tolist()
    [[0.0, 0.0], [50.0, 50.0]]
    >>> frame.to_film([[25.0, 25.0]]).tolist()
    [[60.0, 120.0]]
    """

    left: int
    top: int
    width: int
    height: int
    rows: int
    columns: int
    size: int

    @property
    def whole(self) -> bool:
        """Whether the region is the whole film."""
        return (self.left, self.top, self.width, self.height) == (0, 0, self.columns, self.rows)

    def to_film(self, points: Any) -> NDArray[np.float64]:
        """Network pixels to film pixels; points ``(..., 2)`` as x, y."""
        scale = np.array([self.width, self.height], dtype=np.float64) / self.size
        moved: NDArray[np.float64] = np.asarray(points, dtype=np.float64) * scale + (self.left, self.top)
        return moved

    def to_network(self, points: Any) -> NDArray[np.float64]:
        """Film pixels to network pixels; points ``(..., 2)`` as x, y."""
        scale = self.size / np.array([self.width, self.height], dtype=np.float64)
        moved: NDArray[np.float64] = (np.asarray(points, dtype=np.float64) - (self.left, self.top)) * scale
        return moved

    def crop(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Cut the region out of a picture at the film's size, ``(H, W)`` to ``(height, width)``."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]

    def lay_out(self, heat: Array) -> Array:
        """Bring a map of the network's field of view to the film's size, zero outside the region.

        The corners of the two grids coincide, not the centres of their corner cells.

        Parameters
        ----------
        heat : ndarray of float32, (h, w)
            Any grid that spans the network's input.

        Returns
        -------
        ndarray of float32, (H, W)
            Bilinear within the region, within the range of `heat`.
        """
        inner = cv2.resize(heat, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        if self.whole:
            return np.asarray(inner, dtype=np.float32)
        laid = np.zeros((self.rows, self.columns), np.float32)
        laid[self.top : self.top + self.height, self.left : self.left + self.width] = inner
        return laid


def frame_film(shape: tuple[int, int], size: int, fields: LungFields | None = None) -> Frame:
    """Frame the lungs, or the whole film where no plausible lungs are given.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the film.
    size : int
        Side of the network's input, pixels.
    fields : LungFields or None
        With them the region is their common box and `LUNG_MARGIN` around it, cut at the film's edges; an implausible
        field frames nothing.

    Returns
    -------
    Frame
    """
    rows, columns = shape
    box = fields.box if fields is not None and fields.plausible else None
    if box is None:
        return Frame(0, 0, columns, rows, rows=rows, columns=columns, size=size)
    x, y, width, height = box
    left, top = max(0, round(x - LUNG_MARGIN * width)), max(0, round(y - LUNG_MARGIN * height))
    right = min(columns, round(x + (1 + LUNG_MARGIN) * width))
    bottom = min(rows, round(y + (1 + LUNG_MARGIN) * height))
    return Frame(left, top, right - left, bottom - top, rows=rows, columns=columns, size=size)
