"""What happens to the network's answer when parts of the film are taken away, shifted or disturbed.

Everything is done to the network's input, so that no framing or grey scale undoes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.evidence.relevance import spread_map
from carina.evidence.similarity import rank_correlation
from carina.types import Array, Bytes

__all__ = [
    "Curves",
    "Judge",
    "Occlusion",
    "curve_area",
    "deletion_insertion",
    "near_points",
    "occlusion",
    "random_map",
    "shifted",
    "shifted_correlation",
    "shifts",
    "with_noise",
]

Floats: TypeAlias = NDArray[np.float64]
Judge: TypeAlias = Callable[[Bytes], Floats]
"""Pictures uint8 (B, S, S) to the probability of one class, (B,)."""

_BLUR = 0.08  # sigma of the blurred film that insertion starts from, share of the side
_COMPARED = 32  # cells along each side where shifted maps are compared
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Curves:
    """Probability while pixels go, and while they come.

    Attributes
    ----------
    deletion, insertion : ndarray of float64, (steps + 1,)
        At shares 0, 1 / steps, ..., 1 of the pixels.
    """

    deletion: Floats
    insertion: Floats


@dataclass(frozen=True, slots=True)
class Occlusion:
    """How the answer falls when a patch is covered.

    Attributes
    ----------
    drops : ndarray of float64, (n, n)
        Log-odds of the class on the whole film less those with the patch covered.
    patch, stride : int
        Pixels of the network's input.
    """

    drops: Floats
    patch: int
    stride: int

    def over(self, side: int) -> Floats:
        """Spread each patch's fall, where there is one, over its pixels: importance ``(side, side)``."""
        heat, seen = np.zeros((side, side)), np.zeros((side, side))
        for row, column in np.ndindex(self.drops.shape):
            place = self._place(row, column)
            heat[place] += max(float(self.drops[row, column]), 0.0)
            seen[place] += 1.0
        return heat / np.maximum(seen, 1.0)

    def under(self, heat: Any) -> Floats:
        """Mean of a map ``(S, S)`` under each patch, ``(n, n)``."""
        values = np.asarray(heat, dtype=np.float64)
        return np.array(
            [
                [values[self._place(row, column)].mean() for column in range(self.drops.shape[1])]
                for row in range(self.drops.shape[0])
            ]
        )

    def _place(self, row: int, column: int) -> tuple[slice, slice]:
        top, left = row * self.stride, column * self.stride
        return slice(top, top + self.patch), slice(left, left + self.patch)


def deletion_insertion(
    judge: Judge, picture: Bytes, rankings: Mapping[str, Array], *, steps: int = 10, seed: int = 1
) -> dict[str, Curves]:
    """Take the pixels away, or add them, in the order of a ranking.

    Deletion replaces pixels by the film's mean grey; insertion begins with the film blurred beyond recognition. A
    ranking that found what the network uses lets the probability fall early, and rise early.

    Parameters
    ----------
    judge : Judge
    picture : ndarray of uint8, (S, S)
    rankings : mapping of name to ndarray, (S, S)
        Highest first; ties are broken by one smooth random map, the same for all.
    steps : int
        At least 1.
    seed : int
        Of the random map.

    Returns
    -------
    dict of name to Curves

    References
    ----------
    V. Petsiuk et al., RISE, BMVC 2018, arXiv:1806.07421.
    """
    side = picture.shape[0]
    grey = np.full_like(picture, round(float(picture.mean())))
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR * side), dtype=np.uint8)
    ties = random_map((8, 8), side, seed)
    pictures = [picture, grey, blurred]
    for ranking in rankings.values():
        place = _places(ranking, ties)
        for step in range(1, steps):
            gone = place < step / steps * place.size
            pictures += [np.where(gone, grey, picture), np.where(gone, picture, blurred)]
    found = judge(np.stack(pictures).astype(np.uint8))
    whole, nothing, blank = (float(value) for value in found[:3])
    curves = {}
    for number, name in enumerate(rankings):
        own = found[3 + number * 2 * (steps - 1) : 3 + (number + 1) * 2 * (steps - 1)].reshape(-1, 2)
        curves[name] = Curves(
            np.concatenate([[whole], own[:, 0], [nothing]]), np.concatenate([[blank], own[:, 1], [whole]])
        )
    return curves


