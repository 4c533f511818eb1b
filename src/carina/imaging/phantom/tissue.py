"""Air and soft tissue: body outline, lungs, heart, great vessels, diaphragm, windpipe, stomach.

Every map is a path length along the beam in cm, (H, W) float32. The lungs are what the chest wall encloses, less the
heart and mediastinum in front of and beside them and less what the domes of the diaphragm lift into them, so that the
silhouettes (heart border, domes, costophrenic angles, lung behind the heart and below the domes) come out of the
geometry instead of being painted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carina.imaging.phantom.anatomy import Anatomy
from carina.imaging.phantom.canvas import Canvas, Mask, ellipsoid, join, lookup, smooth_noise, smoothstep
from carina.types import Array

__all__ = ["CAGE", "Tissue", "soft_tissue"]

# Half width of the lungs' envelope, cm, by height (cm below the carina).
CAGE = [
    (-11.4, 4.3),
    (-11.2, 5.2),
    (-10.7, 6.2),
    (-9.5, 7.5),
    (-7.0, 9.2),
    (-3.0, 11.2),
    (2.0, 12.7),
    (7.0, 13.6),
    (13.0, 14.1),
    (18.0, 14.2),
    (25.0, 13.8),
]
_CAGE_CHILD = [
    (-11.4, 4.3),
    (-11.2, 5.3),
    (-10.7, 6.4),
    (-9.5, 7.9),
    (-7.0, 9.9),
    (-3.0, 11.8),
    (2.0, 13.0),
    (7.0, 13.6),
    (13.0, 13.8),
    (18.0, 13.7),
    (25.0, 13.2),
]
_INNER = [(-11.4, 4.2), (-11.2, 3.4), (-10.7, 2.7), (-9.5, 2.0), (-6.0, 1.4), (0.0, 0.9), (6.0, 0.7), (25.0, 0.7)]
_DEPTH = [(-11.2, 2.0), (-9.0, 7.0), (-5.0, 11.5), (0.0, 14.0), (6.0, 15.5), (14.0, 16.5), (25.0, 15.0)]
_TRUNK = [
    (-16.0, 6.5),
    (-12.5, 8.0),
    (-10.5, 12.0),
    (-8.0, 15.3),
    (-4.0, 16.0),
    (4.0, 16.2),
    (12.0, 16.7),
    (26.0, 17.2),
]
_TRUNK_DEPTH = [(-16.0, 12.0), (-12.0, 13.0), (-8.0, 16.5), (-3.0, 20.0), (4.0, 22.0), (12.0, 23.5), (26.0, 23.0)]
_COLUMN = [
    (-18.0, 2.6),
    (-11.0, 2.7),
    (-8.0, 2.9),
    (-4.0, 2.6),
    (0.0, 2.5),
    (4.0, 2.2),
    (9.0, 2.6),
    (12.0, 3.0),
    (26.0, 2.4),
]


@dataclass(frozen=True, slots=True)
class Tissue:
    """Path lengths along the beam, (H, W) float32, cm.

    Attributes
    ----------
    body : ndarray
        Everything within the skin.
    lungs : tuple of ndarray
        Right and left lung.
    air : ndarray
        Windpipe, main bronchi, stomach and bowel gas.
    fields : tuple of ndarray of bool
        Right and left lung field as a reader outlines it: lateral to the heart and mediastinum, above the dome.
    """

    body: Array
    lungs: tuple[Array, Array]
    air: Array
    fields: tuple[Mask, Mask]


def cage(anatomy: Anatomy) -> list[tuple[float, float]]:
    """Half width of this patient's rib cage from within, by height, both cm."""
    return _CAGE_CHILD if anatomy.child else CAGE


