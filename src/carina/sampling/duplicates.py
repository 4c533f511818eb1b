"""Perceptual hashes: finding the same picture under another name, size or compression (M11).

The hash is the signs, about their median, of the 16 x 16 lowest waves (those that vary along both axes) of the cosine
transform of the film's ranks of grey at 64 x 64 pixels. Its length and threshold were measured on 6,920 real films, 103
of them known copies of another (collections that share films), with 23.9 million pairs of films of different patients:

==========================  ===================  =======================================
hash                        copies found         pairs of different patients within
==========================  ===================  =======================================
64 bit, within 2 bits       95 of 103 (92.2 %)   1
64 bit, within 8 bits       98 of 103 (95.1 %)   2,767
256 bit, grey, within 32    98 of 103 (95.1 %)   0 (nearest 42 bits)
256 bit, ranks, within 32   98 of 103 (95.1 %)   0 (nearest 40 bits)
64 x 64 films, r >= 0.98    96 of 103 (93.2 %)   0
==========================  ===================  =======================================

Frontal chest films look alike, so 64 bits are too few: films of different patients collide before the copies are found.
Of 400 films changed on purpose the chosen hash finds all after squashing to 224 x 224, JPEG of quality 30, gamma 1.5 or
histogram equalisation, 98 % after a window, 98 % after a shift by 1 %, and 16 % after a crop by 2 % a side: the five
copies not found are such crops, and where they are known, `duplicate_of` says so. Turned or inverted films are not
found, so hash a film as it left the quality gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.stats import rankdata

from carina.errors import TableError
from carina.types import Array

__all__ = [
    "DEFAULT_BITS",
    "HASH_BITS",
    "Across",
    "hamming",
    "near_duplicates",
    "nearest_across",
    "perceptual_hash",
    "within_reach",
]

HASH_BITS = 256
"""Bits of a perceptual hash."""

DEFAULT_BITS = 32
"""Hashes that differ in at most so many bits are one picture."""

_SIDE = 64
_WAVES = 16
_WORDS = HASH_BITS // 64
_TILE = 1 << 19  # pairs compared at once: 4 MiB a word, which stays in the cache
_PLANE = 2


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

    Raises
    ------
    ValueError
        If the array is not two-dimensional or is empty.

    References
    ----------
    C. Zauner, Implementation and benchmarking of perceptual image hash functions, diploma thesis, Hagenberg 2010,
    for the shorter hash that this one extends.

    Examples
    --------
    >>> film = np.random.default_rng(1).random((96, 80), dtype=np.float32)
    >>> hamming(perceptual_hash(film), perceptual_hash(np.float32(0.5) * film)) <= 2
    True
    """
    if pixels.ndim != _PLANE or pixels.size == 0:
        raise ValueError(f"pixels must have the shape (H, W); found {pixels.shape!r}")
    small = cv2.resize(np.asarray(pixels, dtype=np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    ranks = rankdata(small).reshape(_SIDE, _SIDE)
    waves = np.asarray(dctn(ranks, norm="ortho"))[1 : _WAVES + 1, 1 : _WAVES + 1].ravel()
    return np.packbits(waves > np.median(waves)).tobytes().hex()


def hamming(one: str, other: str) -> int:
    """Count the differing bits of two hashes.

    Examples
    --------
    >>> hamming("0f", "0e")
    1
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()


def near_duplicates(hashes: Sequence[str], threshold_bits: int = DEFAULT_BITS) -> NDArray[np.intp]:
    """Find the pairs of films that are one picture.

    Parameters
    ----------
    hashes : sequence of str
        64 hex digits each.
    threshold_bits : int
        Hashes that differ in at most so many bits are one picture.

    Returns
    -------
    ndarray of int, (P, 2)
        Row numbers, the smaller first, in ascending order.

    Raises
    ------
    TableError
        If a hash is not 64 hex digits.
    """
    words = _words(hashes)
    found = [np.zeros((0, 2), dtype=np.intp)]
    for start, bits in _distances(words):
        rows, columns = np.nonzero(bits <= threshold_bits)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    return np.concatenate(found)


def nearest_across(hashes: Sequence[str], groups: NDArray[np.integer], threshold_bits: int = DEFAULT_BITS) -> Across:
    """Compare films of different groups.

    Parameters
    ----------
    hashes : sequence of str
        64 hex digits each.
    groups : ndarray of int, (N,)
        Group of each film, such as its split.
    threshold_bits : int
        Hashes that differ in at most so many bits are one picture.

    Returns
    -------
    Across

    Raises
    ------
    TableError
        If a hash is not 64 hex digits.
    """
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


def within_reach(hashes: Sequence[str], known: Sequence[str], threshold_bits: int = DEFAULT_BITS) -> NDArray[np.bool_]:
    """Say which films are the same picture as a known one.

    Parameters
    ----------
    hashes, known : sequence of str
        64 hex digits each; `known` such as a bundle's training films.
    threshold_bits : int
        Hashes that differ in at most so many bits are one picture.

    Returns
    -------
    ndarray of bool, (N,)
        Per film of `hashes`.

    Raises
    ------
    TableError
        If a hash is not 64 hex digits.
    """
    result = np.zeros(len(hashes), dtype=np.bool_)
    if not len(hashes) or not len(known):
        return result
    words, others = _words(hashes), _words(known)
    block = max(1, _TILE // len(others))
    for start in range(0, len(words), block):
        bits = _differing(words[start : start + block], others)
        result[start : start + block] = (bits <= threshold_bits).any(axis=1)
    return result


def _words(hashes: Sequence[str]) -> NDArray[np.uint64]:
    try:
        content = [bytes.fromhex(value) for value in hashes]
    except ValueError as error:
        raise TableError(
            f"every perceptual hash must be {HASH_BITS // 4} hex digits; found other characters"
        ) from error
    if wrong := [value for value in content if len(value) * 8 != HASH_BITS]:
        raise TableError(f"every perceptual hash must be {HASH_BITS // 4} hex digits; found {2 * len(wrong[0])} digits")
    return np.frombuffer(b"".join(content), dtype=np.uint64).reshape(len(hashes), _WORDS)


def _distances(words: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Differing bits of a block of rows with itself and all later rows, (block, rows from its start on)."""
    start = 0
    while start < len(words):
        block = max(1, _TILE // (len(words) - start))
        yield start, _differing(words[start : start + block], words[start:])
        start += block


def _differing(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint16]:
    bits = np.zeros((len(one), len(other)), dtype=np.uint16)
    for word in range(_WORDS):
        bits += np.bitwise_count(one[:, None, word] ^ other[None, :, word])
    return bits
