"""Texture matrices counted in one pass each over a region's grey levels.

Every kernel takes the levels as one flat array of rows that lie one after the other, with a margin of zeros on every
side as wide as the farthest neighbour: 0 is outside the region, levels begin at 1. A neighbour is then a step in that
array, and no step leaves it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled

__all__ = ["count_neighbours", "count_runs", "count_touching", "several_on_a_line", "zones"]

_Levels = NDArray[np.int32]
_Steps = NDArray[np.int64]
_Floats = NDArray[np.float64]


@compiled
def count_neighbours(
    levels: _Levels, ahead: _Steps, around: _Steps, alpha: int, glcm: NDArray[Any], dependences: NDArray[Any]
) -> _Floats:
    """Count co-occurrences and dependences, and sum each level's distance from its neighbours' mean.

    Parameters
    ----------
    levels : ndarray of int32, (P,)
    ahead : ndarray of int64, (A,)
        Steps to the neighbours of the co-occurrence matrices, one a matrix.
    around : ndarray of int64, (B,)
        Steps to every neighbour of a pixel.
    alpha : int
        Largest difference in level at which a neighbour still depends on a pixel.
    glcm : ndarray, (A, G, G)
        Counted up in place: pixel's level, neighbour's level.
    dependences : ndarray, (G, B + 1)
        Counted up in place: pixel's level, number of neighbours that depend on it.

    Returns
    -------
    ndarray of float64, (G, 3)
        Pixels of a level, those of them with a neighbour, and the sum of their distances from the neighbours' mean.
    """
    greys = glcm.shape[1]
    differences = np.zeros((greys, 3))
    for pixel in range(levels.size):
        level = levels[pixel]
        if level == 0:
            continue
        row = level - 1
        for step in range(ahead.size):
            other = levels[pixel + ahead[step]]
            if other:
                glcm[step, row, other - 1] += 1
        found, total, dependent = 0, 0, 0
        for step in range(around.size):
            other = levels[pixel + around[step]]
            if other:
                found += 1
                total += other
                dependent += abs(level - other) <= alpha
        dependences[row, dependent] += 1
        differences[row, 0] += 1.0
        if found:
            differences[row, 1] += 1.0
            differences[row, 2] += abs(level - total / found)
    return differences


@compiled
def count_touching(levels: _Levels, ahead: _Steps, alpha: int, longest: int, greys: int) -> tuple[Any, ...]:
    """Count everything that pixels which touch tell, in one pass: what `count_neighbours` and `count_runs` count.

    Parameters
    ----------
    levels : ndarray of int32, (P,)
    ahead : ndarray of int64, (4,)
        Steps to the four neighbours that follow a pixel.
    alpha : int
    longest, greys : int
        Length of the longest possible run, and number of levels.

    Returns
    -------
    tuple of ndarray
        Co-occurrences (4, G, G), dependences (G, 9), differences as `count_neighbours` returns them (G, 3), and runs of
        each direction (4, G, R).
    """
    glcm = np.zeros((4, greys, greys), np.int32)
    dependences = np.zeros((greys, 9), np.int32)
    runs = np.zeros((4, greys, longest), np.int32)
    differences = np.zeros((greys, 3))
    length = np.zeros((levels.size, 4), np.int32)  # of the run so far, where it goes on
    steps = (ahead[0], ahead[1], ahead[2], ahead[3])
    for pixel in range(levels.size):
        level = levels[pixel]
        if level == 0:
            continue
        row = level - 1
        found, total, dependent = 0, 0, 0
        for way in range(4):
            after, before = levels[pixel + steps[way]], levels[pixel - steps[way]]
            run = 0
            if before:
                found += 1
                total += before
                dependent += abs(level - before) <= alpha
                if before == level:
                    run = length[pixel - steps[way], way]
            if after:
                glcm[way, row, after - 1] += 1
                found += 1
                total += after
                dependent += abs(level - after) <= alpha
            if after == level:
                length[pixel, way] = run + 1
            else:
                runs[way, row, run] += 1
        dependences[row, dependent] += 1
        differences[row, 0] += 1.0
        if found:
            differences[row, 1] += 1.0
            differences[row, 2] += abs(level - total / found)
    return glcm, dependences, differences, runs


@compiled
def count_runs(levels: _Levels, step: int, runs: NDArray[Any]) -> None:
    """Count runs of one level along a step into `runs` (G, R): level, length; a run is longer by one than its index."""
    for pixel in range(levels.size):
        level = levels[pixel]
        if level == 0 or levels[pixel - step] == level:
            continue
        length, ahead = 0, pixel + step
        while levels[ahead] == level:
            length += 1
            ahead += step
        runs[level - 1, length] += 1


@compiled
def several_on_a_line(levels: _Levels, width: int, down: int, across: int) -> bool:
    """Whether any line in a direction of unit steps holds two pixels of the region, next to each other or not."""
    seen = np.zeros(levels.size // width + 2 * width, np.bool_)
    for pixel in range(levels.size):
        if levels[pixel]:
            row, column = pixel // width, pixel % width
            line = row if down == 0 else column - row * across * down + (levels.size // width) * (across * down == 1)
            if seen[line]:
                return True
            seen[line] = True
    return False


@compiled
def zones(levels: _Levels, around: _Steps) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find the zones: pixels of one level that touch.

    Returns
    -------
    tuple of ndarray of int32, (Z,)
        Level and number of pixels of each zone.
    """
    left = levels.copy()
    inside = 0
    for pixel in range(left.size):
        inside += left[pixel] != 0
    grey = np.empty(inside, np.int32)
    size = np.empty(inside, np.int32)
    waiting = np.empty(inside, np.int64)
    found = 0
    for start in range(left.size):
        level = left[start]
        if level == 0:
            continue
        left[start] = 0
        waiting[0] = start
        top, pixels = 1, 0
        while top:
            top -= 1
            pixels += 1
            centre = waiting[top]
            for step in range(around.size):
                other = centre + around[step]
                if left[other] == level:
                    left[other] = 0
                    waiting[top] = other
                    top += 1
        grey[found], size[found] = level, pixels
        found += 1
    return grey[:found], size[:found]
