"""Which films and features an atlas shows, and a film with its lungs and the map of a feature (M27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError, TableError
from carina.evidence.signature_table import SignatureTable
from carina.imaging import read_film
from carina.imaging.lung_fields import ZONES, LungFields
from carina.inference.lungs import LungFinder
from carina.report.pictures import paired_picture
from carina.texture import REGIONS, TextureSettings, feature_maps, lung_regions, map_names
from carina.texture.filters import pictures, smaller_mask
from carina.types import Array

__all__ = ["FilmShelf", "ShownFilm", "choose_films", "choose_shown", "split_name"]

STARTING = (
    "original_firstorder_Mean",
    "original_firstorder_Entropy",
    "original_glcm_Contrast",
    "original_glcm_Correlation",
    "original_glcm_JointEntropy",
    "original_glrlm_LongRunEmphasis",
    "original_glszm_ZonePercentage",
    "original_gldm_DependenceEntropy",
    "original_ngtdm_Busyness",
)
"""Features shown where nobody chose: one or two of each class."""

_GREYS = 255.0
_OF_A_CLASS = 3
_COLOURS = {1: (255, 190, 80), 2: (80, 215, 255)}
_SPAN = (0.02, 0.98)


@dataclass(frozen=True, slots=True)
class ShownFilm:
    """A film chosen for a feature.

    Attributes
    ----------
    place : str
        ``"lowest"``, ``"median"`` or ``"highest"``.
    row : int
        Of the table.
    value : float
    """

    place: str
    row: int
    value: float


def split_name(feature: str) -> tuple[str, str, str, str]:
    """Region, picture, class and feature of a name.

    Examples
    --------
    >>> split_name("left_upper.log-sigma-2-0-mm-2D_glcm_Contrast")
    ('left_upper', 'log-sigma-2-0-mm-2D', 'glcm', 'Contrast')
    """
    region, _, rest = feature.partition(".")
    picture, _, rest = rest.partition("_")
    family, _, name = rest.partition("_")
    return region, picture, family, name


def choose_shown(table: SignatureTable, wanted: Sequence[str], strongest: Sequence[str], most: int) -> list[str]:
    """Features to be shown: those named, else the strongest of a signature, else one or two of each class.

    Parameters
    ----------
    table : SignatureTable
    wanted : sequence of str
        Whole names, or names without region, which stand for both lungs.
    strongest : sequence of str
        Strongest first.
    most : int

    Returns
    -------
    list of str

    Raises
    ------
    TableError
        If a feature named is not in the table.
    """
    names = set(table.names)
    if wanted:
        found = [name if "." in name else f"lungs.{name}" for name in wanted]
        unknown = [name for name in found if name not in names]
        if unknown:
            raise TableError(f"features to show must be among the {len(names)} of the table; unknown are {unknown}")
        return found
    if strongest:
        kept: list[str] = []
        for name in strongest:  # one a kind, for nine regions of one feature look alike, and some of each class
            _, picture, family, feature = split_name(name)
            alike = [one for one in map(split_name, kept) if one[2] == family]
            if (
                name in names
                and len(alike) < _OF_A_CLASS
                and (picture, feature) not in {(p, f) for _, p, _, f in alike}
            ):
                kept.append(name)
        return kept[:most]
    region = "lungs" if any(name.startswith("lungs.") for name in names) else split_name(table.names[0])[0]
    found = [f"{region}.{name}" for name in STARTING if f"{region}.{name}" in names]
    return (found or list(table.names))[:most]


def choose_films(table: SignatureTable, feature: str) -> list[ShownFilm]:
    """Films of the lowest, the median and the highest value, of three patients where there are three."""
    values = table.values[:, table.names.index(feature)]
    order = [row for row in np.argsort(values, kind="stable").tolist() if np.isfinite(values[row])]
    if not order:
        return []
    people = table.column("patient_id")
    middle = order[(len(order) - 1) // 2]
    low = next((row for row in order if people[row] != people[middle]), order[0])
    taken = {people[middle], people[low]}
    high = next((row for row in reversed(order) if people[row] not in taken), order[-1])
    found = [("lowest", low), ("median", middle), ("highest", high)]
    kept = {row: place for place, row in reversed(found)}
    return [ShownFilm(place, row, float(values[row])) for place, row in found if kept[row] == place]


class FilmShelf:
    """Films by name, read and their lungs found once.

    Parameters
    ----------
    paths : mapping of str to Path
        File of each film, by `image_id`.
    settings : TextureSettings
        With which the features were measured.
    finder : LungFinder
    """

    def __init__(self, paths: Mapping[str, Path], settings: TextureSettings, finder: LungFinder) -> None:
        self._paths, self._settings, self._finder = dict(paths), settings, finder
        self._seen: dict[str, tuple[Array, LungFields] | None] = {}

    def look(self, image_id: str) -> tuple[Array, LungFields] | None:
        """Pixels (H, W) in [0, 1] and lungs; `None` where the film cannot be had."""
        if image_id not in self._seen:
            self._seen[image_id] = self._read(image_id)
        return self._seen[image_id]

    def _read(self, image_id: str) -> tuple[Array, LungFields] | None:
        path = self._paths.get(image_id)
        if path is None:
            return None
        try:
            film = read_film(path)
            return _at_side(film.pixels, self._finder.find(film), self._settings.film_side)
        except (CarinaError, OSError):
            return None

    def picture(self, image_id: str, feature: str, side: int, radius: int) -> tuple[str | None, bool]:
        """Film with its lungs outlined beside the feature's map, as a data URI, and whether there is a map."""
        seen = self.look(image_id)
        if seen is None:
            return None, False
        pixels, fields = seen
        heat = None if not feature else self._map(pixels, fields, feature, radius)
        outlined = fields.mask if not feature else _outlined(fields, split_name(feature)[0])

        def draw(panel: NDArray[np.uint8], _: float) -> None:
            _draw_outlines(panel, outlined)

        return paired_picture(pixels, heat, side, draw), heat is not None

    def _map(self, pixels: Array, fields: LungFields, feature: str, radius: int) -> Array | None:
        """Map (H, W) spread over [0, 1] between its 2nd and 98th percentile; `None` for what has none."""
        region, picture, family, name = split_name(feature)
        if f"{family}_{name}" not in map_names() or region not in REGIONS:
            return None
        mask = lung_regions(fields)[region]
        plain = {"weighting": "none", "aggregation": "averaged"}
        grey = np.asarray(pixels, np.float64) * _GREYS
        for one in pictures(grey, self._settings):
            if one.name != picture:
                continue
            inside = smaller_mask(mask, one.scale) if one.scale > 1 else mask
            try:
                found = feature_maps(
                    one.values, inside, [f"{family}_{name}"], one.settings.model_copy(update=plain), radius=radius
                )[0]
            except CarinaError:
                return None
            return _spread(found, pixels.shape)
        return None


