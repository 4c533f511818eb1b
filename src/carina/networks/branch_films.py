"""Films with made opacities, drawn anew for every batch, for box branch and score map (M21, M22, M24).

A film is kept at a working size with its lung fields; each draw turns, shifts and flips both, lays an opacity into it,
and standardises what comes out as every film is, so that the network's grey scale knows of the opacity too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carina.imaging import Standardisation, standardise
from carina.imaging.framing import frame_film
from carina.imaging.lung_fields import LungFields, flipped
from carina.imaging.lung_medial import HEIGHTS
from carina.imaging.phantom import phantom_film
from carina.networks.branch_planting import LungRoom, boxes_around, distract, plant_opacity
from carina.types import Array, Bytes

__all__ = ["WORKING_SIDE", "BranchBatch", "BranchFilms", "PlainFilm", "phantom_plain_films", "plain_film"]

WORKING_SIDE = 224
"""Long side at which films are kept, pixels."""

PHANTOM_SHARE = 0.15
"""Share of the draws that are phantom films where there are real ones too."""

_STREAM = 2122
_HALF = 0.5
_WITHOUT = 0.3
_PHANTOM_LABELS = ("bacterial", "viral", "covid19", "normal")


@dataclass(frozen=True, slots=True, eq=False)
class PlainFilm:
    """A film to lay opacities into, or a phantom with its own.

    Attributes
    ----------
    pixels : ndarray of uint8, (H, W)
        0 black to 255; long side `WORKING_SIDE`.
    fields : LungFields
        At the same size.
    source : str
        Films are drawn evenly over sources, but for `PHANTOM_SHARE`.
    extent : ndarray of bool, (H, W), or None
        A phantom's own opacity; `None` for a film without one, to lay one into.
    """

    pixels: Bytes
    fields: LungFields
    source: str
    extent: NDArray[np.bool_] | None = None


class BranchBatch(NamedTuple):
    """What the branches learn from, or are judged on.

    Attributes
    ----------
    films : Tensor of uint8, (B, S, S)
        Standardised.
    boxes : list of Tensor, (M, 4)
        x0, y0, x1, y1 of each film, pixels of the network's input; M may be 0.
    opacity : Tensor of float32, (B, s, s)
        Share of each of the score map's pixels that the opacity covers; s is half of S, rounded up.
    """

    films: Tensor
    boxes: list[Tensor]
    opacity: Tensor


def plain_film(pixels: Array, fields: LungFields, source: str) -> PlainFilm:
    """Bring a film and its lung fields to the working size.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1], 0 black.
    fields : LungFields
        At the film's size.
    source : str

    Returns
    -------
    PlainFilm
    """
    share = WORKING_SIDE / max(pixels.shape)
    sides = (max(8, round(pixels.shape[1] * share)), max(8, round(pixels.shape[0] * share)))
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    small = np.rint(cv2.resize(pixels, sides, interpolation=method) * 255.0)
    mask = np.asarray(cv2.resize(fields.mask, sides, interpolation=cv2.INTER_NEAREST), np.uint8)
    return PlainFilm(np.asarray(small, np.uint8), replace(fields, mask=mask), source)


def phantom_plain_films(count: int, seed: int) -> Iterator[PlainFilm]:
    """Phantom films of all labels in turn, with their own lungs and opacity."""
    for number in range(count):
        made = phantom_film(seed + number, label=_PHANTOM_LABELS[number % len(_PHANTOM_LABELS)], size=WORKING_SIDE)
        mask = np.asarray(made.right_lung.astype(np.uint8) + 2 * (made.left_lung & ~made.right_lung), np.uint8)
        fields = LungFields(mask, medial=np.zeros((2, HEIGHTS), np.float32))  # theirs leave the heart out
        yield PlainFilm(np.asarray(np.rint(made.pixels * 255.0), np.uint8), fields, "phantom", made.opacity)


class BranchFilms:
    """Draws batches of films with made opacities.

    Parameters
    ----------
    films : iterable of PlainFilm
        At least one.
    spec : Standardisation
    augment : bool
        Turn, shift, scale and flip films, and vary their grey curve, sharpness and noise.
    """

    def __init__(self, films: Iterable[PlainFilm], spec: Standardisation, *, augment: bool = True) -> None:
        self.films, self.spec, self.augment = list(films), spec, augment
        if not self.films:
            raise ValueError("there must be a film to lay opacities into; found none")
        self._by_source: dict[str, list[int]] = {}
        for number, film in enumerate(self.films):
            self._by_source.setdefault(film.source, []).append(number)

    def __len__(self) -> int:
        return len(self.films)

    def counts(self) -> dict[str, int]:
        """Films by source."""
        return {source: len(rows) for source, rows in sorted(self._by_source.items())}

    def batch(self, count: int, seed: int) -> BranchBatch:
        """Draw films; the same seed draws the same.

        Parameters
        ----------
        count : int
        seed : int
            0 or more.

        Returns
        -------
        BranchBatch
        """
        draw = np.random.default_rng([seed, _STREAM])
        return _stacked([self._one(self.films[self._pick(draw)], draw) for _ in range(count)])

    def in_order(self, count: int, seed: int) -> Iterator[BranchBatch]:
        """Every film once, in batches of at most `count`; each film's opacity hangs on `seed` and its place alone."""
        for start in range(0, len(self.films), count):
            part = range(start, min(start + count, len(self.films)))
            made = [self._one(self.films[number], np.random.default_rng([seed, number, _STREAM])) for number in part]
            yield _stacked(made)

    def _pick(self, draw: np.random.Generator) -> int:
        real = sorted(source for source in self._by_source if source != "phantom")
        phantom = "phantom" in self._by_source and (not real or draw.random() < PHANTOM_SHARE)
        source = "phantom" if phantom else real[int(draw.integers(len(real)))]
        rows = self._by_source[source]
        return rows[int(draw.integers(len(rows)))]

    def _one(self, film: PlainFilm, draw: np.random.Generator) -> tuple[Bytes, NDArray[np.float32], Array]:
        if self.augment:
            film = _moved(film, draw)
        pixels = np.asarray(film.pixels, np.float32) / np.float32(255.0)
        extent = film.extent
        room = LungRoom(film.fields, draw)
        if room.sides:
            pixels = distract(pixels, room, draw)
            if extent is None and draw.random() >= _WITHOUT:
                planted = plant_opacity(pixels, room, draw)
                pixels, extent = planted.pixels, planted.extent
        if extent is None:
            extent = np.zeros(pixels.shape, np.bool_)
        if self.augment:
            pixels = _developed(pixels, draw)
        return self._framed(pixels, film.fields, extent, draw)

    def _framed(
        self, pixels: Array, fields: LungFields, extent: NDArray[np.bool_], draw: np.random.Generator
    ) -> tuple[Bytes, NDArray[np.float32], Array]:
        size = self.spec.size
        known = fields if self.spec.needs_lungs else None
        if known is not None and self.augment:
            known = _about_there(known, draw)
        frame = frame_film((pixels.shape[0], pixels.shape[1]), size, known)
        corners = frame.to_network(boxes_around(extent).reshape(-1, 2, 2)).reshape(-1, 4)
        boxes = np.asarray(np.clip(corners, 0.0, size), np.float32)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1, initial=size) > 1.0]
        half = -(-size // 2)
        cover = np.asarray(frame.crop(extent), np.float32)
        opacity = cv2.resize(cover, (half, half), interpolation=cv2.INTER_AREA)
        return standardise(pixels, self.spec, known), boxes, np.asarray(opacity, np.float32)


def _stacked(made: Sequence[tuple[Bytes, NDArray[np.float32], Array]]) -> BranchBatch:
    films, boxes, maps = zip(*made, strict=True)
    return BranchBatch(
        torch.from_numpy(np.stack(films)), [torch.from_numpy(part) for part in boxes], torch.from_numpy(np.stack(maps))
    )


def _moved(film: PlainFilm, draw: np.random.Generator) -> PlainFilm:
    """Flip (lungs change sides), turn, scale and shift a film with its fields and its own opacity."""
    pixels, fields, extent = film.pixels, film.fields, film.extent
    if draw.random() < _HALF:
        pixels, fields = np.ascontiguousarray(pixels[:, ::-1]), flipped(fields)
        extent = None if extent is None else np.ascontiguousarray(extent[:, ::-1])
    rows, columns = pixels.shape
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), draw.uniform(-10, 10), 1.0)
    matrix[:, :2] = matrix[:, :2] @ np.diag(draw.uniform(0.86, 1.16, 2))
    matrix[:, 2] = (columns / 2, rows / 2) - matrix[:, :2] @ (columns / 2, rows / 2)
    matrix[:, 2] += draw.uniform(-0.06, 0.06, 2) * (columns, rows)

    def nearest(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.warpAffine(mask, matrix, (columns, rows), flags=cv2.INTER_NEAREST), np.uint8)

    turned = cv2.warpAffine(pixels, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    return replace(
        film,
        pixels=np.asarray(turned, np.uint8),
        fields=replace(fields, mask=nearest(fields.mask)),
        extent=None if extent is None else nearest(extent.astype(np.uint8)) > 0,
    )


def _about_there(fields: LungFields, draw: np.random.Generator) -> LungFields:
    """Fields a little larger or smaller and beside the true ones: on a film with disease they are found less well."""
    rows, columns = fields.mask.shape
    x, y, width, height = fields.box or (0, 0, columns, rows)
    across, down = draw.uniform(0.9, 1.12, 2)
    left, top = x + width * (0.5 + draw.uniform(-0.05, 0.05)), y + height * (0.5 + draw.uniform(-0.05, 0.05))
    centre = (x + width / 2, y + height / 2)
    matrix = np.array([[across, 0.0, left - across * centre[0]], [0.0, down, top - down * centre[1]]])
    return replace(
        fields, mask=np.asarray(cv2.warpAffine(fields.mask, matrix, (columns, rows), flags=cv2.INTER_NEAREST), np.uint8)
    )


def _developed(pixels: Array, draw: np.random.Generator) -> Array:
    """Another grey curve, sharpness and noise."""
    film = np.asarray(np.clip(pixels, 0.0, 1.0) ** np.float32(np.exp(draw.uniform(-0.4, 0.4))), np.float32)
    if draw.random() < _HALF:
        film = np.asarray(cv2.GaussianBlur(film, (0, 0), draw.uniform(0.3, 1.6)), np.float32)
    if draw.random() < _HALF:
        film = film + draw.uniform(0.0, 0.03) * draw.standard_normal(film.shape, dtype=np.float32)
    return np.asarray(np.clip(film, 0.0, 1.0), np.float32)
