"""The drawing board: patient centimetres to film pixels, and the primitives drawn in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.types import Array

__all__ = ["Canvas", "Mask", "ellipsoid", "join", "lookup", "smooth_noise", "smoothstep"]

Mask: TypeAlias = NDArray[np.bool_]

_SUPER = 2  # structures drawn as polygons are drawn this much finer, then averaged


@dataclass(frozen=True)
class Canvas:
    """Where each film pixel lies in the patient.

    The patient's coordinates are centimetres of a standard adult, origin at the carina: x to the patient's left (right
    on the film), y towards the feet.

    Attributes
    ----------
    size : int
        Side of the film, pixels.
    per_cm : float
        Film pixels a centimetre, before the stretch.
    stretch : tuple of float
        Factors in x and y by which this patient's chest differs from the standard one.
    tilt : float
        Rotation in the film plane, radians.
    origin : tuple of float
        The carina on the film, pixels (column, row).
    x, y : ndarray of float32, (H, W)
        Patient coordinates of the pixel centres, cm.
    """

    size: int
    per_cm: float
    stretch: tuple[float, float]
    tilt: float
    origin: tuple[float, float]
    x: Array = field(repr=False)
    y: Array = field(repr=False)

    @classmethod
    def place(
        cls, size: int, *, view_cm: float, stretch: tuple[float, float], tilt: float, shift_cm: tuple[float, float]
    ) -> Canvas:
        """Lay a square film of side `view_cm` so that the carina lies `shift_cm` from its upper edge's middle."""
        per_cm = size / view_cm
        origin = (size / 2 + shift_cm[0] * per_cm, shift_cm[1] * per_cm)
        column = (np.arange(size, dtype=np.float32)[None, :] + 0.5 - origin[0]) / per_cm
        row = (np.arange(size, dtype=np.float32)[:, None] + 0.5 - origin[1]) / per_cm
        cos, sin = np.cos(tilt), np.sin(tilt)
        x = np.asarray((cos * column + sin * row) / stretch[0], dtype=np.float32)
        y = np.asarray((-sin * column + cos * row) / stretch[1], dtype=np.float32)
        return cls(size=size, per_cm=per_cm, stretch=stretch, tilt=tilt, origin=origin, x=x, y=y)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Patient points (N, 2) in cm as film points (N, 2): column and row, pixel edges at whole numbers."""
        x, y = points[:, 0] * self.stretch[0], points[:, 1] * self.stretch[1]
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        column = (cos * x - sin * y) * self.per_cm + self.origin[0]
        row = (sin * x + cos * y) * self.per_cm + self.origin[1]
        return np.stack([column, row], axis=1)

    def sheet(self) -> Array:
        """Return an empty sheet to draw polygons on, finer than the film."""
        return np.zeros((self.size * _SUPER, self.size * _SUPER), np.float32)

    def lay(self, sheet: Array, soften_cm: float = 0.05) -> Array:
        """Average a fine sheet down to the film, edges softened by a Gaussian of `soften_cm`."""
        film = cv2.resize(sheet, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return self.soften(np.asarray(film, np.float32), soften_cm)

    def soften(self, image: Array, sigma_cm: float) -> Array:
        """Gaussian blur of `sigma_cm`; large ones on a reduced image."""
        sigma = sigma_cm * self.per_cm
        if sigma < 0.15:  # noqa: PLR2004 - below this the kernel is one pixel
            return image
        if sigma > 16:  # noqa: PLR2004 - beyond this a quarter of the resolution loses nothing
            small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), sigma / 4, borderType=cv2.BORDER_REPLICATE)
            return np.asarray(cv2.resize(small, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.float32)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)

    def polygon(self, sheet: Array, points: NDArray[np.float64], value: float) -> None:
        """Fill a polygon given in cm with `value`, overwriting what lies there."""
        cv2.fillPoly(sheet, [self._fixed(points)], value, lineType=cv2.LINE_8, shift=4)

    def line(self, sheet: Array, points: NDArray[np.float64], width_cm: float, value: float) -> None:
        """Draw a polyline given in cm; thinner than one fine pixel, it fades instead."""
        width = width_cm * self.per_cm * _SUPER
        fade = min(width, 1.0)
        cv2.polylines(
            sheet,
            [self._fixed(points)],
            isClosed=False,
            color=value * fade,
            thickness=max(1, round(width)),
            lineType=cv2.LINE_8,
            shift=4,
        )

    def segments(self, sheet: Array, pieces: NDArray[np.float64], gain: float) -> None:
        """Draw many straight pieces (N, 5) of x0, y0, x1, y1 and radius in cm, `gain` times the radius deep."""
        starts, ends = self._fixed(pieces[:, :2]), self._fixed(pieces[:, 2:4])
        width = 2 * pieces[:, 4] * self.per_cm * _SUPER
        value = gain * pieces[:, 4] * np.minimum(width, 1.0)
        thick = np.maximum(np.rint(width), 1)
        for a, b, depth, px in zip(starts.tolist(), ends.tolist(), value.tolist(), thick.tolist(), strict=True):
            cv2.line(sheet, a, b, depth, int(px), cv2.LINE_8, 4)

    def strip(
        self,
        sheet: Array,
        points: NDArray[np.float64],
        width_cm: NDArray[np.float64],
        value: NDArray[np.float64],
    ) -> None:
        """Draw a band of varying width (N,) and value (N,) along a path (N, 2), all in cm."""
        step = np.gradient(points, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1)
        normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None]
        half = normal * width_cm[:, None] / 2
        one, other = self._fixed(points + half), self._fixed(points - half)
        for i in range(len(points) - 1):
            quad = np.stack([one[i], one[i + 1], other[i + 1], other[i]])
            cv2.fillConvexPoly(sheet, quad, float(value[i]), lineType=cv2.LINE_8, shift=4)

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Film points as OpenCV's fixed point numbers with four fractional bits, pixel centres at whole numbers."""
        film = np.clip(self.pixels(points), -4 * self.size, 5 * self.size)
        return np.asarray(np.rint((film * _SUPER - 0.5) * 16), dtype=np.int32)


