"""Made opacities laid into films that have none: the labels that boxes and opacity map learn from (M21, M22).

No film here has a real outline of its opacity, and the few real boxes are kept to judge by. So the truth is made: the
lung of a normal film is lifted towards the film's own soft tissue, where and as consolidation, patches, ground glass or
haze would, so that ribs and vessels shine through; and films are also marked with what is *no* opacity (lines, discs,
dark spots, breast shadows), so that the trace of the making itself gives nothing away.

References
----------
Appearances: Franquet 2011, doi:10.1148/radiol.11092149; Wong 2020, doi:10.1148/radiol.2020201160.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.imaging.lung_fields import LEFT, RIGHT, LungFields, heart
from carina.types import Array

__all__ = ["KINDS", "LungRoom", "Planted", "boxes_around", "distract", "plant_opacity"]

Mask = NDArray[np.bool_]
_Draw = np.random.Generator

_JOIN = 0.025
_LEAST = 0.0008
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Planted:
    """A film with a made opacity, and the truth about it.

    Attributes
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1], 0 black.
    extent : ndarray of bool, (H, W)
        Where the opacity lies: half way up its edges, within the lung fields.
    kind : str
        One of `KINDS`.
    """

    pixels: Array
    extent: Mask
    kind: str


def boxes_around(extent: Mask) -> NDArray[np.float32]:
    """Boxes of an opacity's parts; parts a fortieth of the side apart are one, specks are none.

    Parameters
    ----------
    extent : ndarray of bool, (H, W)

    Returns
    -------
    ndarray of float32, (M, 4)
        x0, y0, x1, y1 in pixels, edges of the outermost pixels, largest part first.

    Examples
    --------
    >>> extent = np.zeros((40, 40), bool)
    >>> extent[10:20, 4:12] = True
    >>> boxes_around(extent).tolist()
    [[4.0, 10.0, 12.0, 20.0]]
    """
    reach = 2 * max(1, round(_JOIN * max(extent.shape) / 2)) + 1
    joined = cv2.morphologyEx(extent.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, parts = cv2.connectedComponents(joined, connectivity=8)
    found: list[tuple[int, tuple[int, int, int, int]]] = []
    for number in range(1, count):
        part = ((parts == number) & extent).astype(np.uint8)
        area = int(part.sum())
        if area >= max(4.0, _LEAST * extent.size):
            x, y, width, height = cv2.boundingRect(part)
            found.append((area, (x, y, x + width, y + height)))
    found.sort(reverse=True)
    return np.asarray([box for _, box in found], np.float32).reshape(-1, 4)


def plant_opacity(pixels: Array, room: LungRoom, draw: _Draw, kind: str | None = None) -> Planted:
    """Lay one made opacity, of one or several parts, into a film.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        A film without an opacity, in [0, 1].
    room : LungRoom
        Of the film.
    draw : numpy.random.Generator
    kind : str or None
        One of `KINDS`; drawn by their shares where `None`.

    Returns
    -------
    Planted
    """
    chosen = kind or str(draw.choice(list(KINDS), p=[share for share, _ in KINDS.values()]))
    share, density = KINDS[chosen][1](room, draw)
    extent = np.asarray((share >= _HALF) & (room.fields.mask > 0) & (room.open > _HALF), np.bool_)
    amount = np.clip(share * density * room.open * room.patchy(draw), 0.0, 1.0)
    return Planted(_lifted(pixels, amount, room, draw), extent, chosen)


class LungRoom:
    """Where an opacity can lie on a film, in units of its lungs.

    Parameters
    ----------
    fields : LungFields
        At least one lung that the heart does not cover.
    draw : numpy.random.Generator
    """

    def __init__(self, fields: LungFields, draw: _Draw) -> None:
        self.shape = fields.mask.shape
        self.fields = fields
        self.free: Mask = np.asarray((fields.mask > 0) & ~heart(fields))
        sides = [side for side in (RIGHT, LEFT) if (self.free & (fields.mask == side)).any()]
        self.sides = [int(side) for side in draw.permutation(sides)]
        rows = np.flatnonzero((fields.mask > 0).any(1))
        self.height = float(rows[-1] - rows[0] + 1) if rows.size else float(self.shape[0])
        soft = max(0.6, 0.012 * self.height)
        # what lies behind heart and mediastinum shows, but less
        whole = np.where(self.free, 1.0, np.where(fields.mask > 0, 0.5 + 0.4 * draw.random(), 0.0))
        self.open = np.asarray(cv2.GaussianBlur(whole.astype(np.float32), (0, 0), soft), np.float32)
        self.y, self.x = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)

    def lung(self, side: int) -> tuple[Mask, tuple[int, int, int, int]]:
        """Free part of one lung and its box: x, y, width, height."""
        free = np.asarray(self.free & (self.fields.mask == side))
        x, y, width, height = cv2.boundingRect(free.astype(np.uint8))
        return free, (int(x), int(y), int(width), int(height))

    def spot(self, side: int, draw: _Draw) -> tuple[float, float]:
        """Draw a point of one lung, now and then behind the heart."""
        behind = draw.random() < 0.2  # noqa: PLR2004 -- a share of films
        rows, columns = np.nonzero(self.fields.mask == side if behind else self.lung(side)[0])
        pick = int(draw.integers(len(rows)))
        return float(columns[pick]), float(rows[pick])

    def noise(self, draw: _Draw, grain: float) -> Array:
        """Smooth noise of mean 0 and deviation about 1, blobs of `grain` lung heights."""
        cells = [int(np.clip(side / (self.height * grain), 2, 128)) + 2 for side in self.shape]
        coarse = draw.standard_normal(cells, dtype=np.float32)
        fine = cv2.resize(coarse, (self.shape[1], self.shape[0]), interpolation=cv2.INTER_CUBIC)
        return np.asarray(fine / 0.75, np.float32)

    def blob(self, centre: tuple[float, float], axes: tuple[float, float], draw: _Draw, soft: float) -> Array:
        """Ragged ellipse, 1 inside to 0 outside; half axes in lung heights, `soft` the width of its edge."""
        turn = draw.uniform(-0.6, 0.6)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        across = (cos * dx + sin * dy) / np.float32(axes[0] * self.height)
        down = (cos * dy - sin * dx) / np.float32(axes[1] * self.height)
        ragged = 0.16 * self.noise(draw, 0.14) + 0.07 * self.noise(draw, 0.05)
        field = 1.0 - np.sqrt(across * across + down * down) + ragged.astype(np.float32)
        t = np.clip(field / np.float32(2 * soft) + np.float32(_HALF), 0.0, 1.0)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    def patchy(self, draw: _Draw) -> Array:
        """Uneven density, and sometimes a fine mesh."""
        rough = 1.0 + draw.uniform(0.03, 0.2) * self.noise(draw, draw.uniform(0.04, 0.12))
        if draw.random() < 0.35:  # noqa: PLR2004 -- a share of films
            rough = rough + draw.uniform(0.1, 0.3) * np.maximum(0.8 - np.abs(self.noise(draw, 0.025)), 0.0)
        return np.asarray(np.clip(rough, 0.3, 1.5), np.float32)


_Shape = tuple[Array, float]


def _lobar(room: LungRoom, draw: _Draw) -> _Shape:
    """One lobe or a good part of it, dense, often with a straight fissure and air in its bronchi."""
    side = room.sides[0]
    _, (x, _, width, _) = room.lung(side)
    centre = room.spot(side, draw)
    size = draw.uniform(0.14, 0.38)
    share = room.blob(centre, (size * draw.uniform(0.7, 1.3), size), draw, draw.uniform(0.08, 0.4))
    if draw.random() < 0.3:  # noqa: PLR2004 -- a share of films
        edge = centre[1] + draw.uniform(-0.4, 0.4) * size * room.height + draw.uniform(-0.2, 0.2) * (room.x - centre[0])
        sign = 1.0 if draw.random() < _HALF else -1.0
        share = share * np.clip(sign * (room.y - edge) / (0.02 * room.height) + _HALF, 0.0, 1.0).astype(np.float32)
    density = draw.uniform(0.4, 1.0)
    if draw.random() < _HALF:
        root = (x if side == LEFT else x + width, centre[1] - draw.uniform(0.0, 0.2) * room.height)
        share = share * (1.0 - draw.uniform(0.15, 0.45) * _bronchi(room, root, centre, draw))
    return np.asarray(share, np.float32), density


def _bronchi(room: LungRoom, root: tuple[float, float], towards: tuple[float, float], draw: _Draw) -> Array:
    """Branching lines from the hilum into the opacity: 1 on them."""
    sheet = np.zeros(room.shape, np.float32)
    aim = np.arctan2(towards[1] - root[1], towards[0] - root[0])
    tips = [(root[0], root[1], aim + lean) for lean in draw.uniform(-0.6, 0.6, 3)]
    step = 0.05 * room.height
    for depth in range(9):
        grown: list[tuple[float, float, float]] = []
        for x, y, angle in tips[:12]:
            end = (x + step * np.cos(angle), y + step * np.sin(angle))
            thick = max(1, round(0.016 * room.height * 0.9**depth))
            cv2.line(sheet, (round(x), round(y)), (round(end[0]), round(end[1])), 1.0, thick, cv2.LINE_AA)
            turns = draw.uniform(-0.3, 0.3, 1) if draw.random() < 0.6 else draw.uniform(-0.7, 0.7, 2)  # noqa: PLR2004
            grown += [(float(end[0]), float(end[1]), float(angle + turn)) for turn in turns]
        tips = grown
    return np.asarray(np.clip(cv2.GaussianBlur(sheet, (0, 0), 0.8), 0.0, 1.0), np.float32)


def _focal(room: LungRoom, draw: _Draw) -> _Shape:
    """One patch anywhere."""
    size = float(np.exp(draw.uniform(np.log(0.06), np.log(0.22))))
    axes = (size * draw.uniform(0.7, 1.4), size)
    return room.blob(room.spot(room.sides[0], draw), axes, draw, draw.uniform(0.12, 0.5)), draw.uniform(0.35, 0.95)


def _patchy(room: LungRoom, draw: _Draw) -> _Shape:
    """Several patches in one lung or both."""
    share = np.zeros(room.shape, np.float32)
    sides = room.sides if draw.random() < 0.6 else room.sides[:1]  # noqa: PLR2004 -- a share of films
    for _ in range(int(draw.integers(2, 8))):
        size = draw.uniform(0.05, 0.15)
        side = sides[int(draw.integers(len(sides)))]
        axes = (size * draw.uniform(0.7, 1.4), size)
        share = np.maximum(share, room.blob(room.spot(side, draw), axes, draw, draw.uniform(0.15, 0.5)))
    return share, draw.uniform(0.3, 0.8)


def _peripheral(room: LungRoom, draw: _Draw) -> _Shape:
    """Ground glass along the pleura, lower zones first, mostly on both sides."""
    share = np.zeros(room.shape, np.float32)
    for side in room.sides if draw.random() < 0.8 else room.sides[:1]:  # noqa: PLR2004 -- a share of films
        free, (left, top, width, height) = room.lung(side)
        for _ in range(int(draw.integers(1, 4))):
            row = int(top + draw.uniform(0.35, 0.92) * height)
            columns = np.flatnonzero(free[min(row, free.shape[0] - 1)])
            inner = draw.uniform(0.0, 0.35)
            ends = (columns[0], columns[-1]) if columns.size else (left, left + width)
            x = ends[0] + inner * (ends[1] - ends[0]) if side == RIGHT else ends[1] - inner * (ends[1] - ends[0])
            axes = (draw.uniform(0.07, 0.18), draw.uniform(0.09, 0.24))
            share = np.maximum(share, room.blob((float(x), float(row)), axes, draw, draw.uniform(0.25, 0.6)))
    return share, draw.uniform(0.25, 0.6)


def _haze(room: LungRoom, draw: _Draw) -> _Shape:
    """Most of one lung or both, faint to dense, often from below upwards."""
    share = np.zeros(room.shape, np.float32)
    for side in room.sides if draw.random() < 0.4 else room.sides[:1]:  # noqa: PLR2004 -- a share of films
        _, (x, y, width, height) = room.lung(side)
        centre = (x + draw.uniform(0.3, 0.7) * width, y + draw.uniform(0.4, 0.95) * height)
        axes = (draw.uniform(0.22, 0.4), draw.uniform(0.28, 0.6))
        share = np.maximum(share, room.blob(centre, axes, draw, draw.uniform(0.2, 0.6)))
    return share, draw.uniform(0.3, 0.9)


def _perihilar(room: LungRoom, draw: _Draw) -> _Shape:
    """Around the hilum, streaky, one side or both."""
    share = np.zeros(room.shape, np.float32)
    for side in room.sides if draw.random() < 0.6 else room.sides[:1]:  # noqa: PLR2004 -- a share of films
        _, (x, y, width, height) = room.lung(side)
        hilum = (x + (0.75 if side == RIGHT else 0.25) * width, y + draw.uniform(0.42, 0.65) * height)
        axes = (draw.uniform(0.12, 0.24), draw.uniform(0.14, 0.3))
        share = np.maximum(share, room.blob(hilum, axes, draw, draw.uniform(0.25, 0.6)))
    streaks = np.clip(1.0 - 0.8 * np.abs(room.noise(draw, 0.03)), 0.0, 1.0)
    lines = draw.uniform(0.0, 0.35)
    return np.asarray(share * (1 - lines + lines * streaks), np.float32), draw.uniform(0.35, 0.85)


KINDS: dict[str, tuple[float, Callable[[LungRoom, _Draw], _Shape]]] = {
    "lobar": (0.28, _lobar),
    "focal": (0.24, _focal),
    "patchy": (0.16, _patchy),
    "peripheral": (0.14, _peripheral),
    "haze": (0.10, _haze),
    "perihilar": (0.08, _perihilar),
}
"""Kinds of made opacity: share of films, and how share (H, W) in [0, 1] and density are drawn."""


def _lifted(pixels: Array, amount: Array, room: LungRoom, draw: _Draw) -> Array:
    """Lift the lung towards the film's own soft tissue, its detail fading but not lost."""
    slow = cv2.GaussianBlur(pixels, (0, 0), max(1.0, 0.03 * room.height))
    x, y, width, height = cv2.boundingRect((room.fields.mask > 0).astype(np.uint8))
    solid = np.asarray(~room.free)[y : y + height, x : x + width]
    tissue = pixels[y : y + height, x : x + width][solid]
    level = float(np.quantile(tissue, draw.uniform(0.45, 0.85))) if tissue.size else float(pixels.max())
    rise = np.maximum(level - slow, draw.uniform(0.05, 0.12))
    fade = 1.0 - draw.uniform(0.2, 0.6) * amount
    return np.asarray(np.clip(slow + amount * rise + (pixels - slow) * fade, 0.0, 1.0), np.float32)


