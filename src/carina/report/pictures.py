"""Films and heatmaps as small pictures inside a page."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import decode_mask
from carina.inference.heatmap import normalise_map, overlay
from carina.report.html import data_uri
from carina.report.readings import FilmReading
from carina.types import Array

__all__ = ["film_picture", "heat_layers", "heatmap_picture", "lung_layer", "opacity_layer", "paired_picture", "righted"]

_MOST_BYTES = 64 * 1024 * 1024  # a heatmap picture larger than this is not one of ours
_MOST_MAP_BYTES = 8 * 1024 * 1024  # unpacked; real maps take some 10 kB, and a packed file may unpack to anything
_LARGEST_MAP = 512
_QUALITY = 84
_LAYER_SIDE = 112  # pixels; a class map has far fewer, and the browser smooths between them
_STRONGEST = 0.6
_PAIR_OPACITY, _PAIR_QUALITY, _PAIR_GAP = 0.5, 86, 4
_OUTLINE_SIDE = 448  # pixels
_OPACITY_SIDE = 160  # pixels
# blue, green, red, opaque
_LUNG_COLOURS = {1: (255, 200, 90, 255), 2: (90, 220, 255, 255)}
_OPACITY_COLOUR = (80, 90, 255)
_TURNS = {"rotated_90_clockwise": 3, "rotated_180": 2, "rotated_90_counterclockwise": 1}


def film_picture(reading: FilmReading, folder: Path, side: int) -> str | None:
    """Film as a data URI, put right as the quality gate did; `None` where it is gone or another film by now.

    Parameters
    ----------
    reading : FilmReading
        Names the file and the corrections.
    folder : Path
        Of the readings, tried where the name is relative.
    side : int
        Longest side, pixels.
    """
    path = next((p for p in (Path(reading.file), folder / reading.file) if p.is_file()), None)
    if path is None:
        return None
    from carina.imaging import read_film  # noqa: PLC0415 - decoders are slow to load, and some pages need none

    try:
        film = read_film(path)
    except (CarinaError, OSError):
        return None
    if reading.film is not None and reading.film.sha256 not in {None, film.sha256}:
        return None  # another film by now: its picture must not stand beside this reading
    corrected = reading.quality.corrected if reading.quality is not None else ()
    return _data_uri(np.asarray(np.rint(righted(film.pixels, corrected) * 255), dtype=np.uint8), side)


def heatmap_picture(reading: FilmReading, folder: Path, side: int) -> str | None:
    """Overlay as a data URI; `None` where there is none inside the folder."""
    if reading.heatmap is None:
        return None
    try:
        content = _inside(folder, reading.heatmap, _MOST_BYTES)
        picture = None if content is None else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else _data_uri(np.asarray(picture, np.uint8), side)


def heat_layers(reading: FilmReading, folder: Path) -> dict[str, str]:
    """Heatmap of every class, transparent where it is cold, as data URIs; empty where the raw maps are missing.

    Each map is spread over [0, 1] by itself (M23); one that is constant is left fully transparent.
    """
    shows = reading.heatmap_shows
    if shows is None or shows.maps is None:
        return {}
    content = _inside(folder, shows.maps, _MOST_MAP_BYTES)
    found = None if content is None else _maps(content)
    if found is None:
        return {}
    classes, maps, region = found
    rows, columns = maps.shape[1:]
    if reading.film is not None and reading.film.rows and reading.film.columns:
        rows, columns = reading.film.rows, reading.film.columns
    frame = _small_frame(region, rows, columns)
    return {name: _layer(frame.lay_out(normalise_map(one))) for name, one in zip(classes, maps, strict=True)}


def lung_layer(reading: FilmReading, folder: Path) -> str | None:
    """Outlines of the lung fields as a data URI, the right in blue, the left in yellow; `None` where there are none."""
    mask = _grey(reading.lungs, folder, indexed=True)
    if mask is None:
        return None
    scale = _OUTLINE_SIDE / max(mask.shape)
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    picture = np.zeros((*small.shape, 4), np.uint8)
    for side, colour in _LUNG_COLOURS.items():
        outline = cv2.findContours((small == side).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(picture, outline, -1, colour, 2, cv2.LINE_AA)
    return _png_uri(picture)


def opacity_layer(reading: FilmReading, folder: Path) -> str | None:
    """Opacity map as a data URI, in one colour, as strong as the opacity; `None` where there is none."""
    opacity = _grey(reading.opacity, folder, indexed=False)
    if opacity is None:
        return None
    scale = _OPACITY_SIDE / max(opacity.shape)
    size = (max(1, round(opacity.shape[1] * scale)), max(1, round(opacity.shape[0] * scale)))
    small = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA)
    colour = np.broadcast_to(np.array(_OPACITY_COLOUR, np.uint8), (*small.shape, 3))
    return _png_uri(np.dstack([colour, np.asarray(np.rint(small * _STRONGEST), np.uint8)]))


def paired_picture(
    pixels: Array,
    heat: Array | None,
    side: int,
    draw: Callable[[NDArray[np.uint8], float], None] | None = None,
) -> str:
    """Film beside film with its class map, as a data URI.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    heat : ndarray of float32, or None
        Laid out on the film, in [0, 1], of any size; without one the film stands alone.
    side : int
        Longest side of one film, pixels.
    draw : callable, optional
        Draws on each panel, red, green, blue; gets the panel and its scale, panel pixels a film pixel.

    Returns
    -------
    str
    """
    scale = side / max(pixels.shape)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(pixels, size, interpolation=way), np.float32)
    panels = [np.ascontiguousarray(np.dstack([np.asarray(np.rint(small * 255), np.uint8)] * 3))]
    if heat is not None:
        laid = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
        panels.append(overlay(small, laid, _PAIR_OPACITY))
    for panel in panels:
        if draw is not None:
            draw(panel, scale)
    gap = np.zeros((size[1], _PAIR_GAP, 3), np.uint8)
    both = panels[0] if heat is None else np.hstack([panels[0], gap, panels[1]])
    content = cv2.imencode(".jpg", cv2.cvtColor(both, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _PAIR_QUALITY])[1]
    return data_uri(content.tobytes(), "jpeg")


def _grey(name: str | None, folder: Path, *, indexed: bool) -> NDArray[np.uint8] | None:
    """Read a picture of one channel, (H, W): palette indices or grey; `None` if it is not one, or not in the folder."""
    content = None if name is None else _inside(folder, name, _MOST_BYTES)
    if content is None:
        return None
    try:
        if indexed:
            return decode_mask(content).mask
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except (cv2.error, CarinaError):
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def _small_frame(region: NDArray[np.int64] | None, rows: int, columns: int) -> Frame:
    """Frame of a picture `_LAYER_SIDE` pixels long, for what the network saw of the film."""
    left, top, width, height = (0, 0, columns, rows) if region is None else (int(value) for value in region)
    scale = _LAYER_SIDE / max(rows, columns)
    high, wide = max(1, round(rows * scale)), max(1, round(columns * scale))
    x, y = min(round(left * scale), wide - 1), min(round(top * scale), high - 1)
    right, bottom = min(round((left + width) * scale), wide), min(round((top + height) * scale), high)
    return Frame(x, y, max(1, right - x), max(1, bottom - y), rows=high, columns=wide, size=_LAYER_SIDE)


def _maps(content: bytes) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64] | None] | None:
    """Classes (K,), raw maps (K, h, w) and the region they span, out of the file that `carina predict` wrote."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > _MOST_MAP_BYTES:
                return None
        # Without pickles nothing in the file can run.
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            classes, maps = [str(name) for name in stored["classes"]], np.asarray(stored["class_maps"], np.float32)
            region = np.asarray(stored["region"], np.int64) if "region" in stored else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    fits = maps.ndim == 3 and len(maps) == len(classes) and min(maps.shape) > 0 and max(maps.shape) <= _LARGEST_MAP  # noqa: PLR2004 - class, row, column
    fits = fits and (region is None or (region.shape == (4,) and bool((region >= (0, 0, 1, 1)).all())))
    return (classes, maps, region) if fits and bool(np.isfinite(maps).all()) else None


