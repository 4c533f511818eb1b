"""Features of the window around every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.texture.kernels.compiled import compiled
from carina.texture.kernels.cooccurrence import cooccurrence, correlation_matrix
from carina.texture.kernels.counts import count_runs, several_on_a_line, zones
from carina.texture.kernels.differences import tone_differences
from carina.texture.kernels.eigenvalues import maximal_correlation
from carina.texture.kernels.emphases import emphases, sparse
from carina.texture.kernels.first_order import first_order, uniformity

__all__ = ["WINDOW_PARTS", "window_features"]

WINDOW_PARTS = {"firstorder": 18, "glcm": 24, "gldm": 16, "glrlm": 16, "glszm": 16, "ngtdm": 5}
"""How many values each class has in what `window_features` finds, in order; the last of the co-occurrence is MCC."""

_Levels = NDArray[np.int32]
_Steps = NDArray[np.int64]
_Floats = NDArray[np.float64]


@compiled
def _window(levels: NDArray[np.int32], centre: tuple[int, int], radius: int, margin: int, out: _Levels) -> int:
    """Copy the levels around a pixel into a flat block with a margin of zeros; returns how many are inside."""
    out[:] = 0
    width = 2 * (radius + margin) + 1
    found = 0
    for row in range(max(centre[0] - radius, 0), min(centre[0] + radius + 1, levels.shape[0])):
        start = (row - centre[0] + radius + margin) * width + margin + radius - centre[1]
        for column in range(max(centre[1] - radius, 0), min(centre[1] + radius + 1, levels.shape[1])):
            out[start + column] = levels[row, column]
            found += levels[row, column] > 0
    return found


@compiled
def _ranked(block: _Levels, places: _Levels) -> _Levels:
    """Give the levels in a block numbers from 1, in place and in order; return the levels (K,) behind them."""
    found = 0
    for level in block:
        if level and places[level] == 0:
            places[level] = 1
            found += 1
    grey = np.empty(found, np.int32)
    found = 0
    for level in range(1, places.size):
        if places[level]:
            grey[found] = level
            found += 1
            places[level] = found
    for place in range(block.size):
        block[place] = places[block[place]]
    for level in grey:
        places[level] = 0
    return grey


@compiled
def _quantiles(values: _Floats) -> _Floats:
    """Values (5,) at 10, 25, 50, 75 and 90 % of sorted values, linear between ranks."""
    out = np.empty(5)
    for which, share in enumerate((0.10, 0.25, 0.50, 0.75, 0.90)):
        place = (values.size - 1) * share
        low = int(place)
        high = min(low + 1, values.size - 1)
        out[which] = values[low] + (values[high] - values[low]) * (place - low)
    return out


@compiled
def _column(picture: _Floats, levels: _Levels, rows: tuple[int, int], column: int, out: _Floats) -> int:
    """Put the values of a column inside the region into `out`, ascending; returns how many there are."""
    found = 0
    if column < 0 or column >= levels.shape[1]:
        return found
    for row in range(rows[0], rows[1]):
        if levels[row, column]:
            value, place = picture[row, column], found
            while place and out[place - 1] > value:
                out[place] = out[place - 1]
                place -= 1
            out[place] = value
            found += 1
    return found


@compiled
def _slide(kept: _Floats, gone: _Floats, new: _Floats, out: _Floats) -> int:
    """Take values away from ascending ones, all of which they are, and merge others in; returns how many there are."""
    away, ahead, found = 0, 0, 0
    for value in kept:
        if away < gone.size and gone[away] == value:
            away += 1
            continue
        while ahead < new.size and new[ahead] <= value:
            out[found] = new[ahead]
            ahead += 1
            found += 1
        out[found] = value
        found += 1
    while ahead < new.size:
        out[found] = new[ahead]
        ahead += 1
        found += 1
    return found


@compiled
def _sorted_values(
    picture: _Floats, levels: _Levels, centre: tuple[int, int], radius: int, work: tuple[_Floats, _Steps]
) -> _Floats:
    """Values of a window, ascending; a window beside the one before changes by two columns.

    `work` holds two rows of values and two columns (4, W * W), and of the window before its row, column, row of
    values and number of values.
    """
    held, before = work
    rows = (max(centre[0] - radius, 0), min(centre[0] + radius + 1, levels.shape[0]))
    side, found = before[2], before[3]
    first = centre[1] + radius
    if before[0] == centre[0] and before[1] + 1 == centre[1]:
        lost = _column(picture, levels, rows, before[1] - radius, held[2])
    else:
        first, lost, side, found = centre[1] - radius, 0, 0, 0
    for column in range(first, centre[1] + radius + 1):
        gained = _column(picture, levels, rows, column, held[3])
        found = _slide(held[side, :found], held[2, :lost], held[3, :gained], held[1 - side])
        lost, side = 0, 1 - side
    before[0], before[1], before[2], before[3] = centre[0], centre[1], side, found
    return held[side, :found]


@compiled
def _pairs(block: _Levels, grey: _Levels, step: int, symmetric: bool) -> NDArray[np.int64]:  # noqa: FBT001 - compiled
    """Co-occurrences (K, K) at one step."""
    counts = np.zeros((grey.size, grey.size), np.int64)
    for pixel in range(block.size):
        if block[pixel]:
            other = block[pixel + step]
            if other:
                counts[block[pixel] - 1, other - 1] += 1
                if symmetric:
                    counts[other - 1, block[pixel] - 1] += 1
    return counts


@compiled
def _of_pairs(block: _Levels, grey: _Levels, ahead: _Steps, choices: NDArray[np.int64], out: _Floats) -> None:
    """Co-occurrence features averaged over the steps at which there are pairs, (24,); NaN where there are none."""
    top, symmetric, correlate = choices[1], choices[2] > 0, choices[3] > 0
    used = 0
    total = np.zeros(24)
    for step in ahead:
        counts = _pairs(block, grey, step, symmetric)
        pairs = counts.sum()
        if pairs == 0:
            continue
        used += 1
        total[:23] += cooccurrence(counts, grey, top)
        if correlate and grey.size > 1:
            rows, columns = counts.sum(axis=1) / pairs, counts.sum(axis=0) / pairs
            total[23] += maximal_correlation(correlation_matrix(counts), rows, columns, symmetric)
    out[:24] = total / used  # NaN where none was


@compiled
def _true_levels(entries: _Floats, grey: _Levels) -> _Floats:
    """Put the levels themselves for their numbers."""
    for entry in range(entries.shape[0]):
        entries[entry, 0] = grey[int(entries[entry, 0]) - 1]
    return entries


@compiled
def _of_runs(block: _Levels, grey: _Levels, steps: _Steps, width: int, out: _Floats) -> None:
    """Run features averaged over the directions in which a line holds two pixels, (16,); NaN where none does."""
    used = 0
    total = np.zeros(16)
    for way in range(4):
        runs = np.zeros((grey.size, width), np.int64)
        count_runs(block, steps[way], runs)
        down, across = (0, 1) if way == 0 else (1, way - 2)
        if runs[:, 1:].any() or several_on_a_line(block, width, down, across):
            used += 1
            total += emphases(_true_levels(sparse(runs), grey))
    out[:16] = total / used  # NaN where none was


@compiled
def _of_zones(block: _Levels, grey: _Levels, around: _Steps, out: _Floats) -> None:
    """Zone features, (16,)."""
    level, size = zones(block, around)
    table = np.zeros((grey.size, size.max()), np.int64)
    for zone in range(level.size):
        table[level[zone] - 1, size[zone] - 1] += 1
    out[:16] = emphases(_true_levels(sparse(table), grey))


@compiled
def _of_neighbours(block: _Levels, grey: _Levels, around: _Steps, choices: NDArray[np.int64], out: _Floats) -> None:
    """Dependence (16,) and difference features (5,)."""
    alpha, lonely = choices[0], choices[4] > 0
    dependences = np.zeros((grey.size, around.size + 1), np.int64)
    counts, sums = np.zeros(grey[-1]), np.zeros(grey[-1])
    for pixel in range(block.size):
        if block[pixel] == 0:
            continue
        level = grey[block[pixel] - 1]
        found, total, dependent = 0, 0, 0
        for step in around:
            number = block[pixel + step]
            if number:
                other = grey[number - 1]
                found += 1
                total += other
                dependent += abs(level - other) <= alpha
        dependences[block[pixel] - 1, dependent] += 1
        if found:
            sums[level - 1] += abs(level - total / found)
        if found or lonely:
            counts[level - 1] += 1.0
    out[:16] = emphases(_true_levels(sparse(dependences), grey))
    out[16:21] = tone_differences(counts, sums)


@compiled
def window_features(
    picture: _Floats,
    levels: NDArray[np.int32],
    pixels: NDArray[np.int64],
    steps: tuple[_Steps, _Steps, _Steps],
    sizes: tuple[int, int, int],
    choices: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    out: _Floats,
) -> None:
    """Find the features of the windows around pixels.

    Parameters
    ----------
    picture : ndarray of float64, (H, W)
    levels : ndarray of int32, (H, W)
        0 outside the region.
    pixels : ndarray of int64, (N, 2)
        Row and column of each window's centre.
    steps : tuple of ndarray of int64
        Steps of the co-occurrence, steps to all neighbours, and the four unit steps with their opposites, in blocks of
        ``2 * (radius + margin) + 1`` columns.
    sizes : tuple of int
        Radius, margin, and number of levels in the region.
    choices : ndarray of int64, (5,)
        Alpha, highest level of the region, whether co-occurrence is symmetric, whether MCC is wanted, and whether
        pixels without a neighbour count among the differences.
    wanted : ndarray of bool, (6,)
        Classes wanted, in the order of `WINDOW_PARTS`.
    out : ndarray of float64, (N, 95)
        Filled for the classes wanted, one after the other after `WINDOW_PARTS`.
    """
    radius, margin, greys = sizes
    width = 2 * (radius + margin) + 1
    block = np.zeros(width * width, np.int32)
    places = np.zeros(greys + 1, np.int32)
    work = (np.empty((4, (2 * radius + 1) ** 2)), np.full(4, -2))
    for pixel in range(pixels.shape[0]):
        centre = (pixels[pixel, 0], pixels[pixel, 1])
        row = out[pixel]
        _window(levels, centre, radius, margin, block)
        grey = _ranked(block, places)
        if wanted[0]:
            kept = _sorted_values(picture, levels, centre, radius, work)
            row[:15] = first_order(kept, _quantiles(kept))
            row[15], row[16] = uniformity(np.bincount(block)[1:])
        if wanted[1]:
            _of_pairs(block, grey, steps[0], choices, row[18:42])
        if wanted[2] or wanted[5]:
            found = np.empty(21)
            _of_neighbours(block, grey, steps[1], choices, found)
            row[42:58], row[90:95] = found[:16], found[16:]
        if wanted[3]:
            _of_runs(block, grey, steps[2], width, row[58:74])
        if wanted[4]:
            _of_zones(block, grey, steps[2], row[74:90])
