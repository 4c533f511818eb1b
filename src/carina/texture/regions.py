"""A region of a picture, checked before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError

__all__ = ["Mask", "Region", "checked_picture", "region_of"]

Mask: TypeAlias = NDArray[np.bool_]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A mask cut to its box.

    Attributes
    ----------
    mask : ndarray of bool, (h, w)
    rows, columns : slice
        Where the box lies in the picture.
    """

    mask: Mask
    rows: slice
    columns: slice

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Cut a picture (H, W) to the box (h, w)."""
        return np.ascontiguousarray(picture[self.rows, self.columns])


def checked_picture(image: NDArray[Any]) -> _Floats:
    """Take a picture as float64.

    Raises
    ------
    TextureError
        If it is not rows and columns of numbers.
    """
    picture = np.asarray(image)
    if picture.ndim != 2 or not picture.size or picture.dtype.kind not in "fiub":  # noqa: PLR2004 - rows and columns
        raise TextureError(
            f"a picture must have rows and columns of one grey; found shape {picture.shape}, type {picture.dtype}"
        )
    return np.ascontiguousarray(picture, np.float64)


def region_of(picture: _Floats, mask: NDArray[Any]) -> Region:
    """Cut a mask to its box, once it is known to fit.

    Raises
    ------
    TextureError
        If the mask is not boolean, has another size than the picture, or holds fewer than two pixels.
    """
    inside = np.asarray(mask)
    if inside.dtype != np.bool_:
        raise TextureError(f"a mask must be boolean, True inside the region; found type {inside.dtype}")
    if inside.shape != picture.shape:
        raise TextureError(
            f"a mask must have its picture's size; found {inside.shape} for {picture.shape} (rows, columns)"
        )
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        raise TextureError("a region must hold pixels; the mask is empty")
    region = Region(
        np.ascontiguousarray(inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]),
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
    if rows.size * columns.size == 1:
        raise TextureError("a region must hold two pixels or more; the mask has one")
    return region
