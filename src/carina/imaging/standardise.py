"""Every film to the network's input: one framing, one intensity scale (M3, M36).

What names the hospital instead of the disease has to go before the network sees the film: aspect ratio (all films
become square), resolution (area averaging down to one size) and grey scale (`intensity`). Which choice keeps the label
and loses the source was measured; see `docs/standardisation.md`.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from carina.imaging.framing import frame_film
from carina.imaging.lung_fields import LungFields
from carina.types import Array, Bytes

__all__ = ["Standardisation", "standardise"]

_FLAT = 1e-6
_MIDDLE = 0.5


class Standardisation(BaseModel):
    """How a film becomes the network's input.

    Attributes
    ----------
    size : int
        Side of the square input, pixels, 32 to 1024.
    framing : {"whole", "lung_centred", "lung_masked"}
        ``"whole"``: the whole film, each axis scaled by its own factor, so that the aspect ratio is the same for all.
        ``"lung_centred"``: the box of both lungs and a margin, scaled likewise (`carina.imaging.framing`).
        ``"lung_masked"``: as before, and all outside the lung fields made one grey. Both take the whole film where no
        plausible lungs were found.
    intensity : {"window", "equalise", "local"}
        ``"window"``: the 1st to the 99th percentile of the film spread over the scale. ``"equalise"``: histogram
        equalised. ``"local"``: deviation from the local mean in units of the local standard deviation (Gaussian
        neighbourhood, sigma an eighth of the side), -2.5 to 2.5 spread over the scale.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def needs_lungs(self) -> bool:
        """Whether the framing rests on lung fields."""
        return self.framing != "whole"

    size: int = Field(192, ge=32, le=1024)
    framing: Literal["whole", "lung_centred", "lung_masked"] = "whole"
    intensity: Literal["window", "equalise", "local"] = "window"


def standardise(pixels: Array, spec: Standardisation, fields: LungFields | None = None) -> Bytes:
    """Bring a film to the network's input.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        Intensities in [0, 1], 0 black.
    spec : Standardisation
    fields : LungFields or None
        Of this film, for the framings that rest on them; `None` or implausible ones frame the whole film.

    Returns
    -------
    ndarray of uint8, (size, size)
        0 to 255; a film of one grey becomes all zeros.

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(64, 48)
    >>> standardise(ramp, Standardisation(size=32)).shape
    (32, 32)
    """
    frame = frame_film((pixels.shape[0], pixels.shape[1]), spec.size, fields if spec.needs_lungs else None)
    small = _resize(frame.crop(pixels), spec.size)
    outside = None
    if spec.framing == "lung_masked" and fields is not None and fields.plausible:
        outside = _outside(frame.crop(fields.mask), spec.size)
        # before the grey scale is spread: what lies outside must not say how
        small = np.where(outside, small[~outside].mean(), small).astype(np.float32)
    if float(small.max() - small.min()) < _FLAT:
        return np.zeros((spec.size, spec.size), np.uint8)
    if spec.intensity == "window":
        scaled = _window(small)
    elif spec.intensity == "equalise":
        scaled = _equalise(small)
    else:
        scaled = _local(small)
    if outside is not None:
        scaled[outside] = _MIDDLE
    return np.asarray(np.rint(scaled * 255.0), dtype=np.uint8)


def _outside(mask: Bytes, side: int) -> NDArray[np.bool_]:
    """Pixels of the input that no lung field reaches, which are widened by a fiftieth of the side."""
    inside = cv2.resize((mask > 0).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    reach = 2 * max(1, side // 50) + 1
    return np.asarray(cv2.dilate(inside, np.ones((reach, reach), np.uint8)) == 0)


def _resize(pixels: Array, side: int) -> Array:
    """Area average where it shrinks, bilinear where it grows."""
    shrinks = pixels.shape[0] >= side and pixels.shape[1] >= side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=method), dtype=np.float32)


def _window(small: Array) -> Array:
    low, high = np.percentile(small, (1.0, 99.0))
    return np.asarray(np.clip((small - low) / max(float(high - low), _FLAT), 0.0, 1.0), dtype=np.float32)


def _equalise(small: Array) -> Array:
    bytes_ = np.asarray(np.rint(_window(small) * 255.0), dtype=np.uint8)
    return np.asarray(cv2.equalizeHist(bytes_), dtype=np.float32) / np.float32(255.0)


def _local(small: Array) -> Array:
    sigma = small.shape[0] / 8.0
    mean = cv2.GaussianBlur(small, (0, 0), sigma)
    variance = cv2.GaussianBlur(small * small, (0, 0), sigma) - mean * mean
    floor = 0.1 * float(small.std())
    deviation = (small - mean) / np.sqrt(np.maximum(variance, floor * floor))
    return np.asarray(np.clip(deviation / 5.0 + 0.5, 0.0, 1.0), dtype=np.float32)
