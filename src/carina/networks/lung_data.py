"""What the lung network learns from: films whose lungs were outlined, and phantom films.

Every film becomes a square of `WORK` pixels in 256 greys with three maps (right field, left field, aerated lung) and,
for each, where the truth is known: a real mask says nothing about the heart, a phantom nothing about the field behind
its heart.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import TableError
from carina.imaging import read_film
from carina.imaging.lung_fields import LEFT, RIGHT, LungFields, from_mask
from carina.imaging.phantom import phantom_film
from carina.types import Array, Bytes

__all__ = ["WORK", "LungFilm", "Sample", "field_sample", "masked_films", "phantom_sample", "read_fields"]

WORK = 192
_PHANTOM_LABELS = ("normal", "bacterial", "viral", "covid19")


@dataclass(frozen=True, slots=True)
class LungFilm:
    """A real film; `mask` is `None` where nobody outlined its lungs."""

    image_id: str
    path: Path
    source: str
    patient_id: str
    label: str
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One film to learn from.

    Attributes
    ----------
    film : ndarray of uint8, (WORK, WORK)
        0 black; the film's extremes spread over 256 greys.
    truth : ndarray of uint8, (3, WORK, WORK)
        0 or 1, channels right, left, aerated.
    known : ndarray of uint8, (3, WORK, WORK)
        1 where the truth counts.
    """

    film: Bytes
    truth: Bytes
    known: Bytes


def _rows(data: Path) -> list[LungFilm]:
    root = data / "cxr"
    if not (root / "images.csv").is_file():
        raise TableError(f"the films must lie in {str(data)!r} with their table cxr/images.csv; it is not there")
    with (root / "images.csv").open(encoding="utf-8", newline="") as stream:
        return [
            LungFilm(
                row["image_id"],
                root / row["path"],
                row["source"],
                row["patient_id"],
                row["label"],
                root / row["lung_mask"] if row["lung_mask"] else None,
            )
            for row in csv.DictReader(stream)
        ]


def masked_films(data: Path) -> list[LungFilm]:
    """List the films whose lungs were outlined, sorted by their id.

    Raises
    ------
    TableError
        If `data` has no ``cxr/images.csv``.
    """
    return sorted((film for film in _rows(data) if film.mask is not None), key=lambda film: film.image_id)


def read_fields(film: LungFilm) -> tuple[Array, LungFields]:
    """Read a film's pixels (H, W) in [0, 1] and its given lung fields at the same size.

    Raises
    ------
    TableError
        If the film has no mask or it cannot be read.
    InputError
        If the mask has another size than the film.
    """
    pixels = read_film(film.path).pixels
    mask = None if film.mask is None else cv2.imread(str(film.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise TableError(f"film {film.image_id!r} must have a readable lung mask; found {film.mask!r}")
    return pixels, from_mask(np.asarray(mask, np.uint8), pixels.shape)


def squared(pixels: Array) -> Bytes:
    """Film (H, W) to a square (WORK, WORK) in 256 greys between its extremes."""
    low, high = float(pixels.min()), float(pixels.max())
    spread = np.asarray((pixels - low) * (255.0 / max(high - low, 1e-6)), np.float32)
    return np.asarray(np.rint(_resized(spread)), np.uint8)


def _resized(values: Array) -> Array:
    shrinks = min(values.shape) >= WORK
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (WORK, WORK), interpolation=method), np.float32)


def _squared_mask(mask: NDArray[np.bool_]) -> Bytes:
    return np.asarray(_resized(np.asarray(mask, np.float32)) >= 0.5, np.uint8)  # noqa: PLR2004 - half of the pixel


def field_sample(pixels: Array, fields: LungFields) -> Sample:
    """Sample from a film and its outlined fields; of the third map it knows only what lies outside the fields."""
    right, left = _squared_mask(fields.mask == RIGHT), _squared_mask(fields.mask == LEFT)
    both = np.maximum(right, left)
    every = np.ones_like(both)
    return Sample(squared(pixels), np.stack([right, left, both]), np.stack([every, every, 1 - both]))


def phantom_sample(seed: int, size: int = 256) -> Sample:
    """Sample from a phantom film: sides known but for what lies between the lungs, for there the outline is not.

    Half of the phantoms are children; every label occurs alike.
    """
    phantom = phantom_film(seed, label=_PHANTOM_LABELS[seed % 4], size=size, child=bool(seed // 4 % 2))
    right, left = _squared_mask(phantom.right_lung), _squared_mask(phantom.left_lung)
    aerated = np.maximum(right, left)
    columns = np.arange(WORK)
    between = np.zeros_like(aerated)
    for row in range(WORK):
        at = columns[right[row] > 0], columns[left[row] > 0]
        if at[0].size and at[1].size:
            between[row, int(at[0].min()) : int(at[1].max())] = 1
    lowest = max(int(np.flatnonzero(lung.any(axis=1)).max(initial=0)) for lung in (right, left))
    middle = (columns > columns[right.any(axis=0)].mean()) & (columns < columns[left.any(axis=0)].mean())
    between[WORK // 3 : lowest, middle] = 1
    known = 1 - between * (1 - aerated)
    return Sample(
        squared(phantom.pixels), np.stack([right, left, aerated]), np.stack([known, known, np.ones_like(known)])
    )
