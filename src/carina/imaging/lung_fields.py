"""Lung fields: where the lungs lie on a film, by side and zone, and when such an answer is not to be believed (M22).

A *field* here is what the reference masks outline: each lung's outline as if the heart were not in front of it, so it
holds the heart and the mediastinal border. It is not parenchyma; `heart` estimates the part that is not.
Right and left are the patient's: the right lung lies on the left side of a PA or AP film.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from carina.errors import InputError
from carina.imaging.lung_checks import check_fields
from carina.imaging.lung_medial import PRIOR, covered
from carina.types import Array, Bytes

__all__ = [
    "LEFT",
    "RIGHT",
    "ZONES",
    "LungFields",
    "decode_mask",
    "encode_mask",
    "flipped",
    "from_mask",
    "heart",
    "separated",
    "zones",
]

Mask: TypeAlias = NDArray[np.bool_]

RIGHT, LEFT = 1, 2
ZONES = ("right_upper", "right_middle", "right_lower", "left_upper", "left_middle", "left_lower")
"""Names of the values 1 to 6 of `zones`."""
_PALETTE = (0, 0, 0, 230, 159, 0, 86, 180, 233)  # black, orange, sky blue: told apart by colour-blind eyes (Okabe, Ito)
_CUT_SIDE = 96
_THROUGH = 0.35
_SPECK = 0.05
_LARGEST_MASK = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LungFields:
    """The lung fields of one film.

    Attributes
    ----------
    mask : ndarray of uint8, (H, W)
        In the film's pixels: 0 outside, 1 the patient's right lung, 2 the left. Heart and mediastinal border included.
    flags : tuple of str
        One sentence for each reason not to believe the fields; empty where they are plausible.
    medial : ndarray of float32, (2, 24), or None
        The network's estimate of how far heart and mediastinum reach into the fields, where one was made: shares of
        each row's lung from its medial edge, right then left, at 24 heights from apex to base; see `heart`.

    Examples
    --------
    >>> mask = np.zeros((64, 64), np.uint8)
    >>> mask[12:52, 8:28], mask[12:52, 36:56] = 1, 2
    >>> fields = LungFields(mask, check_fields(mask))
    >>> fields.plausible, fields.box
    (True, (8, 12, 48, 40))
    """

    mask: Bytes
    flags: tuple[str, ...] = ()
    medial: Array | None = field(default=None, repr=False)

    @property
    def plausible(self) -> bool:
        """Whether nothing speaks against the fields."""
        return not self.flags

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Box of both lungs: x and y of its upper left pixel, width and height, pixels; `None` without a field."""
        x, y, width, height = cv2.boundingRect((self.mask > 0).astype(np.uint8))
        return (int(x), int(y), int(width), int(height)) if width else None


