"""Films and heatmaps as small pictures inside a page."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError
from carina.report.readings import FilmReading
from carina.types import Array

__all__ = ["film_picture", "heatmap_picture"]

_MOST_BYTES = 64 * 1024 * 1024  # a heatmap picture larger than this is not one of ours
_QUALITY = 84
_TURNS = {"rotated_90_clockwise": 3, "rotated_180": 2, "rotated_90_counterclockwise": 1}


def film_picture(reading: FilmReading, folder: Path, side: int) -> str | None:
    """Film as a data URI, put right as the quality gate did; `None` where it can no longer be read.

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
        pixels = read_film(path).pixels
    except (CarinaError, OSError):
        return None
    corrected = reading.quality.corrected if reading.quality is not None else ()
    return _data_uri(np.asarray(np.rint(_righted(pixels, corrected) * 255), dtype=np.uint8), side)


def heatmap_picture(reading: FilmReading, folder: Path, side: int) -> str | None:
    """Overlay as a data URI; `None` where there is none inside the folder."""
    if reading.heatmap is None:
        return None
    root = folder.resolve()
    try:
        path = (root / reading.heatmap).resolve()
        # A line can name any file; only pictures below the folder are put into a page that is passed on.
        if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, cv2.error):
        return None
    return None if picture is None else _data_uri(np.asarray(picture, np.uint8), side)


def _righted(pixels: Array, corrected: tuple[str, ...]) -> Array:
    for name in corrected:
        pixels = np.float32(1.0) - pixels if name == "inverted" else np.rot90(pixels, _TURNS.get(name, 0))
    return np.asarray(pixels, dtype=np.float32)


def _data_uri(picture: NDArray[np.uint8], side: int) -> str:
    scale = side / max(picture.shape[:2])
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"