def _layer(heat: Array) -> str:
    """Colours as on the overlay of `carina predict` (plasma), opacity growing with the heat."""
    index = np.asarray(np.rint(np.clip(heat, 0, 1) * 255), np.uint8)
    colour = cv2.applyColorMap(index, cv2.COLORMAP_PLASMA)
    alpha = np.asarray(np.rint(index * _STRONGEST), np.uint8)
    return _png_uri(np.dstack([colour, alpha]))


def _png_uri(picture: NDArray[np.uint8]) -> str:
    content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return data_uri(content.tobytes(), "png")


def _inside(folder: Path, name: str, most: int) -> bytes | None:
    """Content of a file of the folder; `None` if it is not there, too large, or elsewhere.

    A line can name any file; only what lies below the folder is put into a page that is passed on.
    """
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > most:
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None


def righted(pixels: Array, corrected: tuple[str, ...]) -> Array:
    """Put a film right as the quality gate did: turned by quarters, inverted.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1].
    corrected : tuple of str
        Names of the corrections, in their order.
    """
    for name in corrected:
        pixels = np.float32(1.0) - pixels if name == "inverted" else np.rot90(pixels, _TURNS.get(name, 0))
    return np.asarray(pixels, dtype=np.float32)


def _data_uri(picture: NDArray[np.uint8], side: int) -> str:
    scale = side / max(picture.shape[:2])
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return data_uri(content.tobytes(), "jpeg")