def zones(fields: LungFields) -> Bytes:
    """Divide each lung into thirds of its own height.

    Parameters
    ----------
    fields : LungFields

    Returns
    -------
    ndarray of uint8, (H, W)
        0 outside, 1 to 6 after `ZONES`.

    Examples
    --------
    >>> mask = np.zeros((9, 4), np.uint8)
    >>> mask[:, 1] = RIGHT
    >>> zones(LungFields(mask))[:, 1].tolist()
    [1, 1, 1, 2, 2, 2, 3, 3, 3]
    """
    result = np.zeros(fields.mask.shape, np.uint8)
    for side in (RIGHT, LEFT):
        lung = fields.mask == side
        rows = np.flatnonzero(lung.any(axis=1))
        if not rows.size:
            continue
        top, height = int(rows[0]), int(rows[-1] - rows[0]) + 1
        third = np.minimum(3 * (np.arange(lung.shape[0]) - top) // height, 2)
        result = np.where(lung, np.asarray(third + 1 + 3 * (side - 1), np.uint8)[:, None], result)
    return np.asarray(result, np.uint8)


def heart(fields: LungFields) -> Mask:
    """Estimate the part of the fields that heart and mediastinum cover.

    An estimate, not a segmentation: no film here carries an outline of the heart. Where the network estimated it
    (`LungFields.medial`), that counts; it learned the heart's edge from phantom films alone. Otherwise an average
    adult's shape does: a band along each lung's medial edge that widens downwards, more on the left.

    Parameters
    ----------
    fields : LungFields

    Returns
    -------
    ndarray of bool, (H, W)
        True only within the fields. Subtract it before calling anything parenchyma.
    """
    return covered(fields.mask, PRIOR if fields.medial is None else fields.medial)


def flipped(fields: LungFields) -> LungFields:
    """Fields of the film mirrored left to right: the sides swap, because sides are where they lie on the film (M24)."""
    swap = np.array([0, LEFT, RIGHT], np.uint8)
    mask = np.ascontiguousarray(swap[fields.mask[:, ::-1]])
    medial = None if fields.medial is None else np.ascontiguousarray(fields.medial[::-1])
    return LungFields(mask, check_fields(mask), medial)


def from_mask(mask: NDArray[Any], shape: tuple[int, int] | None = None) -> LungFields:
    """Lung fields from a given mask of both lungs.

    Parameters
    ----------
    mask : ndarray, (H, W)
        Boolean, or numbers of which those above 0 are lung.
    shape : tuple of int or None
        Rows and columns of the film that the mask belongs to; without them any size is taken.

    Returns
    -------
    LungFields
        The largest piece on each side, holes filled; where the lungs touch, they are cut along the way from top to
        bottom that runs through the least lung.

    Raises
    ------
    InputError
        If the mask is not two-dimensional, is empty, or has another size than the film.

    Examples
    --------
    >>> both = np.zeros((64, 64), bool)
    >>> both[12:52, 8:56] = True
    >>> both[:40, 30:34] = False  # they touch below
    >>> fields = from_mask(both)
    >>> int(fields.mask[20, 10]), int(fields.mask[20, 50])
    (1, 2)
    """
    values = np.asarray(mask)
    if values.ndim != 2 or not values.size:  # noqa: PLR2004 - rows and columns
        raise InputError(f"a lung mask must have rows and columns of one grey; found an array of shape {values.shape}")
    _same_size(values.shape, shape)
    inside = np.asarray(values > 0, np.uint8)
    return _fields(separated(inside), inside)


def _fields(mask: Bytes, found: Bytes) -> LungFields:
    """Fields with their flags; `found` is what there was before fragments were dropped."""
    return LungFields(mask, check_fields(mask, dropped=_dropped(mask, found)))


def _dropped(mask: Bytes, found: Bytes) -> float:
    """Share of what was found that is in neither lung."""
    total = int(np.count_nonzero(found))
    return float(np.count_nonzero(found & (mask == 0))) / total if total else 0.0


def _same_size(found: tuple[int, ...], wanted: tuple[int, int] | None) -> None:
    if wanted is not None and found != tuple(wanted):
        raise InputError(
            f"a lung mask must have its film's size, {wanted[1]} x {wanted[0]} pixels; found {found[1]} x {found[0]}: "
            "give the mask of this film"
        )


def separated(inside: Bytes) -> Bytes:
    """Both lungs' pixels (H, W), 0 or 1, to the sides' largest pieces, holes filled: 0 outside, 1 right, 2 left."""
    if not inside.any():
        return np.zeros(inside.shape, np.uint8)
    cut = _cut(inside)
    columns = np.arange(inside.shape[1])
    sides = (
        [inside * np.asarray(columns < cut[:, None], np.uint8), inside * np.asarray(columns >= cut[:, None], np.uint8)]
        if cut is not None
        else _one_lung(inside)
    )
    right, left = (whole_piece(np.ascontiguousarray(side)) for side in sides)
    return np.asarray(right * RIGHT + left * LEFT * (1 - right), np.uint8)


def _one_lung(inside: Bytes) -> list[Bytes]:
    """Give a single lung to the half of the film where its centre lies."""
    centre = float(np.nonzero(inside)[1].mean())
    nothing = np.zeros_like(inside)
    return [inside, nothing] if centre < (inside.shape[1] - 1) / 2 else [nothing, inside]


def whole_piece(piece: Bytes) -> Bytes:
    """Largest connected piece of a mask (H, W) of 0 and 1, its holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(piece, connectivity=4)
    if count < 2:  # noqa: PLR2004 - only the background
        return piece
    largest = int(1 + stats[1:, cv2.CC_STAT_AREA].argmax())
    kept = np.asarray(labels == largest, np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(kept, outlines, -1, 1, cv2.FILLED)
    return kept


def _cut(inside: Bytes) -> NDArray[np.int64] | None:
    """Column (H,) of the cut between the lungs in each row; `None` where there is but one lung.

    The cut runs from the top of the lungs' box to its bottom within the box's middle half, at most one cell sideways
    each row of a grid of 96 cells, through as little lung as possible (dynamic programming).
    """
    x, y, width, height = cv2.boundingRect(inside)
    small = cv2.resize(
        inside[y : y + height, x : x + width] * 255, (_CUT_SIDE, _CUT_SIDE), interpolation=cv2.INTER_AREA
    )
    low, high = _CUT_SIDE // 4, 3 * _CUT_SIDE // 4
    off_centre = np.abs(np.arange(low, high) - (_CUT_SIDE - 1) / 2) / _CUT_SIDE
    cost = small[:, low:high].astype(np.float64) / 255.0 + 0.02 * off_centre
    total = cost.copy()
    for row in range(1, _CUT_SIDE):
        above = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(np.minimum(above[:-2] + 0.01, above[2:] + 0.01), above[1:-1])
    path = np.empty(_CUT_SIDE, np.int64)
    path[-1] = int(total[-1].argmin())
    for row in range(_CUT_SIDE - 2, -1, -1):
        start = max(int(path[row + 1]) - 1, 0)
        path[row] = start + int(total[row, start : int(path[row + 1]) + 2].argmin())
    through = float(cost[np.arange(_CUT_SIDE), path].mean())
    on_right = float(sum(small[row, : low + path[row]].sum() for row in range(_CUT_SIDE))) / float(small.sum())
    if through > _THROUGH or min(on_right, 1.0 - on_right) < _SPECK:
        return None
    rows = np.clip((np.arange(inside.shape[0]) - y + 0.5) / height * _CUT_SIDE - 0.5, 0, _CUT_SIDE - 1)
    return np.asarray(
        np.rint(x + (np.interp(rows, np.arange(_CUT_SIDE), path) + low + 0.5) * width / _CUT_SIDE), np.int64
    )


def encode_mask(fields: LungFields) -> bytes:
    """Fields as an indexed PNG of the film's size: 0 outside (black), 1 right (orange), 2 left (blue).

    Returns
    -------
    bytes
        PNG, colour type 3, two bits a pixel.
    """
    picture = Image.fromarray(fields.mask, "L")
    picture.putpalette(_PALETTE)
    file = io.BytesIO()
    picture.save(file, "PNG", bits=2, compress_level=1)
    return file.getvalue()


def decode_mask(data: bytes, shape: tuple[int, int] | None = None) -> LungFields:
    """Fields from the PNG that `encode_mask` wrote, checked again.

    Parameters
    ----------
    data : bytes
    shape : tuple of int or None
        Rows and columns of the film that the mask belongs to; without them any size is taken.

    Returns
    -------
    LungFields

    Raises
    ------
    InputError
        If it is no indexed PNG, holds another value than 0, 1 and 2, or has another size than the film.

    Examples
    --------
    >>> mask = np.zeros((64, 64), np.uint8)
    >>> mask[12:52, 8:28], mask[12:52, 36:56] = RIGHT, LEFT
    >>> bool((decode_mask(encode_mask(LungFields(mask))).mask == mask).all())
    True
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode != "P" or picture.width * picture.height > _LARGEST_MASK:
                raise InputError(
                    f"a lung mask must be an indexed PNG of at most {_LARGEST_MASK} pixels; found mode "
                    f"{picture.mode!r} and {picture.width} x {picture.height} pixels"
                )
            _same_size((picture.height, picture.width), shape)
            mask = np.array(picture, np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"a lung mask must be an indexed PNG; it cannot be read: {error}") from error
    if mask.max() > LEFT:
        raise InputError(f"a lung mask holds 0 outside, 1 right and 2 left; found {int(mask.max())}")
    return LungFields(mask, check_fields(mask))
