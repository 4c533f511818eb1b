"""Films as pictures and as pixels for the browser: decoded once, a bounded number of bytes kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.archive import DeskFilm, Study
from carina.imaging import read_film
from carina.report.pictures import righted
from carina.settings import Limits

__all__ = ["FilmPictures", "FilmPixels", "Grey", "shrunk", "window_png"]

Grey: TypeAlias = NDArray[np.uint16]
"""(H, W), 0 black, 65535 white."""

WHITE: Final = 65535
_KEPT_BYTES: Final = 256 * 1024 * 1024
_AT_ONCE: Final = 2
_LEAST_WIDTH: Final = 1e-3


@dataclass(frozen=True, slots=True)
class FilmPixels:
    """A film's pixels on their way to a viewer.

    Attributes
    ----------
    rows, columns : int
    content : bytes
        Rows of 16-bit grey, little endian, 0 black and 65535 white.
    """

    rows: int
    columns: int
    content: bytes


def shrunk(pixels: Grey, side: int | None) -> Grey:
    """Shrink a film to a longest side, by area; a smaller one, and any where the side is None, stays as it is."""
    scale = 1.0 if side is None else side / max(pixels.shape)
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint16)


def window_png(pixels: Grey, centre: float, width: float, side: int | None) -> bytes:
    """8-bit PNG of a film under a window.

    Parameters
    ----------
    pixels : ndarray of uint16, (H, W)
        0 black, 65535 white.
    centre, width : float
        Of the window, in [0, 1] of the film's own range; 0.5 and 1 show all of it.
    side : int or None
        Longest side, pixels; None for the film's own size.
    """
    gain = 255.0 / max(width, _LEAST_WIDTH)
    levels = np.arange(WHITE + 1, dtype=np.float32) / WHITE
    table = np.asarray(np.rint(np.clip(levels * gain + (127.5 - centre * gain), 0, 255)), np.uint8)
    return bytes(cv2.imencode(".png", table[shrunk(pixels, side)], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


class FilmPictures:
    """Decoded films, the last few kept, so that a window moves without decoding again.

    Two requests for one film, as a page makes them, decode it once: the second waits for the first.

    Parameters
    ----------
    study : Study
    limits : Limits
    kept_bytes : int
        Of the films kept; one is kept whatever its size.
    """

    def __init__(self, study: Study, limits: Limits, kept_bytes: int = _KEPT_BYTES) -> None:
        self._study = study
        self._limits = limits
        self._most = kept_bytes
        self._lock = Lock()
        self._films: OrderedDict[str, Grey] = OrderedDict()
        self._decoding: dict[str, Lock] = {}
        self._few = BoundedSemaphore(_AT_ONCE)  # the attack is many large films at a time, and no memory left

    def png(
        self, film: DeskFilm, centre: float, width: float, side: int | None, corrected: tuple[str, ...] = ()
    ) -> bytes:
        """PNG of a film that the visitor may see, put right as the quality gate did where `corrected` says so.

        Raises
        ------
        FilmRejectedError
            If its pixels cannot be decoded.
        """
        return window_png(_upright(shrunk(self._pixels(film), side), corrected), centre, width, None)

    def pixels(self, film: DeskFilm, side: int, corrected: tuple[str, ...] = ()) -> FilmPixels:
        """Pixels of a film that the visitor may see, no longer than a side.

        Raises
        ------
        FilmRejectedError
            If they cannot be decoded.
        """
        found = _upright(shrunk(self._pixels(film), side), corrected)
        return FilmPixels(found.shape[0], found.shape[1], found.astype("<u2", copy=False).tobytes())

    def _pixels(self, film: DeskFilm) -> Grey:
        with self._lock:
            known = self._known(film.film_id)
            if known is not None:
                return known
            mine = self._decoding.setdefault(film.film_id, Lock())
        with mine:
            with self._lock:
                known = self._known(film.film_id)
            if known is not None:
                return known
            try:
                with self._few:
                    found = read_film(self._study.store.read(film.path), self._limits).pixels
                    grey = np.asarray(np.rint(found * np.float32(WHITE)), np.uint16)
                with self._lock:
                    self._keep(film.film_id, grey)
            finally:
                with self._lock:
                    self._decoding.pop(film.film_id, None)
        return grey

    def _known(self, film_id: str) -> Grey | None:
        known = self._films.get(film_id)
        if known is not None:
            self._films.move_to_end(film_id)
        return known

    def _keep(self, film_id: str, grey: Grey) -> None:
        self._films[film_id] = grey
        while len(self._films) > 1 and sum(each.nbytes for each in self._films.values()) > self._most:
            self._films.popitem(last=False)


def _upright(pixels: Grey, corrected: tuple[str, ...]) -> Grey:
    if not corrected:
        return pixels
    shares = np.asarray(pixels, np.float32) / np.float32(WHITE)
    return np.asarray(np.rint(righted(np.asarray(shares, np.float32), corrected) * WHITE), np.uint16)