def distract(pixels: Array, room: LungRoom, draw: _Draw) -> Array:
    """Mark a film with what is no opacity: a dark spot, lines, discs, breast shadows, a slope of exposure.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
    room : LungRoom
    draw : numpy.random.Generator

    Returns
    -------
    ndarray of float32, (H, W)
        In [0, 1].
    """
    film = pixels
    for share, mark in (
        (0.15, _bulla),
        (0.25, _line),
        (0.15, _disc),
        (0.2, _metal),
        (0.2, _breasts),
        (0.3, _slope),
        (0.2, _outside),
    ):
        if draw.random() < share:
            film = mark(film, room, draw)
    return np.asarray(np.clip(film, 0.0, 1.0), np.float32)


def _bulla(film: Array, room: LungRoom, draw: _Draw) -> Array:
    axes = (draw.uniform(0.05, 0.2), draw.uniform(0.05, 0.25))
    spot = room.blob(room.spot(room.sides[0], draw), axes, draw, draw.uniform(0.1, 0.5)) * room.open
    return np.asarray(film * (1.0 - draw.uniform(0.2, 0.6) * spot), np.float32)


def _line(film: Array, room: LungRoom, draw: _Draw) -> Array:
    sheet = np.zeros(room.shape, np.float32)
    knots = draw.uniform(-0.1, 1.1, (4, 2)) * (room.shape[1], room.shape[0])
    t = np.linspace(0, 1, 40)[:, None]
    a, b, c, d = knots
    curve = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
    thick = int(draw.integers(1, 3))
    cv2.polylines(sheet, [np.rint(curve).astype(np.int32)], isClosed=False, color=1.0, thickness=thick)
    soft = cv2.GaussianBlur(sheet, (0, 0), 0.6)
    return np.asarray(film + draw.uniform(0.1, 0.5) * soft, np.float32)


