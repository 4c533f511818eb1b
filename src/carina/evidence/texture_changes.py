"""Small changes of a film that leave its disease as it was: what a repeatable feature must not care about (M27)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from carina.imaging.lung_fields import LEFT, RIGHT, LungFields
from carina.types import Array

__all__ = ["CHANGES", "FAMILIES", "Change", "changed"]

Kind: TypeAlias = Literal["shift", "rotation", "noise", "resize", "mask"]
FAMILIES: tuple[Kind, ...] = ("shift", "rotation", "noise", "resize", "mask")
"""Families of changes; within each, the film as it is and two changes are compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes
    ----------
    family : {"shift", "rotation", "noise", "resize", "mask"}
    amount : float
        Of the film's longer side to the right and down; degrees anticlockwise; standard deviation of noise on a scale
        of [0, 1]; factor of both sides; of the lungs' longer side by which the mask grows (below 0: shrinks).
    """

    family: Kind
    amount: float

    @property
    def name(self) -> str:
        """Such as ``"shift=0.02"``."""
        return f"{self.family}={self.amount:g}"


CHANGES = (
    Change("shift", 0.02), Change("shift", -0.02),
    Change("rotation", 3.0), Change("rotation", -3.0),
    Change("noise", 0.005), Change("noise", 0.01),
    Change("resize", 0.9), Change("resize", 0.8),
    Change("mask", 0.01), Change("mask", -0.01),
)  # fmt: skip
"""The changes that stability is measured by."""


def changed(pixels: Array, fields: LungFields, change: Change, seed: int) -> tuple[Array, LungFields]:
    """Film and lung fields after a change.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    fields : LungFields
    change : Change
    seed : int
        Of the noise.

    Returns
    -------
    pixels : ndarray of float32, (H', W')
        In [0, 1]; what a shift or rotation brings in repeats the film's edge.
    fields : LungFields
        Moved along with the film.

    Examples
    --------
    >>> film = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    >>> mask = np.zeros((100, 100), np.uint8)
    >>> mask[20:80, 10:40], mask[20:80, 60:90] = RIGHT, LEFT
    >>> moved, fields = changed(film, LungFields(mask), Change("shift", 0.02), 0)
    >>> bool((moved[2:, 2:] == film[:-2, :-2]).all()), fields.box
    (True, (12, 22, 80, 60))
    """
    return _KINDS[change.family](pixels, fields, change.amount, seed)


def _shift(pixels: Array, fields: LungFields, amount: float, seed: int) -> tuple[Array, LungFields]:
    del seed
    step = round(amount * max(pixels.shape))
    return _warped(pixels, fields, np.array([[1.0, 0.0, step], [0.0, 1.0, step]]))


def _rotation(pixels: Array, fields: LungFields, amount: float, seed: int) -> tuple[Array, LungFields]:
    del seed
    rows, columns = pixels.shape
    return _warped(pixels, fields, cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), amount, 1.0))


def _warped(pixels: Array, fields: LungFields, matrix: np.ndarray) -> tuple[Array, LungFields]:
    size = (pixels.shape[1], pixels.shape[0])
    film = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(fields.mask, matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(np.clip(film, 0, 1), np.float32), LungFields(np.asarray(mask, np.uint8), (), fields.medial)


def _noise(pixels: Array, fields: LungFields, amount: float, seed: int) -> tuple[Array, LungFields]:
    drawn = np.random.default_rng(seed).normal(0.0, amount, pixels.shape)
    return np.asarray(np.clip(pixels + drawn, 0, 1), np.float32), fields


def _resize(pixels: Array, fields: LungFields, amount: float, seed: int) -> tuple[Array, LungFields]:
    del seed
    size = (max(round(pixels.shape[1] * amount), 1), max(round(pixels.shape[0] * amount), 1))
    film = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(fields.mask, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.clip(film, 0, 1), np.float32), LungFields(np.asarray(mask, np.uint8), (), fields.medial)


def _mask(pixels: Array, fields: LungFields, amount: float, seed: int) -> tuple[Array, LungFields]:
    del seed
    box = fields.box
    radius = max(round(abs(amount) * max(box[2:])), 1) if box is not None else 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    work = cv2.dilate if amount > 0 else cv2.erode
    right, left = (np.asarray(work(np.asarray(fields.mask == side, np.uint8), kernel)) for side in (RIGHT, LEFT))
    mask = np.where(fields.mask > 0, fields.mask, np.where(right > 0, RIGHT, np.where(left > 0, LEFT, 0)))
    if amount < 0:
        mask = np.where(right > 0, RIGHT, np.where(left > 0, LEFT, 0))
    return pixels, LungFields(np.asarray(mask, np.uint8), (), fields.medial)


_KINDS: dict[Kind, Callable[[Array, LungFields, float, int], tuple[Array, LungFields]]] = {
    "shift": _shift, "rotation": _rotation, "noise": _noise, "resize": _resize, "mask": _mask,
}  # fmt: skip
