"""Where a film looks as if it held writing: sharp strokes side by side, at several sizes, bright and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.types import Bytes

__all__ = ["Line", "find_lines"]

_Numbers: TypeAlias = NDArray[np.float64]
_KERNEL: Final = 11
"""Strokes narrower than this, in pixels of a level, stand out of their surroundings (white and black top-hat)."""
_AROUND: Final = 49
"""Side of the surroundings whose noise a stroke must exceed, pixels of a level."""
_LEAST_CONTRAST, _NOISE_FLOOR = 6.0, 2.0
_OVER_NOISE: Final = (2.2, 1.5)
"""Strict, and lenient for letters that are hardly brighter than the film beneath."""
_LEAST_HEIGHT, _MOST_HEIGHT, _LONGEST = 6, 40, 640
_LEAST_FULL, _LEAST_AREA = 0.12, 6
_SMALLEST_LEVEL: Final = 160
_LETTERS: Final = 3
# A logistic regression on lines of writing drawn into phantom films against what else was found in phantom and real
# films; benchmarks/burned_in_text.py measures what comes of it. Weights of: marks (at most 8), contrast over noise (at
# most 9), sharpness of edges, distance of width over height from a letter's, logarithm of the contrast.
_WEIGHTS: Final = (1.65, 0.96, 0.75, 0.82, 1.52)
_OFFSET: Final = -17.1
_CANDIDATE, _TURNED_CANDIDATE = -0.5, 1.0
# Upright, four marks of this score were print on every film looked at; turned, vertebrae and ribs come up to 4.7.
_CERTAIN, _TURNED_CERTAIN = 2.0, 5.5
_CERTAIN_MARKS: Final = 4
_LEAST_ASPECT: Final = 2.3
_TURNED_MARKS: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A place that may hold a line of writing.

    Attributes
    ----------
    box : tuple of int
        x, y, width, height in pixels of the film.
    bright : bool
        Whether the strokes are brighter than their ground.
    upright : bool
        False for writing that runs up or down the film.
    tall : float
        Height of its letters, pixels of the film.
    score : float
        Log odds that it is writing.
    """

    box: tuple[int, int, int, int]
    bright: bool
    upright: bool
    tall: float
    score: float
    marks: int

    @property
    def certain(self) -> bool:
        """Whether it is writing even if nobody can read it."""
        return self.score >= (_CERTAIN if self.upright else _TURNED_CERTAIN) and self.marks >= _CERTAIN_MARKS


@dataclass(frozen=True, slots=True)
class _Marks:
    """Connected strokes of one level, (N,) each, pixels of the level and grey levels of 255."""

    left: _Numbers
    top: _Numbers
    wide: _Numbers
    high: _Numbers
    contrast: _Numbers
    edge: _Numbers
    noise: _Numbers

    def at(self, index: NDArray[np.intp]) -> _Marks:
        return _Marks(*(getattr(self, name)[index] for name in self.__slots__))

    def turned(self) -> _Marks:
        """Exchange the axes, to read what runs up or down."""
        return _Marks(self.top, self.left, self.high, self.wide, self.contrast, self.edge, self.noise)