def _metal(film: Array, room: LungRoom, draw: _Draw) -> Array:
    """Electrodes, clips, a pacemaker, a port: sharp-edged, as bright as anything on the film, whole or hollow."""
    sheet = np.zeros(room.shape, np.float32)
    spot = room.spot(room.sides[0], draw)
    for _ in range(int(draw.integers(1, 4))):
        x, y = (round(place + draw.normal(0.0, 0.06) * room.height) for place in spot)
        long, broad = (max(2, round(draw.uniform(0.015, 0.09) * room.height)) for _ in range(2))
        turn, thick = draw.uniform(0.0, 180.0), -1 if draw.random() < _HALF else int(draw.integers(1, 3))
        if draw.random() < _HALF:
            cv2.ellipse(sheet, (x, y), (long, broad), turn, 0, 360, 1.0, thick, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints(((float(x), float(y)), (2.0 * long, 2.0 * broad), turn))
            cv2.polylines(sheet, [np.rint(corners).astype(np.int32)], isClosed=True, color=1.0, thickness=max(thick, 1))
            if thick < 0:
                cv2.fillConvexPoly(sheet, np.rint(corners).astype(np.int32), 1.0)
    shade = np.clip(cv2.GaussianBlur(sheet, (0, 0), 0.5), 0.0, 1.0) * draw.uniform(0.5, 1.0)
    return np.asarray(film + shade * np.maximum(draw.uniform(0.85, 1.0) - film, 0.0), np.float32)


def _disc(film: Array, room: LungRoom, draw: _Draw) -> Array:
    sheet = np.zeros(room.shape, np.float32)
    for _ in range(int(draw.integers(1, 4))):
        centre = draw.uniform(0.1, 0.9, 2) * (room.shape[1], room.shape[0])
        cv2.circle(
            sheet, (int(centre[0]), int(centre[1])), max(1, round(draw.uniform(0.008, 0.025) * room.height)), 1.0, -1
        )
    return np.asarray(film + draw.uniform(0.2, 0.6) * cv2.GaussianBlur(sheet, (0, 0), 0.5), np.float32)


def _breasts(film: Array, room: LungRoom, draw: _Draw) -> Array:
    sheet = np.zeros(room.shape, np.float32)
    axes = (draw.uniform(0.2, 0.32), draw.uniform(0.2, 0.35))
    low = draw.uniform(0.6, 0.85)
    for side in room.sides:
        _, (x, y, width, height) = room.lung(side)
        dx = (room.x - (x + 0.5 * width)) / (axes[0] * room.height)
        dy = (room.y - (y + low * height)) / (axes[1] * room.height)
        sheet = np.maximum(sheet, np.clip((1.0 - np.sqrt(dx * dx + dy * dy)) * 4, 0.0, 1.0) * np.clip(1 + dy, 0.0, 1.0))
    return np.asarray(film + draw.uniform(0.03, 0.12) * sheet, np.float32)


def _slope(film: Array, room: LungRoom, draw: _Draw) -> Array:
    angle = draw.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (room.x / room.shape[1] - 0.5) + np.sin(angle) * (room.y / room.shape[0] - 0.5)
    return np.asarray(film + draw.uniform(0.05, 0.25) * along, np.float32)


def _outside(film: Array, room: LungRoom, draw: _Draw) -> Array:
    centre = draw.uniform(0.0, 1.0, 2) * (room.shape[1], room.shape[0])
    axes = (draw.uniform(0.08, 0.3), draw.uniform(0.08, 0.3))
    shade = room.blob((float(centre[0]), float(centre[1])), axes, draw, draw.uniform(0.2, 0.6))
    closed = np.clip(1.0 - room.open - (room.fields.mask > 0), 0.0, 1.0)
    return np.asarray(film + draw.uniform(-0.15, 0.2) * shade * closed, np.float32)
