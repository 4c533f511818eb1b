"""Perceptual hashes: finding the same picture under another name, size or compression (M11)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from carina.errors import TableError
from carina.types import Array

__all__ = ["DEFAULT_BITS", "HASH_BITS", "Across", "hamming", "near_duplicates", "nearest_across", "perceptual_hash"]

HASH_BITS = 256
"""Bits of a perceptual hash."""

DEFAULT_BITS = 24
"""Hashes that differ in at most so many bits are one picture."""

_SIDE = 64
_LOW = 17
_WORDS = HASH_BITS // 64
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Across:
    """How near films of different groups come.

    Attributes
    ----------
    nearest_bits : int or None
        Fewest differing bits between two groups; `None` with fewer than two groups.
    pairs : int
        Pairs from different groups within the threshold.
    example : tuple of int or None
        Rows of one such pair.
    """

    nearest_bits: int | None
    pairs: int
    example: tuple[int, int] | None


def perceptual_hash(pixels: Array) -> str:
    """Hash of what a film looks like.

    Parameters
    ----------
    pixels : ndarray of float32, (H, W)
        Intensities in [0, 1].

    Returns
    -------
    str
        64 hex digits.
    """
    small = cv2.resize(np.asarray(pixels, dtype=np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    waves = np.asarray(dctn(small.astype(np.float64), norm="ortho"))[:_LOW, :_LOW].ravel()[1:]
    kept = waves[:HASH_BITS]
    return np.packbits(kept > np.median(kept)).tobytes().hex()


def hamming(one: str, other: str) -> int:
    """Differing bits of two hashes.

    Examples
    --------
    >>> hamming("0f", "0e")
    1
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()


def near_duplicates(hashes: Sequence[str], threshold_bits: int = DEFAULT_BITS) -> NDArray[np.intp]:
    """Pairs of films that are one picture.

    Returns
    -------
    ndarray of int, (P, 2)
        Row numbers, the smaller first, in ascending order.
    """
    words = _words(hashes)
    found = [np.zeros((0, 2), dtype=np.intp)]
    for start, bits in _distances(words):
        rows, columns = np.nonzero(bits <= threshold_bits)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    return np.concatenate(found)


def nearest_across(hashes: Sequence[str], groups: NDArray[np.integer], threshold_bits: int = DEFAULT_BITS) -> Across:
    """Compare films of different groups."""
    words = _words(hashes)
    nearest, pairs, example = HASH_BITS + 1, 0, None
    for start, bits in _distances(words):
        stop = start + bits.shape[0]
        apart = groups[start:stop, None] != groups[None, start:]
        if not apart.any():
            continue
        seen = np.where(apart, bits, HASH_BITS + 1)
        within = np.triu(seen <= threshold_bits)
        nearest = min(nearest, int(seen.min()))
        pairs += int(within.sum())
        if example is None and within.any():
            row, column = np.argwhere(within)[0]
            example = (start + int(row), start + int(column))
    return Across(nearest_bits=None if nearest > HASH_BITS else nearest, pairs=pairs, example=example)


def _words(hashes: Sequence[str]) -> NDArray[np.uint64]:
    try:
        content = b"".join(bytes.fromhex(value) for value in hashes)
        return np.frombuffer(content, dtype=np.uint64).reshape(len(hashes), _WORDS)
    except ValueError as error:
        raise TableError(f"every perceptual hash must be {HASH_BITS // 4} hex digits") from error


def _distances(words: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Differing bits of a block of rows with itself and all later rows, (block, rows from its start on)."""
    for start in range(0, len(words), _BLOCK):
        block, rest = words[start : start + _BLOCK], words[start:]
        bits = np.zeros((len(block), len(rest)), dtype=np.uint16)
        for word in range(_WORDS):
            bits += np.bitwise_count(block[:, None, word] ^ rest[None, :, word])
        yield start, bits
