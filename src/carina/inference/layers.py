"""What is laid over a film, as files beside the predictions: heatmap, raw maps, lung fields, opacity."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from carina.errors import OutputError
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import LungFields, encode_mask
from carina.inference.heatmap import encode_png, normalise_map, overlay
from carina.inference.reading import HeatmapRecord, Reading
from carina.inference.sources import HEATMAPS, LUNGS, OPACITY
from carina.types import Array, Film

__all__ = ["LayerOptions", "draw_heatmap", "draw_lungs", "draw_opacity"]

_STEM = 48
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LEVELS = 255.0


@dataclass(frozen=True, slots=True)
class LayerOptions:
    """Where and how the layers of a film are drawn.

    Attributes
    ----------
    out : Path
        Output folder; the files go to its `heatmaps`, `lungs` and `opacity`.
    of : str or None
        Class whose heatmap is shown; `None` for the class decided on, or else the most probable one.
    opacity : float
        Strongest opacity of the heatmap over the film, in [0, 1].
    """

    out: Path
    of: str | None = None
    opacity: float = 0.45


def draw_heatmap(
    reading: Reading, film: Film, frame: Frame, maps: Array, *, classes: tuple[str, ...], options: LayerOptions
) -> Reading:
    """Write the heatmap over its film, and the raw maps of every class.

    Parameters
    ----------
    reading : Reading
        With its decision.
    film : Film
        As judged.
    frame : Frame
        What of it the network saw.
    maps : ndarray of float32, (K, h, w)
        Raw (M23).
    classes : tuple of str
    options : LayerOptions

    Returns
    -------
    Reading
        That names the files.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    probabilities = reading.probabilities or {}
    shown = options.of or (
        reading.decision if reading.decision in classes else max(classes, key=lambda name: probabilities[name])
    )
    raw = maps[classes.index(shown)]
    heat = frame.lay_out(normalise_map(raw))
    stem = _stem(reading)
    picture = encode_png(overlay(film.pixels, heat, options.opacity))
    _save(options.out / HEATMAPS / f"{stem}.png", picture)
    _save_maps(options.out / HEATMAPS / f"{stem}.npz", maps, classes, frame)
    corrected = reading.quality is not None and bool(reading.quality.corrected)
    record = HeatmapRecord(
        of=shown,
        maps=f"{HEATMAPS}/{stem}.npz",
        maximum=float(raw.max()),
        drawn_on="corrected_film" if corrected else "film",
    )
    return replace(reading, heatmap=f"{HEATMAPS}/{stem}.png", heatmap_shows=record)


def draw_lungs(reading: Reading, fields: LungFields, options: LayerOptions) -> Reading:
    """Write the lung fields as an indexed PNG at the film's size: 0 outside, 1 right lung, 2 left lung.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    name = f"{LUNGS}/{_stem(reading)}.png"
    _save(options.out / name, encode_mask(fields))
    return replace(reading, lungs=name)


def draw_opacity(reading: Reading, opacity: Array, options: LayerOptions) -> Reading:
    """Write the opacity map as an 8-bit grey PNG at the film's size, 255 where it is 1.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    name = f"{OPACITY}/{_stem(reading)}.png"
    _save(options.out / name, encode_png(np.asarray(np.rint(opacity * _LEVELS), dtype=np.uint8)))
    return replace(reading, opacity=name)


def _stem(reading: Reading) -> str:
    stem = os.path.splitext(os.path.basename(reading.file))[0]  # noqa: PTH119, PTH122 - a str, perhaps no valid path
    return f"{_UNSAFE.sub('-', stem)[:_STEM]}-{reading.id[:8]}"


def _save_maps(path: Path, maps: Array, classes: tuple[str, ...], frame: Frame) -> None:
    region = np.array([frame.left, frame.top, frame.width, frame.height])
    try:
        np.savez(path, class_maps=maps, maxima=maps.max(axis=(1, 2)), classes=np.array(classes), region=region)
    except OSError as error:
        raise _unwritten(path, error) from error


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> OutputError:
    # Half a picture must not be mistaken for one.
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return OutputError(
        f"the layer {str(path)!r} cannot be written: {error.strerror}; finished films are kept, "
        "make room and run the same command again"
    )
