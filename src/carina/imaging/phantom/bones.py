"""Ribs, clavicles, shoulder blades, upper arms and spine as path lengths of bone along the beam, cm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carina.imaging.phantom.anatomy import Anatomy
from carina.imaging.phantom.canvas import Canvas
from carina.imaging.phantom.tissue import cage
from carina.types import Array

__all__ = ["bones"]

_FIRST_RIB, _RIB_STEP, _RIBS = -10.1, 2.32, 11
_SHORT_RIB = 10  # this rib and those below end in the flank
_LAP = 0.04  # radians by which the front and the back half overlap
_TRUE_RIB = 7  # ribs below reach the breastbone only through others


def bones(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Array:
    """Lay out one patient's skeleton.

    Returns
    -------
    ndarray of float32, (H, W)
        Path length through bone, cm; cancellous bone counts as the compact bone that would weaken the beam as much.
    """
    back, front = canvas.sheet(), canvas.sheet()
    jitter = 0.16 * rng.standard_normal((2, _RIBS + 1))
    for side in (-1, 1):
        for rib in range(1, _RIBS + 1):
            _rib(anatomy, canvas, back, front, side=side, rib=rib, shift=float(jitter[(side + 1) // 2, rib]))
    strength = 1.0 if not anatomy.child else 0.85
    thorax = 0.56 * canvas.lay(back, 0.05) + 0.46 * canvas.lay(front, 0.07)
    girdle = _girdle(anatomy, canvas, rng)
    return np.asarray(strength * (thorax + girdle) + _spine(anatomy, canvas), dtype=np.float32)


def _rib(anatomy: Anatomy, canvas: Canvas, back: Array, front: Array, *, side: int, rib: int, shift: float) -> None:
    """Draw one rib: an inclined half ring seen from the front, denser where it runs along the beam."""
    drop = anatomy.rib_drop * float(np.interp(rib, [1, 2, 3, 5, 9, 11], [4.4, 6.4, 8.2, 10.2, 11.4, 11.0]))
    high = _FIRST_RIB + _RIB_STEP * (rib - 1) + shift
    walls = np.asarray(cage(anatomy))
    reach = float(np.interp(high + drop / 2, walls[:, 0], walls[:, 1])) + 0.25
    if rib == 1:
        reach = 6.3
    last = 58.0 if rib <= _TRUE_RIB else 58.0 - 16.0 * (rib - _TRUE_RIB)
    if rib > _SHORT_RIB:
        last = -48.0
    turn = np.radians(np.linspace(-79.0, last, 72))
    x = reach * np.cos(turn) ** 0.95
    y = high + drop * (1 + np.sin(turn)) / 2 - 0.5 * np.cos(turn) ** 2 * (turn < 0)
    path = np.stack([side * x + anatomy.rotation_cm * (1 + np.sin(turn)) / 2, y], axis=1)
    step = np.gradient(path, axis=0)
    flat = np.hypot(step[:, 0], step[:, 1])
    beam = 0.62 * reach * np.cos(turn) * np.gradient(turn)
    long = np.clip(np.hypot(flat, beam) / np.maximum(flat, 1e-6), 1, 1.9)
    level = np.abs(step[:, 0]) / np.maximum(flat, 1e-6)
    width = (0.62 + 0.62 * level) * (0.85 if anatomy.child else 1.0)
    widen = np.where(np.degrees(turn) > last - 14, 1.25, 1.0)
    if rib > _TRUE_RIB:  # their tips are thin gristle
        long = long * np.clip((last - np.degrees(turn)) / 26.0, 0.25, 1.0)
    if rib == 1:
        long = 0.7 * long
    for sheet, part in ((back, turn <= _LAP), (front, turn >= -_LAP)):
        if part.sum() > 1:
            _tube(canvas, sheet, path[part], (width * widen)[part], long[part])


def _tube(
    canvas: Canvas, sheet: Array, path: NDArray[np.float64], width: NDArray[np.float64], value: NDArray[np.float64]
) -> None:
    """Draw a long bone: compact rim, lighter core."""
    canvas.strip(sheet, path, width, value)
    canvas.strip(sheet, path, 0.70 * width, 0.74 * value)


def _bezier(knots: list[tuple[float, float]], count: int = 40) -> NDArray[np.float64]:
    """Points (count, 2) on a smooth curve through the knots."""
    points = np.asarray(knots, dtype=np.float64)
    at = np.linspace(0, 1, len(points))
    degree = min(3, len(points) - 1)
    fine = np.linspace(0, 1, count)
    return np.stack([np.polyval(np.polyfit(at, points[:, i], degree), fine) for i in (0, 1)], axis=1)


def _girdle(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Array:
    """Clavicles, shoulder blades and upper arms."""
    collar, blade, arm = canvas.sheet(), canvas.sheet(), canvas.sheet()
    lift = -1.2 if anatomy.view == "AP" else 0.0
    for side in (-1, 1):
        u = rng.random(3)
        out = anatomy.scapula_cm + 0.3 * u[0]
        inner = 1.7 * side + anatomy.rotation_cm
        rise = lift + 0.6 * (u[1] - 0.5)
        knots = [(1.0, -8.3), (4.6, -9.3 + rise), (9.5, -10.1 + rise), (13.8, -11.2 + rise), (16.6, -11.0 + rise)]
        path = _bezier([(inner + side * (kx - 1.0), ky) for kx, ky in knots])
        width = np.interp(np.linspace(0, 1, 40), [0, 0.15, 0.5, 0.8, 1], [1.55, 1.1, 0.9, 1.05, 1.3])
        _tube(canvas, collar, path, width * (0.8 if anatomy.child else 1.0), np.full(40, 1.0))
        _blade(canvas, blade, side=side, out=out)
        hand = (22.5, -19.0) if anatomy.arms_up else (22.6, 22.0)
        shaft = _bezier(
            [
                (side * 17.4, -8.3),
                (side * (17.4 + (hand[0] - 17.4) * 0.5), (hand[1] - 8.3) / 2),
                (side * hand[0], hand[1]),
            ]
        )
        taper = np.interp(np.linspace(0, 1, 40), [0, 0.12, 0.25, 1], [3.6, 3.3, 2.1, 1.9])
        _tube(canvas, arm, shaft, taper, np.full(40, 1.0))
        head = np.linspace(0, 2 * np.pi, 40)
        ball = np.stack([side * 17.3 + 2.0 * np.cos(head), -8.6 + 2.1 * np.sin(head)], axis=1)
        canvas.polygon(arm, ball, 0.9)
        canvas.line(arm, ball, 0.12, 1.1)
    collarbone = 0.9 * canvas.lay(collar, 0.06)
    shoulder = 1.1 * canvas.lay(arm, 0.08) * (0.7 if anatomy.child else 1.0)
    return np.asarray(collarbone + shoulder + 0.7 * canvas.lay(blade, 0.08), dtype=np.float32)


def _blade(canvas: Canvas, sheet: Array, *, side: int, out: float) -> None:
    """Draw one shoulder blade: thin plate, dense borders, spine and socket."""
    outline = [
        (9.2, -8.8),
        (11.5, -9.4),
        (15.6, -8.6),
        (16.0, -7.0),
        (15.0, -5.6),
        (13.4, -1.0),
        (12.2, 2.4),
        (11.4, 2.6),
        (10.6, 0.0),
        (9.6, -5.0),
    ]
    points = np.asarray([(side * (px + out), py) for px, py in outline])
    canvas.polygon(sheet, points, 0.34)
    canvas.line(sheet, points[3:8], 0.42, 1.0)
    canvas.line(sheet, np.vstack([points[7:], points[:1]]), 0.18, 0.62)
    ridge = _bezier([(side * (9.5 + out), -7.2), (side * (13.0 + out), -8.8), (side * (16.8 + 0.5 * out), -10.6)])
    _tube(canvas, sheet, ridge, np.linspace(0.5, 1.3, 40), np.full(40, 0.9))
    socket = np.asarray(
        [(side * (15.7 + out * 0.6), -9.6), (side * (15.3 + out * 0.6), -8.3), (side * (15.6 + out * 0.6), -6.9)]
    )
    canvas.line(sheet, socket, 0.5, 1.1)


def _spine(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Vertebrae from the lower neck to the upper loin, with discs, pedicles and spinous processes."""
    bodies, marks = canvas.sheet(), canvas.sheet()
    for level in range(-3, 15):
        y = _FIRST_RIB + 0.25 + _RIB_STEP * level
        half = float(np.interp(level, [-3, 0, 6, 12, 15], [1.25, 1.45, 1.5, 1.95, 2.2]))
        tall = 0.5 * _RIB_STEP * (0.74 if anatomy.child else 0.80)
        waist = half * 0.9
        body = [(-half, y - tall), (half, y - tall), (waist, y), (half, y + tall), (-half, y + tall), (-waist, y)]
        points = np.asarray(body)
        canvas.polygon(bodies, points, 0.80)
        for edge in (points[:2], points[3:5]):
            canvas.line(bodies, edge, 0.16, 1.25)
        for side in (-1, 1):
            flank = np.asarray([(side * half, y - tall), (side * waist, y), (side * half, y + tall)])
            canvas.line(bodies, flank, 0.12, 1.05)
            canvas.strip(
                marks,
                np.asarray([(side * half, y - 0.45), (side * (half + 1.0), y - 0.6), (side * (half + 1.7), y - 0.75)]),
                np.asarray([0.8, 0.7, 0.6]),
                np.full(3, 0.7),
            )
            ring = np.linspace(0, 2 * np.pi, 20)
            eye = np.stack([side * 0.62 * half + 0.26 * np.cos(ring), y - 0.35 + 0.42 * np.sin(ring)], axis=1)
            canvas.line(marks, eye, 0.12, 0.9)
        thorn = np.asarray([(-0.2, y + 0.1), (0.2, y + 0.1), (0.32, y + 1.2), (-0.32, y + 1.2)])
        canvas.polygon(marks, thorn, 0.7)
    return np.asarray(0.62 * canvas.lay(bodies, 0.10) + 0.45 * canvas.lay(marks, 0.09), dtype=np.float32)
