"""Films and their layers as PNG for the browser."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

import cv2
import numpy as np

from carina.archive import DeskFilm, Study
from carina.imaging import read_film
from carina.settings import Limits
from carina.types import Array

__all__ = ["FilmPictures", "window_png"]

_KEPT: Final = 4
_LEAST_WIDTH: Final = 1e-3


def window_png(pixels: Array, centre: float, width: float, side: int | None) -> bytes:
    """8-bit PNG of a film under a window.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        In [0, 1], 0 black.
    centre, width : float
        Of the window, in [0, 1] of the film's own range; 0.5 and 1 show all of it.
    side : int or None
        Longest side, pixels; None for the film's own size.
    """
    scale = 1.0 if side is None else side / max(pixels.shape)
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    gain = 255.0 / max(width, _LEAST_WIDTH)
    grey = cv2.convertScaleAbs(np.maximum(pixels * gain + (127.5 - centre * gain), 0.0))
    return bytes(cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


class FilmPictures:
    """Decoded films, the last few kept, so that a window moves without decoding again.

    Parameters
    ----------
    study : Study
    limits : Limits
    """

    def __init__(self, study: Study, limits: Limits) -> None:
        self._study = study
        self._limits = limits
        self._lock = Lock()
        self._films: OrderedDict[str, Array] = OrderedDict()

    def png(self, film: DeskFilm, centre: float, width: float, side: int | None) -> bytes:
        """PNG of a film that the visitor may see.

        Raises
        ------
        FilmRejectedError
            If its pixels cannot be decoded.
        """
        return window_png(self._pixels(film), centre, width, side)

    def _pixels(self, film: DeskFilm) -> Array:
        with self._lock:
            known = self._films.get(film.film_id)
            if known is not None:
                self._films.move_to_end(film.film_id)
                return known
        pixels = read_film(self._study.store.read(film.path), self._limits).pixels
        with self._lock:
            self._films[film.film_id] = pixels
            while len(self._films) > _KEPT:
                self._films.popitem(last=False)
        return pixels
