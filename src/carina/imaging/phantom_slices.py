"""Phantom CT slices: axial pictures of a drawn chest in Hounsfield units, every structure known.

They exist so that a task on another kind of picture can be tried from its task file alone (M37). No patient is in them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import OutputError
from carina.types import Array

__all__ = ["SLICE_LABELS", "PhantomSlice", "SliceCollection", "phantom_slice", "write_slices"]

SLICE_LABELS = ("clear", "ground_glass", "consolidation")
"""Classes a phantom slice can show."""

_FIELD_MM = 380.0
_AIR, _LUNG, _FAT, _SOFT, _BLOOD, _BONE = -1000.0, -850.0, -100.0, 40.0, 50.0, 500.0
_LEVEL, _WIDTH = -600.0, 1500.0
_NOISE_HU = 25.0
_DENSITY = {"ground_glass": 300.0, "consolidation": 850.0}
_COLUMNS = ("path", "label", "patient_id", "image_id", "source", "sex", "age", "slice_order", "lung_mask")


@dataclass(frozen=True, slots=True)
class PhantomSlice:
    """A synthetic axial CT slice and the truth about it.

    Attributes
    ----------
    hounsfield : ndarray of float32, (H, W)
        Hounsfield units; row 0 is anterior, column 0 the patient's right.
    label : str
        ``"clear"``, ``"ground_glass"`` or ``"consolidation"``.
    lungs : ndarray of bool, (H, W)
    opacity : ndarray of bool, (H, W)
        Empty for a clear slice.
    age_years : int
        Completed years.
    sex : {"F", "M"}
    pixel_spacing_mm : float
    """

    hounsfield: Array
    label: str
    lungs: NDArray[np.bool_]
    opacity: NDArray[np.bool_]
    age_years: int
    sex: str
    pixel_spacing_mm: float

    def window(self, level: float = _LEVEL, width: float = _WIDTH) -> Array:
        """Grey in [0, 1] of a window, by default the lung window, level -600 and width 1500 HU."""
        return np.asarray(np.clip((self.hounsfield - (level - width / 2)) / width, 0, 1), np.float32)


@dataclass(frozen=True, slots=True)
class SliceCollection:
    """What to make.

    Attributes
    ----------
    folder : Path
    slices : int
        How many, one a patient, 1 or more.
    seed : int
        Of the first patient; each further patient has the next.
    labels : tuple of str
        Classes, dealt out in turn.
    size : int
        Side of a slice, pixels.
    """

    folder: Path
    slices: int
    seed: int = 0
    labels: tuple[str, ...] = SLICE_LABELS
    size: int = 256


def phantom_slice(seed: int, *, label: str = "clear", size: int = 256) -> PhantomSlice:
    """Make one phantom slice at the level of the heart.

    The same `seed` is the same patient whatever the label: two slices that differ in `label` alone differ within the
    opacity alone, noise included.

    Parameters
    ----------
    seed : int
        Patient, 0 or more.
    label : {"clear", "ground_glass", "consolidation"}
        Ground glass: hazy patches along the pleura of both lungs, vessels still seen through them. Consolidation: one
        dense patch in one lung.
    size : int
        Side of the square slice, pixels, 64 to 2048; its field of view is 380 mm.

    Returns
    -------
    PhantomSlice

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> clear, sick = phantom_slice(3, size=64), phantom_slice(3, label="consolidation", size=64)
    >>> bool((clear.hounsfield != sick.hounsfield)[~sick.opacity].any())
    False
    """
    if seed < 0 or label not in SLICE_LABELS or not 64 <= size <= 2048:  # noqa: PLR2004 - pixels, as documented
        raise ValueError(
            f"seed must be 0 or more, label one of {', '.join(SLICE_LABELS)}, size 64 to 2048; "
            f"found {seed!r}, {label!r} and {size!r}"
        )
    who, inside, disease = (np.random.default_rng([seed, 77, part]) for part in range(3))
    grid = _Grid(size)
    values, lungs = _chest(grid, who, inside)
    noise = inside.normal(0, _NOISE_HU, (size, size))
    opacity = _opacity(grid, label, lungs, disease)
    mask = (opacity > 0.15) & (lungs > 0.5)  # noqa: PLR2004 - edge of a soft patch
    added = np.where(mask, opacity * _DENSITY.get(label, 0.0), 0.0)
    filled = np.minimum(values + added, np.maximum(values, _SOFT))
    return PhantomSlice(
        hounsfield=np.asarray(filled + noise, np.float32),
        label=label,
        lungs=np.asarray(lungs > 0.5, np.bool_),  # noqa: PLR2004 - half covered
        opacity=np.asarray(mask, np.bool_),
        age_years=int(who.integers(20, 90)),
        sex="F" if who.random() < 0.5 else "M",  # noqa: PLR2004 - even odds
        pixel_spacing_mm=_FIELD_MM / size,
    )


def write_slices(wanted: SliceCollection, *, done: Callable[[int], None] | None = None) -> Path:
    """Write phantom slices as 16-bit PNG in the lung window, their masks and film table.

    The same arguments write the same bytes; the table comes last.

    Parameters
    ----------
    wanted : SliceCollection
    done : callable, optional
        Called with the number of slices finished.

    Returns
    -------
    Path
        The film table, ``films.csv``.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    rows = []
    try:
        for part in ("films", "masks"):
            (wanted.folder / part).mkdir(parents=True, exist_ok=True)
        for index in range(wanted.slices):
            label = wanted.labels[index % len(wanted.labels)]
            rows.append(_written(wanted, wanted.seed + index, label))
            if done is not None:
                done(index + 1)
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        table = wanted.folder / "films.csv"
        _place(table, text.getvalue().encode())
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(
            f"phantom slices must go to a folder that can be written; {str(wanted.folder)!r}: {why}"
        ) from error
    return table