def lookup(at: Array, table: list[tuple[float, float]]) -> Array:
    """Read a smooth curve through (position, value) knots at every element of `at`.

    Examples
    --------
    >>> lookup(np.float32([[0.5]]), [(0.0, 0.0), (1.0, 2.0)]).round(2).tolist()
    [[1.0]]
    """
    knots = np.asarray(table, dtype=np.float64)
    fine = np.linspace(knots[0, 0], knots[-1, 0], 256)
    values = np.interp(fine, knots[:, 0], knots[:, 1])
    kernel = np.hanning(11)[1:-1]
    padded = np.pad(values, 4, mode="reflect", reflect_type="odd")
    smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return np.asarray(np.interp(at, fine, smooth), dtype=np.float32)


def smoothstep(value: Array, low: float, high: float) -> Array:
    """Rise from 0 at `low` to 1 at `high` with level ends."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def ellipsoid(x: Array, y: Array, centre: tuple[float, float], axes: tuple[float, float, float], turn: float) -> Array:
    """Depth in cm through an ellipsoid of half axes `axes` (x, y, depth), turned by `turn` degrees in plane."""
    cos, sin = np.float32(np.cos(np.radians(turn))), np.float32(np.sin(np.radians(turn)))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along, across = (cos * dx + sin * dy) / np.float32(axes[0]), (cos * dy - sin * dx) / np.float32(axes[1])
    return np.asarray(2 * axes[2] * np.sqrt(np.maximum(1 - along * along - across * across, 0)), dtype=np.float32)


def join(parts: list[Array]) -> Array:
    """Join depths into one body without a crease: the fourth root of the sum of fourth powers."""
    total = np.zeros_like(parts[0])
    for part in parts:
        square = part * part
        total += square * square
    return np.asarray(np.sqrt(np.sqrt(total)), dtype=np.float32)


def smooth_noise(rng: np.random.Generator, canvas: Canvas, grain_cm: float) -> Array:
    """Return a smooth random field of mean 0 and standard deviation about 1, with blobs of about `grain_cm`."""
    cells = int(np.clip(canvas.size / (canvas.per_cm * grain_cm), 2, 512)) + 3
    coarse = np.asarray(rng.standard_normal((cells, cells)), dtype=np.float32)
    fine = cv2.resize(coarse, (canvas.size, canvas.size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine / 0.75, dtype=np.float32)
