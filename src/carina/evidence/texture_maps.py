"""Feature maps of films as files: the numbers, and a picture to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError
from carina.evidence.texture_films import FilmMeasurer, MeasureOptions
from carina.evidence.texture_rows import FilmRows
from carina.imaging import read_film
from carina.texture import feature_maps, lung_regions

__all__ = ["draw_map", "write_maps"]

_GREYS = 255.0
_LOW, _HIGH = 2.0, 98.0
_SHOWN = 0.55


def write_maps(
    rows: FilmRows,
    folder: Path,
    options: MeasureOptions,
    names: Sequence[str],
    *,
    radius: int = 2,
    on_film: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """Map features over both lungs of each film, at the settings' `film_side`.

    Parameters
    ----------
    rows : FilmRows
    folder : Path
        Gets ``IMAGE_ID.npz`` (each feature's map, float32 (H, W), NaN outside the lungs) and ``IMAGE_ID.FEATURE.png``.
    options : MeasureOptions
    names : sequence of str
        Of `carina.texture.map_names`.
    radius : int
        Of the window, pixels.
    on_film : callable or None
        Called with the number of films done.

    Returns
    -------
    dict of str to str
        Films without maps, and why.

    Raises
    ------
    TextureError
        If a name is unknown.
    """
    feature_maps(np.arange(64.0).reshape(8, 8), np.ones((8, 8), np.bool_), names, options.settings, radius=radius)
    folder.mkdir(parents=True, exist_ok=True)
    measurer = FilmMeasurer(options)
    refused: dict[str, str] = {}
    for number, job in enumerate(rows.jobs(), 1):
        try:
            film = read_film(Path(job.path), options.limits)
            fields = measurer.fields(film, job.mask)
            lungs = lung_regions(fields)["lungs"]
            picture, inside = _at_size(film.pixels, lungs, options.settings.film_side)
            found = feature_maps(picture * _GREYS, inside, names, options.settings, radius=radius)
        except (CarinaError, OSError) as error:
            refused[job.image_id] = str(error)
        else:
            kept = {name: part.astype(np.float32) for name, part in zip(names, found, strict=True)}
            np.savez_compressed(folder / f"{job.image_id}.npz", **kept)
            for name, part in kept.items():
                cv2.imwrite(str(folder / f"{job.image_id}.{name}.png"), draw_map(picture, part))
        if on_film is not None:
            on_film(number)
    return refused


def draw_map(picture: NDArray[np.floating], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a map over its film.

    Parameters
    ----------
    picture : ndarray of float, (H, W)
        In [0, 1].
    values : ndarray of float32, (H, W)
        NaN where nothing is to be laid.

    Returns
    -------
    ndarray of uint8, (H, W, 3)
        Blue, green, red; viridis from the 2nd to the 98th percentile of the values.
    """
    grey = np.repeat(np.rint(np.clip(picture, 0, 1) * _GREYS).astype(np.uint8)[..., None], 3, axis=2)
    there = np.isfinite(values)
    if not there.any():
        return grey
    low, high = np.percentile(values[there], [_LOW, _HIGH])
    share = np.clip((np.where(there, values, low) - low) / (high - low if high > low else 1.0), 0, 1)
    colours = cv2.applyColorMap(np.rint(share * _GREYS).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    mixed = np.rint((1 - _SHOWN) * grey + _SHOWN * colours).astype(np.uint8)
    return np.where(there[..., None], mixed, grey)


def _at_size(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_], side: int | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    longest = max(pixels.shape)
    picture = np.asarray(pixels, np.float64)
    if side is None or longest <= side:
        return picture, mask
    size = (max(round(pixels.shape[1] * side / longest), 1), max(round(pixels.shape[0] * side / longest), 1))
    shrunk = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)), np.asarray(shrunk >= 0.5)  # noqa: PLR2004 - half
