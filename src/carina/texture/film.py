"""Texture of a film: per lung, per zone, inside boxes and where a model looked (M27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError
from carina.imaging.lung_fields import LEFT, RIGHT, ZONES, LungFields, heart, zones
from carina.texture.extract import feature_names, features_of_regions
from carina.texture.regions import Mask
from carina.texture.settings import TextureSettings
from carina.types import Film

__all__ = ["REGIONS", "FilmTexture", "box_region", "film_features", "lung_regions", "score_region"]

REGIONS = ("lungs", "right", "left", *ZONES)
"""Regions that lung fields give: both lungs, each lung, and the six zones."""

_GREYS = 255.0


class Box(Protocol):
    """What a box must say of itself, in pixels of the film, which span 0 to W and 0 to H."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...


@dataclass(frozen=True, slots=True)
class FilmTexture:
    """Texture of one film.

    Attributes
    ----------
    values : dict of str to float
        ``region.picture_class_Feature`` to value, region by region; NaN throughout a region that was refused.
    refused : dict of str to str
        Regions that could not be measured, and why.
    """

    values: dict[str, float]
    refused: dict[str, str]


def lung_regions(fields: LungFields, *, without_heart: bool = True) -> dict[str, Mask]:
    """Masks of `REGIONS`.

    Parameters
    ----------
    fields : LungFields
    without_heart : bool
        Leave out what heart and mediastinum are estimated to cover, as the method asks for parenchyma (M27).

    Returns
    -------
    dict of str to ndarray of bool, (H, W)

    Examples
    --------
    >>> mask = np.zeros((9, 8), np.uint8)
    >>> mask[:, 1:3], mask[:, 5:7] = RIGHT, LEFT
    >>> int(lung_regions(LungFields(mask), without_heart=False)["left_upper"].sum())
    6
    """
    kept = ~heart(fields) if without_heart else np.ones(fields.mask.shape, np.bool_)
    zone = zones(fields)
    masks = {
        "lungs": (fields.mask > 0) & kept,
        "right": (fields.mask == RIGHT) & kept,
        "left": (fields.mask == LEFT) & kept,
    }
    return masks | {name: (zone == number) & kept for number, name in enumerate(ZONES, 1)}


def box_region(boxes: Sequence[Box], shape: tuple[int, int]) -> Mask:
    """Pixels whose centre lies inside any box.

    Parameters
    ----------
    boxes : sequence of Box
    shape : tuple of int
        Rows and columns of the film.

    Returns
    -------
    ndarray of bool, (H, W)
    """
    inside = np.zeros(shape, np.bool_)
    for box in boxes:
        rows = np.abs(np.arange(shape[0]) + 0.5 - (box.y + box.height / 2.0)) <= box.height / 2.0
        columns = np.abs(np.arange(shape[1]) + 0.5 - (box.x + box.width / 2.0)) <= box.width / 2.0
        inside |= rows[:, None] & columns[None, :]
    return inside


def score_region(scores: NDArray[Any], least: float, within: Mask | None = None) -> Mask:
    """Pixels of a score map (H, W), such as a class map at the film's size, that reach a score."""
    high = np.asarray(scores >= least, np.bool_)
    return high if within is None else high & within


def film_features(
    film: Film,
    fields: LungFields,
    regions: Sequence[str] | Mapping[str, Mask] | None = None,
    settings: TextureSettings | None = None,
) -> FilmTexture:
    """Texture of a film in regions of its lungs.

    Greys are taken from 0 to 255, so that bin sizes read as in other programs; a film with a side longer than the
    settings' `film_side` is first made smaller.

    Parameters
    ----------
    film : Film
    fields : LungFields
        Of the film's size.
    regions : sequence of str, mapping of str to ndarray of bool (H, W), or None
        Names out of `REGIONS`, or masks by name such as those of `lung_regions`, `box_region` and `score_region`;
        without, all of `REGIONS`.
    settings : TextureSettings or None
        The defaults without.

    Returns
    -------
    FilmTexture

    Raises
    ------
    TextureError
        If the fields or a mask have another size than the film, or a region is unknown.
    """
    chosen = settings or TextureSettings()
    if fields.mask.shape != film.pixels.shape:
        raise TextureError(
            f"lung fields must have their film's size; found {fields.mask.shape} for {film.pixels.shape} (rows, "
            "columns)"
        )
    masks = _masks(fields, regions)
    picture, masks = _at_size(np.asarray(film.pixels, np.float64) * _GREYS, masks, chosen.film_side)
    found, refused = features_of_regions(picture, masks, chosen)
    names = feature_names(chosen)
    values = {f"{name}.{feature}": found.get(name, {}).get(feature, np.nan) for name in masks for feature in names}
    return FilmTexture(values, refused)


def _masks(fields: LungFields, regions: Sequence[str] | Mapping[str, Mask] | None) -> dict[str, Mask]:
    if isinstance(regions, Mapping):
        wrong = [name for name, mask in regions.items() if np.shape(mask) != fields.mask.shape]
        if wrong:
            raise TextureError(f"a region must have its film's size {fields.mask.shape}; these have not: {wrong}")
        return dict(regions)
    known = lung_regions(fields)
    unknown = [name for name in regions or () if name not in known]
    if unknown:
        raise TextureError(f"regions must be of {REGIONS}; found {unknown}")
    return {name: known[name] for name in regions or REGIONS}


def _at_size(
    picture: NDArray[np.float64], masks: dict[str, Mask], side: int | None
) -> tuple[NDArray[np.float64], dict[str, Mask]]:
    """Picture and masks made smaller by area, where they are larger than allowed."""
    longest = max(picture.shape)
    if side is None or longest <= side:
        return picture, masks
    import cv2  # noqa: PLC0415 - only for large films

    size = (max(round(picture.shape[1] * side / longest), 1), max(round(picture.shape[0] * side / longest), 1))
    shrunk = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float64)
    parts = {
        name: cv2.resize(np.asarray(mask, np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5  # noqa: PLR2004 - half
        for name, mask in masks.items()
    }
    return shrunk, {name: np.asarray(part, np.bool_) for name, part in parts.items()}
