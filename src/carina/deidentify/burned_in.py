"""Text burned into the pixels: found, read, blanked (PS3.15 E.3.1, option 113101)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from carina.deidentify.ocr import Reading, has_tesseract, read_lines
from carina.deidentify.policy import Policy
from carina.deidentify.regions import Line, find_lines
from carina.deidentify.text import is_marker
from carina.errors import RemovalError
from carina.types import Bytes

__all__ = ["CleanPixels", "clean_pixels", "grey_views"]

_Box = tuple[int, int, int, int]
# Letters of a word, tesseract's confidence in it and score of the line that together are enough: on films without any
# writing tesseract reads short words, and is not sure of them.
_WORDS: Final = ((3, 55.0, -0.5), (5, 35.0, 0.0), (3, 20.0, 2.0))
_TURNED_WORDS: Final = ((4, 70.0, 1.0), (6, 50.0, 1.0), (3, 40.0, 2.5))
_PASSES: Final = 3
_NARROW: Final = 0.6
_TAIL: Final = (0.5, 99.5)
_YBR_BLACK: Final = (0, 128, 128)


@dataclass(frozen=True, slots=True)
class CleanPixels:
    """Pixels without burned-in text.

    Attributes
    ----------
    samples : ndarray of unsigned integers, (H, W) or (H, W, C)
        A copy where anything was blanked.
    blanked : tuple of (x, y, width, height)
        What was blanked, pixels.
    review : str or None
        Why a person has to look at the film.
    """

    samples: NDArray[np.unsignedinteger]
    blanked: tuple[_Box, ...] = ()
    review: str | None = None


def clean_pixels(
    samples: NDArray[np.unsignedinteger],
    bits: int,
    policy: Policy,
    *,
    inverted: bool = False,
    signed: bool = False,
    photometric: str = "",
) -> CleanPixels:
    """Find text in the pixels and blank it.

    Places that look like writing (`find_lines`) are read by tesseract. A line goes when words are read in it that are
    more than side markers and technical words, and also when nothing can be read but the strokes are as regular as
    only print is.

    Parameters
    ----------
    samples : ndarray of unsigned integers, (H, W) or (H, W, C)
        Stored bits.
    bits : int
        How many of them are used.
    policy : Policy
    inverted : bool
        Whether low values are white.
    signed : bool
        Whether the stored bits are two's complement.
    photometric : str
        DICOM PhotometricInterpretation, which says what black is in colour.

    Returns
    -------
    CleanPixels

    Raises
    ------
    RemovalError
        If tesseract is not installed and the policy refuses films then.

    References
    ----------
    DICOM PS3.15 E.3.1.
    """
    readable = has_tesseract()
    if not readable and policy.without_ocr == "refuse":
        raise RemovalError(
            "text in the pixels must be read to be removed, and tesseract is not installed; install tesseract-ocr, or "
            "set without_ocr to review in the policy"
        )
    blanked: list[_Box] = []
    for _ in range(_PASSES):
        boxes = [
            box
            for grey in grey_views(samples, bits, signed=signed)
            for box in _writing(grey, policy, readable=readable)
        ]
        if not boxes:
            break
        samples = samples.copy() if not blanked else samples
        _blank(samples, boxes, bits, inverted=inverted, signed=signed, photometric=photometric)
        blanked += boxes
    review = None
    if blanked and policy.burned_in == "review":
        review = f"text was found and blanked in {len(blanked)} places of the pixels"
    if not readable:
        review = "the pixels could not be read, for tesseract is not installed"
    return CleanPixels(samples, tuple(blanked), review)


def grey_views(samples: NDArray[np.unsignedinteger], bits: int, *, signed: bool = False) -> list[Bytes]:
    """Make 8-bit pictures of stored samples in which writing shows: the whole range, and the bulk where it is narrow.

    Parameters
    ----------
    samples : ndarray of unsigned integers, (H, W) or (H, W, C)
    bits : int
    signed : bool

    Returns
    -------
    list of ndarray of uint8, (H, W)
        One or two.
    """
    values = samples.astype(np.float32) if samples.ndim == 2 else samples.mean(axis=2, dtype=np.float32)  # noqa: PLR2004 - rows, columns
    if signed:
        values = np.where(values >= 2.0 ** (bits - 1), values - np.float32(2.0**bits), values)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return []
    views = [_scaled(values, low, high)]
    tail_low, tail_high = (float(value) for value in np.percentile(values[::4, ::4], _TAIL))
    if 0 < tail_high - tail_low < _NARROW * (high - low):
        views.append(_scaled(values, tail_low, tail_high))
    return views


def _scaled(values: NDArray[np.float32], low: float, high: float) -> Bytes:
    return np.asarray(np.clip((values - low) * np.float32(255.0 / (high - low)), 0, 255), dtype=np.uint8)


def _writing(grey: Bytes, policy: Policy, *, readable: bool) -> list[_Box]:
    """Boxes to blank in one view."""
    lines = find_lines(grey)
    if not lines:
        return []
    if not readable:
        return [_padded(line, grey.shape) for line in lines]
    return [_padded(reading.line, grey.shape) for reading in read_lines(grey, lines) if _goes(reading, policy)]


def _goes(reading: Reading, policy: Policy) -> bool:
    if policy.markers == "keep" and is_marker(reading.text):
        return False
    if reading.line.certain:
        return True
    needed = _WORDS if reading.line.upright else _TURNED_WORDS
    return any(
        len(re.findall(r"[^\W_]", word)) >= letters and sure >= least and reading.line.score >= score
        for word, sure in reading.words
        for letters, least, score in needed
    )


def _padded(line: Line, shape: tuple[int, ...]) -> _Box:
    """Box of a line with room for letters that were not seen as strokes, at both ends."""
    x, y, wide, high = line.box
    along, beside = round(1.0 * line.tall) + 1, round(0.3 * line.tall) + 1
    dx, dy = (along, beside) if line.upright else (beside, along)
    left, top = max(0, x - dx), max(0, y - dy)
    return left, top, min(shape[1], x + wide + dx) - left, min(shape[0], y + high + dy) - top


def _blank(
    samples: NDArray[np.unsignedinteger],
    boxes: list[_Box],
    bits: int,
    *,
    inverted: bool,
    signed: bool,
    photometric: str,
) -> None:
    """Fill boxes with the film's black: the darkest value that it has."""
    if samples.ndim > 2:  # noqa: PLR2004 - rows, columns, colours
        chroma = photometric.startswith("YBR_") and samples.shape[2] == len(_YBR_BLACK)
        black = np.asarray(_YBR_BLACK if chroma else 0)
    else:
        flip = samples.dtype.type(1 << (bits - 1)) if signed else samples.dtype.type(0)
        ordered = samples ^ flip
        black = np.asarray((ordered.max() if inverted else ordered.min()) ^ flip)
    for x, y, wide, high in boxes:
        samples[y : y + high, x : x + wide] = black