def _at_side(pixels: Array, fields: LungFields, side: int | None) -> tuple[Array, LungFields]:
    """Film and lungs at the size at which texture was measured."""
    longest = max(pixels.shape)
    if side is None or longest <= side:
        return pixels, fields
    size = (max(round(pixels.shape[1] * side / longest), 1), max(round(pixels.shape[0] * side / longest), 1))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    mask = np.asarray(cv2.resize(fields.mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return small, LungFields(mask, fields.flags)


def _spread(found: NDArray[np.float64], shape: tuple[int, ...]) -> Array | None:
    known = np.isfinite(found)
    if not known.any():
        return None
    low, high = np.quantile(found[known], _SPAN)
    scaled = (np.where(known, found, low) - low) / (high - low) if high > low else np.zeros(found.shape)
    heat = np.asarray(np.where(known, np.clip(0.06 + 0.94 * scaled, 0.0, 1.0), 0.0), np.float32)
    if heat.shape != shape:
        heat = np.asarray(cv2.resize(heat, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), np.float32)
    return heat


def _outlined(fields: LungFields, region: str) -> NDArray[np.uint8]:
    """Lungs or the part of them that a feature is of, its pixels numbered by lung."""
    if region in {"right", "left", *ZONES}:
        return np.asarray(fields.mask * lung_regions(fields, without_heart=False)[region], np.uint8)
    return fields.mask


def _draw_outlines(panel: NDArray[np.uint8], mask: NDArray[Any]) -> None:
    size = (panel.shape[1], panel.shape[0])
    for number, colour in _COLOURS.items():
        side = cv2.resize(np.asarray(mask == number, np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
        outlines, _ = cv2.findContours(
            np.asarray(side > 127, np.uint8),  # noqa: PLR2004 - half
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_SIMPLE,
        )
        cv2.drawContours(panel, outlines, -1, colour, 1, cv2.LINE_AA)
