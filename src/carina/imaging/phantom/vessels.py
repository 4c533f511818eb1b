"""Branching trees of the lungs: vessels, bronchi, strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.imaging.phantom.canvas import Canvas, ellipsoid, smooth_noise
from carina.types import Array

__all__ = ["HILA", "Growth", "grow", "trunks", "vessels"]

# No branch goes on beyond this |x|, and this far from this y, cm.
_BEYOND = (15.0, 4.0, 16.0)

# Where right and left vessels enter the lung, cm.
HILA = ((-3.6, 2.0), (3.9, 1.0))

# Pulmonary arteries at the hila: centre, half axes (x, y, depth), turn in degrees; cm.
_HILAR_ARTERIES = (
    ((-3.7, 3.0), (0.95, 2.4, 1.0), -14.0),
    ((-3.1, 1.2), (1.5, 0.9, 1.0), 10.0),
    ((3.9, 0.9), (1.3, 1.2, 1.1), 0.0),
    ((4.1, 2.9), (0.8, 2.1, 0.9), 16.0),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """How a tree grows.

    Attributes
    ----------
    step_cm, wander : float
        Length of a step and its spread of direction, radians.
    fork : float
        Chance of a fork a step.
    taper, split : float
        Factor on the radius a step, and at a fork.
    thinnest_cm : float
        Radius at which a branch ends.
    """

    step_cm: float = 0.7
    wander: float = 0.20
    fork: float = 0.42
    taper: float = 0.91
    split: float = 0.78
    thinnest_cm: float = 0.035


def trunks(side: int, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Roots (x, y, direction in radians, radius in cm) of one lung's vessels; side -1 right, 1 left."""
    hilum = HILA[(side + 1) // 2]
    fan = np.radians([-82, -62, -38, -12, 12, 32, 50, 64, 76, 88])
    radii = [0.38, 0.34, 0.28, 0.26, 0.30, 0.40, 0.52, 0.58, 0.48, 0.38]
    spread = 0.09 * rng.standard_normal((len(fan), 3))
    return [
        (
            hilum[0] + side * (0.2 + 0.3 * float(s[0])) - side * 0.8,
            hilum[1] + 0.9 * float(np.sin(angle)) + 0.3 * float(s[1]),
            float(angle + s[2]) if side > 0 else float(np.pi - angle - s[2]),
            radius,
        )
        for angle, radius, s in zip(fan, radii, spread, strict=True)
    ]


def grow(
    roots: list[tuple[float, float, float, float]], rng: np.random.Generator, how: Growth, most: int = 1500
) -> NDArray[np.float64]:
    """Grow trees from the roots.

    Returns
    -------
    ndarray of float64, (N, 5)
        Pieces x0, y0, x1, y1, radius; cm.
    """
    draws = rng.random((most, 4))
    live = list(roots)
    pieces: list[tuple[float, float, float, float, float]] = []
    while live and len(pieces) < most:
        x, y, direction, radius = live.pop(0)
        u = draws[len(pieces)]
        direction += how.wander * 3.46 * (u[0] - 0.5)
        length = how.step_cm * (0.6 + 0.8 * u[1])
        x1, y1 = x + length * float(np.cos(direction)), y + length * float(np.sin(direction))
        pieces.append((x, y, x1, y1, radius))
        radius *= how.taper
        if radius < how.thinnest_cm or abs(x1) > _BEYOND[0] or abs(y1 - _BEYOND[1]) > _BEYOND[2]:
            continue
        if u[2] < how.fork:
            lean = 0.30 + 0.45 * u[3]
            sign = 1.0 if u[0] > 0.5 else -1.0  # noqa: PLR2004 - even odds
            live.append((x1, y1, direction + sign * lean, radius * how.split))
            live.append((x1, y1, direction - sign * 0.4 * lean, radius * 0.94))
        else:
            live.append((x1, y1, direction, radius))
    return np.asarray(pieces, dtype=np.float64).reshape(-1, 5)


def draw_tree(canvas: Canvas, sheet: Array, pieces: NDArray[np.float64], gain: float = 1.0) -> None:
    """Draw a tree as depth through its branches, thick over thin."""
    canvas.segments(sheet, pieces[np.argsort(pieces[:, 4], kind="stable")], 5.0 * gain)


def vessels(canvas: Canvas, rng: np.random.Generator) -> Array:
    """Depth of blood in the lungs' vessels, (H, W), cm, the lungs' outline not yet regarded."""
    arteries, veins = canvas.sheet(), canvas.sheet()
    for side in (-1, 1):
        draw_tree(canvas, arteries, grow(trunks(side, rng), rng, Growth(), most=900))
        thin = [(x, y, direction, 0.72 * radius) for x, y, direction, radius in trunks(side, rng)]
        draw_tree(canvas, veins, grow(thin, rng, Growth(wander=0.18, fork=0.42), most=900))
    blood = canvas.lay(arteries, 0.06) + canvas.lay(veins, 0.07)
    for centre, axes, turn in _HILAR_ARTERIES:
        blood = np.maximum(blood, ellipsoid(canvas.x, canvas.y, centre, axes, turn))
    grain = 0.16 * smooth_noise(rng, canvas, 0.35) + 0.16 * smooth_noise(rng, canvas, 0.9)
    return np.asarray(blood + np.maximum(0.22 + grain, 0), dtype=np.float32)
