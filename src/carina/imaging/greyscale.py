"""Stored values to grey in [0, 1]: modality LUT, VOI window or LUT, polarity, padding (PS3.3 C.7.6.3, C.11.1, C.11.2).

A stored value of at most 16 bits goes through a table made once for the film, so that every step is exact and the
picture is touched once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.types import Array

__all__ = ["GreyRule", "LookupTable", "Window", "colour_to_grey", "to_grey"]

_TABLE_BITS = 16
_LUMA = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as in PS3.3 C.7.6.3.1.2 for YBR_FULL


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A DICOM LUT (PS3.3 C.11.1.1.1): values below the first input get the first entry, above the last the last.

    Attributes
    ----------
    first : int
        Input value of the first entry.
    bits : int
        Bits of an entry, 1 to 16.
    entries : ndarray of float64, (N,)
    """

    first: int
    bits: int
    entries: NDArray[np.float64]

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look values up."""
        index = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1).astype(np.intp)
        return np.asarray(self.entries[index])


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Attributes
    ----------
    centre, width : float
        In units of the modality LUT's output.
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
    """

    centre: float
    width: float
    function: str = "LINEAR"

    @property
    def usable(self) -> bool:
        """Whether the width is one that the standard allows."""
        least = 1.0 if self.function == "LINEAR" else 0.0
        return bool(np.isfinite(self.centre) and np.isfinite(self.width)) and self.width >= least and self.width > 0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values to [0, 1].

        Examples
        --------
        >>> Window(2048, 4096)(np.asarray([0.0, 4095.0]))
        array([0., 1.])
        """
        if self.function == "SIGMOID":
            exponent = np.clip(-4.0 * (values - self.centre) / self.width, -700.0, 700.0)
            return np.asarray(1.0 / (1.0 + np.exp(exponent)))
        centre, width = self.centre, self.width
        if self.function == "LINEAR":
            centre, width = centre - 0.5, width - 1.0
        if width == 0.0:
            return np.asarray(values > centre, dtype=np.float64)
        return np.asarray(np.clip((values - centre) / width + 0.5, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class GreyRule:
    """How one film's stored values become grey.

    Attributes
    ----------
    bits : int
        Bits stored.
    signed : bool
        Whether stored values are two's complement.
    slope, intercept : float
        Rescale, used where there is no `modality_lut`.
    modality_lut, voi_lut : LookupTable or None
    window : Window or None
        Used where there is no `voi_lut`; without both, the range of the values present is spread over the scale.
    inverted : bool
        Whether low values are white (MONOCHROME1).
    padding : tuple of int or None
        Lowest and highest stored value that is padding (PS3.3 C.7.5.1.1.2): black, and left out of the range.
    """

    bits: int
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: LookupTable | None = None
    voi_lut: LookupTable | None = None
    window: Window | None = None
    inverted: bool = False
    padding: tuple[int, int] | None = None

    def modality(self, stored: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring stored values to output units of the modality LUT."""
        if self.modality_lut is not None:
            return self.modality_lut(stored)
        return stored * self.slope + self.intercept

    def grey(self, stored: NDArray[np.float64], present: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """Bring stored values to grey; `present` marks the values whose range is spread where no window is given."""
        values = self.modality(stored)
        if self.voi_lut is not None:
            shown = np.clip(self.voi_lut(values) / (2.0**self.voi_lut.bits - 1.0), 0.0, 1.0)
        elif self.window is not None:
            shown = self.window(values)
        else:
            shown = _spread(values, values if present is None else values[present])
        if self.inverted:
            shown = 1.0 - shown
        padded = self.padded(stored)
        return shown if padded is None else np.where(padded, 0.0, shown)

    def padded(self, stored: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Which values are padding."""
        if self.padding is None:
            return None
        low, high = self.padding
        return np.asarray((stored >= low) & (stored <= high))


def _spread(values: NDArray[np.float64], present: NDArray[np.float64]) -> NDArray[np.float64]:
    if present.size == 0:
        return np.zeros_like(values)
    low, high = float(present.min()), float(present.max())
    return np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(values)


def to_grey(raw: NDArray[np.unsignedinteger], rule: GreyRule) -> Array:
    """Grey of a film.

    Parameters
    ----------
    raw : ndarray of unsigned integers, (H, W)
        Stored bits in the low `rule.bits` of each sample, junk above already masked.
    rule : GreyRule

    Returns
    -------
    ndarray of float32, (H, W)
        0 black to 1 white.

    Examples
    --------
    >>> to_grey(np.asarray([[0, 3]], np.uint8), GreyRule(bits=2, inverted=True))
    array([[1., 0.]], dtype=float32)
    """
    if rule.bits > _TABLE_BITS:
        stored = _as_stored(raw, rule).astype(np.float64)
        padded = rule.padded(stored)
        return np.ascontiguousarray(rule.grey(stored, None if padded is None else ~padded), dtype=np.float32)
    every = np.arange(2**rule.bits, dtype=np.uint32)
    stored = _as_stored(every, rule).astype(np.float64)
    present = None
    if rule.voi_lut is None and rule.window is None:
        present = _values_present(raw, every.size, rule)
        padded = rule.padded(stored)
        present = present if padded is None else present & ~padded
    table = rule.grey(stored, present).astype(np.float32)
    return np.asarray(table.take(raw), dtype=np.float32)


def _values_present(raw: NDArray[np.unsignedinteger], count: int, rule: GreyRule) -> NDArray[np.bool_]:
    """Mark which stored bits occur; of a rising or falling scale the two ends suffice, and are found sooner."""
    present = np.zeros(count, dtype=np.bool_)
    if rule.modality_lut is None and rule.padding is None and not rule.signed:
        present[[raw.min(), raw.max()]] = True
    else:
        present[raw] = True
    return present


def _as_stored(raw: NDArray[np.unsignedinteger], rule: GreyRule) -> NDArray[np.int64]:
    """Two's complement of `bits` bits to integers."""
    values = raw.astype(np.int64)
    if rule.signed:
        sign = np.int64(1) << np.int64(rule.bits - 1)
        values = (values ^ sign) - sign
    return values


def colour_to_grey(samples: NDArray[np.unsignedinteger], bits: int) -> Array:
    """Luma of a colour picture.

    Parameters
    ----------
    samples : ndarray of unsigned integers, (H, W, 3)
        Red, green, blue.
    bits : int
        Bits of a sample; ``2**bits - 1`` is full scale.

    Returns
    -------
    ndarray of float32, (H, W)
        In [0, 1].

    Examples
    --------
    >>> colour_to_grey(np.full((1, 1, 3), 255, np.uint8), 8)
    array([[1.]], dtype=float32)
    """
    luma = samples.astype(np.float32) @ (_LUMA / np.float32(2.0**bits - 1.0))
    return np.ascontiguousarray(np.clip(luma, 0.0, 1.0), dtype=np.float32)