def soft_tissue(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Tissue:
    """Lay out one patient's air and soft tissue."""
    x, y = canvas.x, canvas.y
    front = x - np.float32(anatomy.rotation_cm)
    centre = _mediastinum(anatomy, front, x, y)
    lungs, fields = [], []
    for side in (-1, 1):
        lung, dome = _lung(anatomy, np.float32(side) * x, y, left=side > 0)
        aired = np.maximum(lung - centre, 0)
        lungs.append(np.asarray(aired, dtype=np.float32))
        fields.append(np.asarray((lung > 0.25) & (centre < 0.35 * lung + 0.4) & (y < dome), dtype=np.bool_))  # noqa: PLR2004 - cm
    grain = 1 + np.float32(0.012) * smooth_noise(rng, canvas, 4.0) + np.float32(0.006) * smooth_noise(rng, canvas, 1.2)
    body = _body(anatomy, x, y) * grain
    air = _airways(front, y, child=anatomy.child) + _gas(anatomy, x, y, rng)
    # Pinning: a lung is never deeper than the body around it less its wall.
    room = np.maximum(body - np.float32(3.2), 0)
    right, left = (np.minimum(lung, room) for lung in lungs)
    return Tissue(
        body=np.asarray(body, np.float32),
        lungs=(np.asarray(right, np.float32), np.asarray(left, np.float32)),
        air=np.asarray(np.minimum(air, 0.8 * body), np.float32),
        fields=(fields[0], fields[1]),
    )


def _lung(anatomy: Anatomy, across: Array, y: Array, *, left: bool) -> tuple[Array, Array]:
    """Depth of one lung's envelope above its diaphragm, and the height of the dome at each column, cm."""
    outer, inner = lookup(y, cage(anatomy)), lookup(y, _INNER)
    place = np.clip((across - inner) / np.maximum(outer - inner, 1e-3), 0, 1)
    round_ = np.sqrt(np.maximum(1 - np.abs(2 * place - 1) ** np.float32(2.6), 0))
    depth = lookup(y, _DEPTH) * np.float32(anatomy.depth) * round_
    depth = np.where((y > CAGE[0][0]) & (outer > inner), depth, 0)
    peak, top = (6.4, anatomy.dome_cm[1]) if left else (6.2, anatomy.dome_cm[0])
    lateral = np.maximum(across - np.float32(peak), 0) / np.float32(13.9 - peak)
    medial = np.maximum(np.float32(peak) - across, 0) / np.float32(peak)
    fall = np.float32(4.6) * lateral ** np.float32(3.0) + np.float32(1.6) * medial**2
    dome = np.float32(top) + fall
    recess = np.float32(0.7) + np.float32(2.4) * smoothstep(across, 3.0, 9.0)
    below = np.clip((y - dome) / recess, 0, 1)
    return np.asarray(depth * (1 - np.sqrt(below)), dtype=np.float32), np.asarray(dome, dtype=np.float32)


def _mediastinum(anatomy: Anatomy, front: Array, x: Array, y: Array) -> Array:
    """Depth of heart, great vessels and mediastinum, cm."""
    wide = anatomy.heart
    sink = 0.75 * (anatomy.dome_cm[0] - 10.6)
    parts = [
        ellipsoid(front, y, (2.6, 7.3 + sink), (6.7 * wide, 4.9 * wide, 5.0), 36.0),
        ellipsoid(front, y, (-1.0, 6.9 + sink), (3.2 * wide, 6.0, 4.0), 6.0),
        ellipsoid(front, y, (1.9, 1.6), (2.3 * wide, 3.6, 3.4), -10.0),
        ellipsoid(front, y, (1.7, -3.0), (2.0, 2.2, 3.8), 0.0),  # aortic knob
        ellipsoid(front, y, (-1.2, -1.0), (1.9, 5.0, 3.2), 4.0),  # ascending aorta and superior vena cava
        ellipsoid(x, y, (1.6, 6.0), (1.2, 11.5, 2.2), 0.0),  # descending aorta
        ellipsoid(front, y, (0.9, anatomy.dome_cm[1] + 0.9), (5.2 * wide, 2.4, 3.6), 6.0),  # fat on the diaphragm
    ]
    if anatomy.child:
        parts.append(ellipsoid(front, y, (0.6, -2.5), (3.5, 4.2, 3.0), 0.0))  # thymus
    half = lookup(y, _COLUMN)
    column = 6.5 * np.sqrt(np.maximum(1 - np.abs(front / half) ** np.float32(2.2), 0))
    return join([np.asarray(column, np.float32), *parts])


def _body(anatomy: Anatomy, x: Array, y: Array) -> Array:
    """Depth of the body within the skin, cm."""
    stout = anatomy.habitus
    narrow = -0.6 if anatomy.child else 0.0
    half = lookup(y, _TRUNK) + np.float32(narrow + 1.5 * stout)
    depth = lookup(y, _TRUNK_DEPTH) * np.float32(anatomy.depth)
    across = np.abs(x)
    trunk = depth * np.sqrt(np.maximum(1 - (across / half) ** np.float32(3.6), 0))
    neck_half = np.float32(5.0 + 0.8 * stout + (0.6 if anatomy.child else 0.0))
    neck = 11.0 * np.sqrt(np.maximum(1 - (across / neck_half) ** 2, 0)) * smoothstep(-y, 4.0, 11.0)
    shoulder = _capsule(across, y, (7.0, -12.0), (17.0, -8.6), radius=3.4 + 0.6 * stout, depth=10.5)
    hand = (24.0, -20.0) if anatomy.arms_up else (22.5 + 1.0 * stout, 16.0)
    arm = _capsule(across, y, (18.0, -7.4), hand, radius=(3.3 if anatomy.child else 4.1) + 0.6 * stout, depth=8.5)
    joint = join([shoulder, arm])
    whole = join([np.asarray(trunk, np.float32), np.asarray(neck, np.float32), joint])
    if anatomy.breast > 0:
        sag = 7.0 + 2.5 * anatomy.breast
        size = 4.6 + 1.6 * anatomy.breast
        bust = ellipsoid(across, y, (7.6, sag), (size, size * 0.92, 1.0 + 1.3 * anatomy.breast), 0.0)
        whole = whole + bust * smoothstep(y, sag - size, sag + 0.3 * size)
    return whole


def _capsule(
    x: Array, y: Array, one: tuple[float, float], other: tuple[float, float], *, radius: float, depth: float
) -> Array:
    """Depth through a rounded limb between two points, cm."""
    ax, ay = other[0] - one[0], other[1] - one[1]
    along = np.clip(((x - one[0]) * ax + (y - one[1]) * ay) / (ax * ax + ay * ay), 0, 1)
    gap = ((x - one[0] - along * ax) ** 2 + (y - one[1] - along * ay) ** 2) / (radius * radius)
    return np.asarray(depth * np.sqrt(np.maximum(1 - gap, 0)), dtype=np.float32)


def _airways(front: Array, y: Array, *, child: bool) -> Array:
    """Depth of air in the windpipe and main bronchi, cm."""
    calibre = 0.75 if child else 0.95
    slant = front - np.float32(-0.25) * smoothstep(y, -9.0, 0.0)
    pipe = 2.6 * np.sqrt(np.maximum(calibre**2 - slant**2, 0)) * smoothstep(-y, -0.4, 0.4)
    right = _capsule(-front, y, (0.3, 0.0), (3.0, 2.6), radius=0.62 * calibre, depth=1.1 * calibre)
    left = _capsule(front, y, (0.3, 0.1), (4.0, 2.5), radius=0.52 * calibre, depth=0.95 * calibre)
    return np.asarray(np.maximum(pipe, np.maximum(right, left)), dtype=np.float32)


def _gas(anatomy: Anatomy, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Depth of gas in stomach and colon, cm."""
    u = rng.random(16)
    size = anatomy.stomach
    floor = anatomy.dome_cm[1]
    gas = np.zeros_like(x)
    if size > 0.15:  # noqa: PLR2004 - smaller bubbles are not seen
        centre = (6.0 + u[0], floor + 1.3 + 1.9 * size)
        bubble = ellipsoid(x, y, centre, (1.6 + 2.2 * size, 1.0 + 1.5 * size, 1.4 + 1.5 * size), 8.0 * (u[1] - 0.5))
        level = centre[1] + (0.5 + 0.5 * u[2]) * size
        erect = anatomy.view == "PA"
        gas = bubble * (smoothstep(-y, -level - 0.12, -level + 0.12) if erect else np.float32(0.7))
    for i in range(3):
        spot = (-9.0 + 20.0 * u[3 + i], floor + 5.5 + 4.0 * u[6 + i])
        if spot[0] < 1.0:
            spot = (spot[0], spot[1] + 2.5)  # the liver lies there
        gas = gas + ellipsoid(
            x, y, spot, (0.8 + 1.6 * u[9 + i], 0.6 + 0.9 * u[12 + i], 0.4 + 1.4 * u[15 - i]), 90 * u[i]
        )
    return np.asarray(gas, dtype=np.float32)
