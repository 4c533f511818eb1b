"""The planted disease: consolidation, interstitial streaks, ground glass.

Appearances follow the radiology of community-acquired pneumonia: a lobar consolidation keeps to its lobe and shows air
bronchograms; viral pneumonia of the airways thickens what surrounds the bronchi on both sides of the hila; COVID-19
lays hazy patches along the pleura of both lower zones (Franquet 2011, doi:10.1148/radiol.11092149; Wong et al. 2020,
doi:10.1148/radiol.2020201160).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from carina.imaging.phantom.canvas import Canvas, Mask, smooth_noise, smoothstep
from carina.imaging.phantom.tissue import Tissue
from carina.imaging.phantom.vessels import HILA, Growth, draw_tree, grow, trunks
from carina.types import Array

__all__ = ["LABELS", "Opacity", "plant"]

LABELS = ("normal", "bacterial", "viral", "covid19")

# Lobe: side, centre and half axes of its consolidation (cm), and a fissure it does not cross: (height, slope, above).
_LOBES: dict[str, tuple[int, tuple[float, float], tuple[float, float], tuple[float, float, bool] | None]] = {
    "right upper": (-1, (6.6, -4.2), (5.2, 5.4), (1.4, 0.05, True)),
    "right middle": (-1, (6.0, 6.2), (5.2, 4.4), (1.8, 0.08, False)),
    "right lower": (-1, (7.8, 8.6), (5.6, 5.2), None),
    "left upper": (1, (6.6, -2.4), (5.0, 6.4), None),
    "left lower": (1, (8.2, 8.8), (5.2, 5.0), None),
}
_LOBE_SHARES = (0.22, 0.18, 0.25, 0.13, 0.22)


@dataclass(frozen=True, slots=True)
class Opacity:
    """What was planted.

    Attributes
    ----------
    depth : ndarray of float32, (H, W)
        Air replaced by fluid along the beam, cm.
    mask : ndarray of bool, (H, W)
        The opacity's extent.
    where : str
        In words, such as ``"right lower lobe"``; empty for a normal film.
    severity : float
        0 slight to 1 extensive.
    """

    depth: Array
    mask: Mask
    where: str
    severity: float


def plant(label: str, tissue: Tissue, canvas: Canvas, rng: np.random.Generator, severity: float | None) -> Opacity:
    """Plant the opacity of a class into the lungs."""
    drawn = float(rng.random())
    degree = drawn if severity is None else severity
    if label == "normal":
        blank = np.zeros((canvas.size, canvas.size), np.float32)
        return Opacity(depth=blank, mask=blank > 0, where="", severity=0.0)
    if label == "bacterial":
        share, extent, where = _consolidation(canvas, rng, degree)
    elif label == "viral":
        share, extent, where = _streaks(canvas, rng, degree)
    else:
        share, extent, where = _ground_glass(canvas, rng, degree, tissue)
    lungs = tissue.lungs[0] + tissue.lungs[1]
    inside = cv2.GaussianBlur(lungs, (0, 0), max(0.3, 0.06 * canvas.per_cm))
    depth = np.asarray(share * inside, dtype=np.float32)
    seen = tissue.fields[0] | tissue.fields[1]
    mask = np.asarray(extent & seen & (inside > 1.0), dtype=np.bool_)
    return Opacity(depth=depth, mask=mask, where=where, severity=degree)


def _consolidation(canvas: Canvas, rng: np.random.Generator, severity: float) -> tuple[Array, Mask, str]:
    """One lobe or a part of it, dense, with air bronchograms."""
    name = list(_LOBES)[int(rng.choice(len(_LOBES), p=_LOBE_SHARES))]
    side, centre, axes, fissure = _LOBES[name]
    u = rng.random(5)
    size = 0.62 + 0.42 * severity
    x, y = np.float32(side) * canvas.x, canvas.y
    cx, cy = centre[0] + 2.4 * (1 - size) * (u[0] - 0.5) * 2, centre[1] + 2.4 * (1 - size) * (u[1] - 0.5) * 2
    ring = np.sqrt(((x - cx) / (axes[0] * size)) ** 2 + ((y - cy) / (axes[1] * size)) ** 2)
    ragged = np.float32(0.13) * smooth_noise(rng, canvas, 3.0) + np.float32(0.06) * smooth_noise(rng, canvas, 1.0)
    field = np.asarray(1.0 - ring + ragged, dtype=np.float32)
    share = smoothstep(field, -0.30, 0.44)
    if fissure is not None:
        height, slope, above = fissure
        edge = height + slope * (x - 6.0) + 0.25 * np.sin(x / 2.2)
        share = share * smoothstep((edge - y) if above else (y - edge), -0.12, 0.12)
    share = share * (x > 0.5)  # noqa: PLR2004 - the other lung stays clear
    extent = np.asarray(share >= 0.5, dtype=np.bool_)  # noqa: PLR2004 - half way up the edge
    patchy = np.clip(1 + np.float32(0.09) * smooth_noise(rng, canvas, 1.4), 0.7, 1.2)
    dense = (0.34 + 0.26 * u[2]) * share * patchy
    tubes = canvas.sheet()
    hilum = HILA[(side + 1) // 2]
    towards = float(np.arctan2(cy - hilum[1], side * cx - hilum[0]))
    roots = [(hilum[0], hilum[1], towards + lean, 0.15) for lean in (-0.45, -0.15, 0.15, 0.45)]
    draw_tree(canvas, tubes, grow(roots, rng, Growth(step_cm=0.9, taper=0.95, fork=0.3, thinnest_cm=0.09), most=120))
    air = canvas.lay(tubes, 0.05)
    return np.asarray(np.maximum(dense - 0.30 * np.minimum(air, 0.6) * share, 0), np.float32), extent, f"{name} lobe"


def _streaks(canvas: Canvas, rng: np.random.Generator, severity: float) -> tuple[Array, Mask, str]:
    """Both sides around the hila: thickened bronchial walls, strands and a faint haze."""
    strands, walls = canvas.sheet(), canvas.sheet()
    near = np.zeros((canvas.size, canvas.size), np.float32)
    reach = 4.2 + 2.4 * severity
    for side in (-1, 1):
        hilum = HILA[(side + 1) // 2]
        dx, dy = canvas.x - hilum[0] - side * 1.2, canvas.y - hilum[1] - 1.2
        ragged = 1 + np.float32(0.18) * smooth_noise(rng, canvas, 2.0)
        near = np.maximum(near, np.exp(-((dx / reach) ** 2 + (dy / (1.25 * reach)) ** 2) * ragged))
        for turn in range(2):
            roots = [(x, y, a + 0.1 * (turn - 0.5), 0.13) for x, y, a, _ in trunks(side, rng)]
            how = Growth(step_cm=0.6, wander=0.24, fork=0.44, taper=0.965, split=0.92, thinnest_cm=0.055)
            tree = grow(roots, rng, how, most=420)
            draw_tree(canvas, strands, tree, gain=0.5)
            draw_tree(canvas, walls, tree * np.asarray([1, 1, 1, 1, 0.45]), gain=0.6)
    net = np.abs(smooth_noise(rng, canvas, 0.45))
    mesh = np.maximum(0.9 - 1.4 * net, 0)
    lines = np.maximum(canvas.lay(strands, 0.05) - 0.9 * canvas.lay(walls, 0.04), 0)
    strength = 0.6 + 0.6 * severity
    share = strength * near * (0.12 + 0.62 * np.minimum(lines, 0.5) + 0.10 * mesh)
    extent = np.asarray(near >= 0.42, dtype=np.bool_)  # noqa: PLR2004 - streaks are lost in the vessels beyond
    return np.asarray(share, np.float32), extent, "perihilar, both sides"


def _ground_glass(canvas: Canvas, rng: np.random.Generator, severity: float, tissue: Tissue) -> tuple[Array, Mask, str]:
    """Both sides along the pleura, lower zones first: hazy patches with a fine mesh."""
    field = np.zeros((canvas.size, canvas.size), np.float32)
    for lung in tissue.fields:
        rows, columns = np.nonzero(lung)
        if not len(rows):
            continue
        top, bottom = int(rows.min()), int(rows.max())
        for patch in range(2 + round(3 * severity)):
            u = rng.random(5)
            down = 0.66 + 0.26 * u[0] if patch < 2 else 0.34 + 0.5 * u[0]  # noqa: PLR2004 - the first two lie low
            row = int(top + down * (bottom - top))
            line = columns[rows == row]
            if not len(line):
                continue
            middle = float(canvas.x[row, int(np.median(line))])
            ends = (float(canvas.x[row, line.min()]), float(canvas.x[row, line.max()]))
            lateral, medial = (ends[0], ends[1]) if middle < 0 else (ends[1], ends[0])
            cx = lateral + (0.10 + 0.28 * u[1]) * (medial - lateral)
            cy = float(canvas.y[row, int(np.median(line))])
            a, b = 1.5 + 1.1 * u[2] + 0.8 * severity, 1.7 + 1.6 * u[3] + 0.9 * severity
            ring = ((canvas.x - cx) / a) ** 2 + ((canvas.y - cy) / b) ** 2
            field = np.maximum(field, (0.7 + 0.3 * u[4]) * np.exp(-0.8 * ring))
    ragged = np.float32(0.10) * smooth_noise(rng, canvas, 2.0) + np.float32(0.05) * smooth_noise(rng, canvas, 0.8)
    share = smoothstep(np.asarray(field * (1 + ragged) + 0.35 * ragged * field, np.float32), 0.12, 0.78)
    extent = np.asarray(share >= 0.5, dtype=np.bool_)  # noqa: PLR2004 - half way up the edge
    mesh = np.maximum(0.8 - 1.3 * np.abs(smooth_noise(rng, canvas, 0.5)), 0)
    patchy = np.clip(1 + np.float32(0.22) * smooth_noise(rng, canvas, 1.1), 0.5, 1.5)
    dense = (0.20 + 0.14 * severity) * share * patchy + 0.09 * share * mesh
    return np.asarray(dense, np.float32), extent, "peripheral lower zones, both sides"