def curve_area(curve: Floats) -> float:
    """Area under a curve over shares 0 to 1, by trapezoids.

    Examples
    --------
    >>> curve_area(np.array([1.0, 0.0, 0.0]))
    0.25
    """
    return float((curve[:-1] + curve[1:]).sum() / 2 / (len(curve) - 1))


def random_map(grid: tuple[int, int], side: int, seed: Any) -> Array:
    """Map of random cells ``grid``, brought to ``(side, side)`` as a class map is: as smooth, and without meaning."""
    return spread_map(np.random.default_rng(seed).random(grid), side)


def near_points(points: Any, side: int) -> Array:
    """Ranking ``(side, side)`` that prefers pixels near one of some points ``(m, 2)``, x and y."""
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    found = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    squares = [(columns - x) ** 2 + (rows - y) ** 2 for x, y in found]
    return np.asarray(-np.sqrt(np.min(squares, axis=0)), dtype=np.float32)


def occlusion(judge: Judge, picture: Bytes, *, positions: int = 7) -> Occlusion:
    """Cover the film patch by patch with its mean grey.

    Parameters
    ----------
    judge : Judge
    picture : ndarray of uint8, (S, S)
    positions : int
        Patches along each side; a patch is about twice their distance wide.

    Returns
    -------
    Occlusion

    References
    ----------
    M. D. Zeiler, R. Fergus, ECCV 2014, doi:10.1007/978-3-319-10590-1_53.
    """
    side = picture.shape[0]
    stride = side // (positions + 1)
    patch = side - stride * (positions - 1)
    covered = [picture]
    for row, column in np.ndindex(positions, positions):
        one = picture.copy()
        one[row * stride : row * stride + patch, column * stride : column * stride + patch] = round(
            float(picture.mean())
        )
        covered.append(one)
    odds = _log_odds(judge(np.stack(covered)))
    return Occlusion((odds[0] - odds[1:]).reshape(positions, positions), patch, stride)


def shifts(side: int, share: float = 0.04) -> tuple[tuple[int, int], ...]:
    """Right, left, down and up by a share of the side, at least one pixel: x and y of each."""
    step = max(1, round(share * side))
    return ((step, 0), (-step, 0), (0, step), (0, -step))


def shifted(picture: Bytes, by: tuple[int, int]) -> Bytes:
    """Shift a picture ``(S, S)`` by whole pixels x and y; its edge is repeated where it leaves a gap."""
    moved = np.float32([[1, 0, by[0]], [0, 1, by[1]]])  # type: ignore[arg-type]  # numpy's stubs know no nested lists
    side = (picture.shape[1], picture.shape[0])
    return np.asarray(
        cv2.warpAffine(picture, moved, side, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def shifted_correlation(raw: Any, raw_of_shifted: Any, by: tuple[int, int], side: int) -> float | None:
    """Rank correlation of a map with that of the shifted film, put back, where both see the film.

    Parameters
    ----------
    raw, raw_of_shifted : array_like, (h, w)
    by : tuple of int
        Shift in x and y, pixels of the input.
    side : int
        Of the input, pixels.

    Returns
    -------
    float or None
        `None` where a map is constant.
    """
    one, other = spread_map(raw, side), spread_map(raw_of_shifted, side)
    across, down = by
    first = one[max(0, -down) : side - max(0, down), max(0, -across) : side - max(0, across)]
    second = other[max(0, down) : side - max(0, -down), max(0, across) : side - max(0, -across)]
    cells = (_COMPARED, _COMPARED)
    small = [cv2.resize(np.ascontiguousarray(part), cells, interpolation=cv2.INTER_AREA) for part in (first, second)]
    return rank_correlation(small[0], small[1])


def with_noise(picture: Bytes, sigma: float, seed: Any) -> Bytes:
    """Add Gaussian noise of `sigma`, a share of the grey scale, cut at its ends."""
    noise = np.random.default_rng(seed).normal(0.0, sigma * 255.0, picture.shape)
    return np.asarray(np.clip(np.rint(picture + noise), 0, 255), dtype=np.uint8)


def _places(ranking: Array, ties: Array) -> NDArray[np.int64]:
    """Place of each pixel in the order, 0 first."""
    order = np.lexsort((-ties.ravel(), -ranking.ravel()))
    places = np.empty(order.size, np.int64)
    places[order] = np.arange(order.size)
    return places.reshape(ranking.shape)


def _log_odds(probabilities: Floats) -> Floats:
    kept = np.clip(probabilities, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(kept / (1.0 - kept)))