def _written(wanted: SliceCollection, seed: int, label: str) -> dict[str, object]:
    made = phantom_slice(seed, label=label, size=wanted.size)
    image = f"SLICE{seed:04d}-{label}"
    _place(wanted.folder / f"films/{image}.png", _png(np.rint(made.window() * np.float32(65535)).astype(np.uint16)))
    _place(wanted.folder / f"masks/{image}_lungs.png", _png(made.lungs.astype(np.uint8) * np.uint8(255)))
    return {
        "path": f"films/{image}.png",
        "label": label,
        "patient_id": f"SLICE{seed:04d}",
        "image_id": image,
        "source": "phantom",
        "sex": made.sex,
        "age": made.age_years,
        "slice_order": 0,
        "lung_mask": f"masks/{image}_lungs.png",
    }


class _Grid:
    """Coordinates of the slice in mm from its centre, x to the patient's left, y to the back."""

    def __init__(self, size: int) -> None:
        axis = (np.arange(size, dtype=np.float32) + 0.5) / size * _FIELD_MM - _FIELD_MM / 2
        self.size = size
        self.spacing = _FIELD_MM / size
        self.x, self.y = np.meshgrid(axis, axis)

    def ellipse(self, centre: tuple[float, float], half: tuple[float, float]) -> Array:
        """Share of each pixel inside an ellipse, its edge one pixel soft."""
        radius = np.hypot((self.x - centre[0]) / half[0], (self.y - centre[1]) / half[1])
        return np.asarray(np.clip((1 - radius) * min(half) / self.spacing + 0.5, 0, 1), np.float32)


def _blend(values: Array, share: Array, hounsfield: float) -> Array:
    return np.asarray(values * (1 - share) + hounsfield * share, np.float32)


def _chest(grid: _Grid, who: np.random.Generator, inside: np.random.Generator) -> tuple[Array, Array]:
    """Hounsfield units of a healthy chest, and the lungs' share of each pixel."""
    wide, deep = who.uniform(145, 170), who.uniform(95, 115)
    values = np.full((grid.size, grid.size), _AIR, np.float32)
    values = _blend(values, grid.ellipse((0, 0), (wide, deep)), _FAT)
    values = _blend(values, grid.ellipse((0, 0), (wide - 14, deep - 12)), _SOFT)
    lungs = np.zeros_like(values)
    for side in (-1, 1):
        centre, half = (side * wide * 0.47, who.uniform(-2, 4)), (wide * 0.36, deep * 0.70)
        lungs = np.maximum(lungs, grid.ellipse(centre, half))
    heart = grid.ellipse((who.uniform(12, 24), -deep * 0.22), (wide * 0.32, deep * 0.36))
    spine = grid.ellipse((0, deep * 0.58), (18, 17))
    lungs = np.asarray(lungs * (1 - heart) * (1 - spine), np.float32)
    values = _blend(values, lungs, _LUNG)
    values = _blend(values, heart, _BLOOD)
    values = _blend(values, grid.ellipse((-6, deep * 0.33), (12, 12)), _BLOOD)
    values = _blend(values, spine, _BONE)
    for angle in np.linspace(0.25, 2 * np.pi + 0.25, 12, endpoint=False):
        place = ((wide - 20) * np.cos(angle), (deep - 17) * np.sin(angle))
        values = _blend(values, grid.ellipse((float(place[0]), float(place[1])), (9, 4.5)), _BONE * 0.7)
    for _ in range(70):
        side, angle = inside.choice([-1, 1]), inside.uniform(0, 2 * np.pi)
        reach = inside.uniform(0.1, 0.95)
        place = (
            side * wide * 0.47 + reach * wide * 0.34 * np.cos(angle),
            reach * deep * 0.66 * np.sin(angle),
        )
        radius = float(0.9 + 3.2 * (1 - reach) * inside.random())
        values = _blend(values, np.asarray(grid.ellipse(place, (radius, radius)) * lungs, np.float32), _SOFT)
    return values, lungs


def _opacity(grid: _Grid, label: str, lungs: Array, disease: np.random.Generator) -> Array:
    """How much of the opacity's density each pixel has, in [0, 1]."""
    result = np.zeros_like(lungs)
    if label == "clear":
        return result
    count = int(disease.integers(4, 8)) if label == "ground_glass" else 1
    edge = cv2.distanceTransform((lungs > 0.5).astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing  # noqa: PLR2004 - half
    near, far = (4, 22) if label == "ground_glass" else (15, 45)
    places = np.argwhere((edge > near) & (edge < far))
    for _ in range(count):
        row, column = places[disease.integers(len(places))]
        centre = (float(grid.x[0, column]), float(grid.y[row, 0]))
        half = disease.uniform(16, 30, 2) if label == "ground_glass" else disease.uniform(24, 40, 2)
        radius = np.hypot((grid.x - centre[0]) / half[0], (grid.y - centre[1]) / half[1])
        patch = np.clip(1.25 - radius, 0, 1) if label == "ground_glass" else np.clip((1.1 - radius) * 5, 0, 1)
        result = np.maximum(result, patch)
    return np.asarray(result, np.float32)


def _png(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def _place(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