def find_lines(grey: Bytes) -> list[Line]:
    """Find lines that may be writing.

    Parameters
    ----------
    grey : ndarray of uint8, (H, W)
        The film, 0 to 255.

    Returns
    -------
    list of Line
        The likeliest first; the same place may occur at two sizes.

    Examples
    --------
    >>> film = np.zeros((200, 400), np.uint8)
    >>> film = cv2.putText(film, "ZZZ0016", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 220, 2)
    >>> find_lines(film)[0].certain, find_lines(np.zeros((200, 400), np.uint8))
    (True, [])
    """
    lines: list[Line] = []
    scale, level = 1, np.ascontiguousarray(grey)
    while True:
        lines += [*_lines_of(level, scale, bright=True), *_lines_of(level, scale, bright=False)]
        if min(level.shape) < 2 * _SMALLEST_LEVEL:
            break
        level = cv2.resize(level, (level.shape[1] // 2, level.shape[0] // 2), interpolation=cv2.INTER_AREA)
        scale *= 2
    return sorted(lines, key=lambda line: -line.score)


def _lines_of(level: Bytes, scale: int, *, bright: bool) -> Iterator[Line]:
    for marks in _marks(level, bright=bright):
        for upright in (True, False):
            turned = marks if upright else marks.turned()
            for members in _chains(turned):
                line = _line(turned.at(members), scale, bright=bright, upright=upright)
                if line is not None:
                    yield line


def _marks(level: Bytes, *, bright: bool) -> Iterator[_Marks]:
    """Find connected strokes that stand out of the noise around them and could be letters."""
    shape = cv2.getStructuringElement(cv2.MORPH_RECT, (_KERNEL, _KERNEL))
    hat = cv2.morphologyEx(level, cv2.MORPH_TOPHAT if bright else cv2.MORPH_BLACKHAT, shape)
    around = cv2.boxFilter(hat, cv2.CV_32F, (_AROUND, _AROUND))
    across, down = cv2.Sobel(level, cv2.CV_16S, 1, 0), cv2.Sobel(level, cv2.CV_16S, 0, 1)
    edge = np.maximum(np.abs(across), np.abs(down)) / np.float32(4.0)  # change of grey over two pixels
    for factor in _OVER_NOISE:
        mask = (hat > np.maximum(_LEAST_CONTRAST, factor * around + _NOISE_FLOOR)).astype(np.uint8)
        marks = _strokes(mask, (hat, edge, around))
        if marks is not None:
            yield marks


def _strokes(mask: Bytes, planes: tuple[NDArray[np.generic], ...]) -> _Marks | None:
    """Measure connected parts of a mask that have the size of letters: place, and mean of each plane."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, wide, high, area = (stats[:, column].astype(np.float64) for column in range(5))
    longest, shortest = np.maximum(wide, high), np.minimum(wide, high)
    fits = (longest >= _LEAST_HEIGHT) & (longest <= _LONGEST) & (shortest <= _MOST_HEIGHT) & (area >= _LEAST_AREA)
    fits &= area >= _LEAST_FULL * wide * high
    fits[0] = False  # the ground
    index = np.flatnonzero(fits)
    if index.size == 0:
        return None
    inside = mask > 0
    owner = labels[inside]
    means = [np.bincount(owner, plane[inside], minlength=count) / np.maximum(area, 1) for plane in planes]
    return _Marks(left, top, wide, high, *means).at(index)


def _chains(marks: _Marks) -> Iterator[NDArray[np.intp]]:
    """Give the indices of marks of like height and brightness that stand side by side on one line."""
    index = np.flatnonzero((marks.high >= _LEAST_HEIGHT) & (marks.high <= _MOST_HEIGHT))
    index = index[np.argsort(marks.left[index], kind="stable")]
    ordered = marks.at(index)
    left, high, contrast = ordered.left, ordered.high, ordered.contrast
    right, middle = left + ordered.wide, ordered.top + high / 2
    chain = np.arange(index.size)
    ends = np.searchsorted(left, right + 1.1 * high + 2, side="right")
    for one in range(index.size):
        near = np.arange(one + 1, ends[one])
        if near.size == 0:
            continue
        tall = np.maximum(high[near], high[one])
        gap = left[near] - right[one]
        alike = (np.minimum(high[near], high[one]) >= 0.6 * tall) & (np.abs(middle[near] - middle[one]) <= 0.3 * tall)
        alike &= (gap >= -0.35 * tall) & (gap <= tall + 1)
        alike &= np.minimum(contrast[near], contrast[one]) >= 0.4 * np.maximum(contrast[near], contrast[one])
        for other in near[alike][:2]:
            _join(chain, one, int(other))
    roots = np.asarray([_root(chain, one) for one in range(index.size)], dtype=np.intp)
    for root in np.unique(roots):
        yield index[roots == root]


def _root(chain: NDArray[np.intp], one: int) -> int:
    while chain[one] != one:
        chain[one] = chain[chain[one]]
        one = int(chain[one])
    return one


def _join(chain: NDArray[np.intp], one: int, other: int) -> None:
    chain[_root(chain, other)] = _root(chain, one)


def _line(marks: _Marks, scale: int, *, bright: bool, upright: bool) -> Line | None:
    """Judge a chain; letters that touch make one wide mark."""
    tall = float(np.median(marks.high))
    letters = float(np.maximum(np.round(marks.wide / (0.75 * tall)), 1).sum())
    if not upright and marks.left.size < _TURNED_MARKS:
        return None
    left, top = float(marks.left.min()), float(marks.top.min())
    wide = float((marks.left + marks.wide).max()) - left
    high = float((marks.top + marks.high).max()) - top
    if letters < _LETTERS or wide < _LEAST_ASPECT * tall:
        return None
    facts = (
        min(marks.left.size, 8),
        min(float(np.median(marks.contrast / (marks.noise + 1))), 9.0),
        min(float(np.median(marks.edge / marks.contrast)), 1.0),
        min(abs(float(np.median(marks.wide)) / tall - 0.8), 3.0),
        float(np.log(min(float(np.median(marks.contrast)), 80.0))),
    )
    score = _OFFSET + sum(weight * fact for weight, fact in zip(_WEIGHTS, facts, strict=True))
    if score < (_CANDIDATE if upright else _TURNED_CANDIDATE):
        return None
    x, y, across, down = (left, top, wide, high) if upright else (top, left, high, wide)
    box = (int(x) * scale, int(y) * scale, int(across) * scale, int(down) * scale)
    return Line(box, bright, upright, tall * scale, score, int(marks.left.size))
