"""Text burned into the pixels: found, read, blanked (PS3.15 E.3.1, option 113101)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
_TURNED_WORDS: Final = ((4, 70.0, 1.0), (6, 50.0, 1.0))
_PASSES: Final = 3
_ADVANCE: Final = 1.35
"""Most room that a letter takes along its line, in heights."""
_MOST_OF: Final = 0.8
_CLEAR: Final = 2.0
_FILLED: Final = 0.45
"""Fewest letters read, to a height of the letters along the line."""
_TEXTURE_LINES: Final = 10
_TEXTURE_SCORE: Final = 6.0
_MOST_BLANKED: Final = 0.25
_ALIKE, _GAP = 0.5, 6.0
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
    share = _share(blanked, samples.shape)
    if share > _MOST_BLANKED:
        review = f"{share:.0%} of the picture look like writing and were blanked"
    if not readable:
        review = "the pixels could not be read, for tesseract is not installed"
    return CleanPixels(samples, tuple(blanked), review)


def _share(boxes: list[_Box], shape: tuple[int, ...]) -> float:
    """Share of a film that boxes cover."""
    gone = np.zeros(shape[:2], np.bool_)
    for x, y, wide, high in boxes:
        gone[y : y + high, x : x + wide] = True
    return float(gone.mean())


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
    readings = read_lines(grey, lines)
    kept = [reading.line.box for reading in readings if policy.markers == "keep" and _is_marker(reading)]
    free = [reading for reading in readings if not any(_within(reading.line.box, box) for box in kept)]
    unread = [reading for reading in free if reading.line.certain and not _has_words(reading)]
    # a screen's grid or a row of noise looks like many lines of print that nobody can read
    least = _TEXTURE_SCORE if len(unread) > _TEXTURE_LINES else 0.0
    gone = [_has_words(reading) or (reading.line.certain and reading.line.score >= least) for reading in free]
    writing = [reading.line for reading, goes in zip(free, gone, strict=True) if goes]
    rest = [reading.line for reading, goes in zip(free, gone, strict=True) if not goes]
    rest = [] if least else rest
    return [_padded(line, grey.shape) for line in _completed(writing, rest)]


def _completed(writing: list[Line], rest: list[Line]) -> list[Line]:
    """Join what stands on one line with writing, and the room between: letters over a like ground are hard to see."""
    lines: list[Line] = []
    for line in writing:
        joined = line
        for other in (*writing, *rest):
            if other.upright == line.upright and _beside(joined, other):
                joined = replace(joined, box=_around(joined.box, other.box))
        lines.append(joined)
    return lines


def _beside(line: Line, other: Line) -> bool:
    """Whether two pieces of writing stand on one line, not too far apart."""
    one, two = (line.box, other.box) if line.upright else (_turned(line.box), _turned(other.box))
    small, big = sorted((one[3], two[3]))
    overlap = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    gap = max(one[0], two[0]) - min(one[0] + one[2], two[0] + two[2])
    return small >= _ALIKE * big and overlap >= _ALIKE * small and gap <= _GAP * line.tall


def _turned(box: _Box) -> _Box:
    return box[1], box[0], box[3], box[2]


def _around(one: _Box, two: _Box) -> _Box:
    left, top = min(one[0], two[0]), min(one[1], two[1])
    right, bottom = max(one[0] + one[2], two[0] + two[2]), max(one[1] + one[3], two[1] + two[3])
    return left, top, right - left, bottom - top


def _has_words(reading: Reading) -> bool:
    """Whether words are read in a line, surely enough for its looks."""
    line = reading.line
    length = line.box[2] if line.upright else line.box[3]
    read = sum(len(re.findall(r"[^\W_]", word)) for word, _ in reading.words)
    if line.score < _CLEAR and read < _FILLED * length / line.tall:
        return False  # a short word on a long line is what tesseract makes of bones
    needed = _WORDS if line.upright else _TURNED_WORDS
    return any(
        len(re.findall(r"[^\W_]", word)) >= letters and sure >= least and line.score >= score
        for word, sure in reading.words
        for letters, least, score in needed
    )


def _is_marker(reading: Reading) -> bool:
    """Whether a line holds technical words and nothing else: what was read must fill it."""
    line, letters = reading.line, len(reading.text)
    length = line.box[2] if line.upright else line.box[3]
    return is_marker(reading.text) and length <= _ADVANCE * line.tall * letters


def _within(box: _Box, other: _Box) -> bool:
    """Whether a box lies in another but for a little: the gaps between bright letters look like dark ones."""
    wide = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    high = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return wide > 0 and high > 0 and wide * high >= _MOST_OF * box[2] * box[3]


def _padded(line: Line, shape: tuple[int, ...]) -> _Box:
    """Box of a line with room for letters that were not seen as strokes, at both ends."""
    x, y, wide, high = line.box
    along, beside = round(1.5 * line.tall) + 1, round(0.3 * line.tall) + 1
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
