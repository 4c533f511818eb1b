"""Words in pixels, read by tesseract over pipes: nothing of a film is written to a temporary file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from carina.deidentify.regions import Line, find_lines
from carina.errors import RemovalError
from carina.types import Bytes

__all__ = ["Reading", "has_tesseract", "read_lines", "read_words"]

_LETTER: Final = 30
"""Height to which letters are brought, pixels: tesseract reads best at 20 to 40."""
_GAP: Final = 26
_LONGEST: Final = 2400
_MOST_LINES: Final = 60
_LEAST_CONFIDENCE: Final = 20.0
_SECONDS: Final = 120
_COLUMNS: Final = 12
_TOP, _HEIGHT, _CONFIDENCE, _WORD = 7, 9, 10, 11
_LEAST_SCALE, _MOST_SCALE = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A line and the words read in it with tesseract's confidence in each, 0 to 100; empty when none could be."""

    line: Line
    words: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word for word, _ in self.words)


@cache
def has_tesseract() -> bool:
    """Whether the program tesseract is installed."""
    return shutil.which("tesseract") is not None


def read_words(grey: Bytes) -> list[str]:
    """Read all words that a picture seems to hold, line by line.

    Parameters
    ----------
    grey : ndarray of uint8, (H, W)

    Returns
    -------
    list of str
        A line each; what runs up or down the film occurs in both directions of reading.

    Raises
    ------
    RemovalError
        If tesseract is not installed or fails.
    """
    return [reading.text for reading in read_lines(grey, find_lines(grey)) if reading.words]


def read_lines(grey: Bytes, lines: Sequence[Line]) -> list[Reading]:
    """Read lines of a picture, all of them in one run of tesseract.

    Parameters
    ----------
    grey : ndarray of uint8, (H, W)
    lines : sequence of Line

    Returns
    -------
    list of Reading
        In the order of `lines`.

    Raises
    ------
    RemovalError
        If tesseract is not installed or fails.
    """
    readings: list[Reading] = []
    for start in range(0, len(lines), _MOST_LINES):
        readings += _read_some(grey, lines[start : start + _MOST_LINES])
    return readings


def _read_some(grey: Bytes, lines: Sequence[Line]) -> list[Reading]:
    strips: list[Bytes] = []
    owners: list[int] = []
    for number, line in enumerate(lines):
        for strip in _strips(grey, line):
            strips.append(strip)
            owners.append(number)
    width = max((strip.shape[1] for strip in strips), default=0) + 2 * _GAP
    rows = [_GAP]
    for strip in strips:
        rows.append(rows[-1] + strip.shape[0] + _GAP)
    sheet = np.full((rows[-1] + _GAP, width), 255, np.uint8)
    for top, strip in zip(rows, strips, strict=False):
        sheet[top : top + strip.shape[0], _GAP : _GAP + strip.shape[1]] = strip
    words: list[list[tuple[str, float]]] = [[] for _ in lines]
    for middle, word, sure in _recognised(sheet):
        place = int(np.searchsorted(np.asarray(rows), middle, side="right")) - 1
        if 0 <= place < len(owners):
            words[owners[place]].append((word, sure))
    return [Reading(line, tuple(found)) for line, found in zip(lines, words, strict=True)]


def _strips(grey: Bytes, line: Line) -> list[Bytes]:
    """Cut a line out, upright, dark on white, letters of one height; what runs up or down in both directions."""
    x, y, wide, high = line.box
    pad = max(2, round(0.35 * line.tall))
    cut = grey[max(0, y - pad) : y + high + pad, max(0, x - pad) : x + wide + pad]
    if cut.size == 0:
        return []
    cut = 255 - cut if line.bright else cut
    scale = float(np.clip(_LETTER / line.tall, _LEAST_SCALE, _MOST_SCALE))
    scale = min(scale, _LONGEST / max(cut.shape))
    cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    low, high_grey = np.percentile(cut, (1, 60))
    spread = np.clip((cut.astype(np.float32) - low) * (255.0 / max(float(high_grey - low), 8.0)), 0, 255)
    strip = np.ascontiguousarray(spread.astype(np.uint8))
    if line.upright:
        return [strip]
    return [cv2.rotate(strip, cv2.ROTATE_90_CLOCKWISE), cv2.rotate(strip, cv2.ROTATE_90_COUNTERCLOCKWISE)]


def _recognised(sheet: Bytes) -> list[tuple[float, str, float]]:
    """Middle row, word and confidence of all that tesseract reads on a sheet."""
    if not has_tesseract():
        raise RemovalError("the pixels of a film must be read, and tesseract is not installed; install tesseract-ocr")
    header = f"P5\n{sheet.shape[1]} {sheet.shape[0]}\n255\n".encode("ascii")
    command = ["tesseract", "stdin", "stdout", "-l", "eng", "--dpi", "150", "--psm", "6", "tsv"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; the picture goes through a pipe
            command,
            input=header + sheet.tobytes(),
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # one thread: films run side by side
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RemovalError(
            f"tesseract must read the pixels of a film, and failed ({type(error).__name__}); see that `tesseract "
            "--list-langs` names eng"
        ) from error
    found: list[tuple[float, str, float]] = []
    for row in done.stdout.decode("utf-8", "replace").splitlines()[1:]:
        cells = row.split("\t")
        if (
            len(cells) == _COLUMNS
            and re.search(r"[^\W_]", cells[_WORD])
            and float(cells[_CONFIDENCE]) >= _LEAST_CONFIDENCE
        ):
            found.append((int(cells[_TOP]) + int(cells[_HEIGHT]) / 2, cells[_WORD].strip(), float(cells[_CONFIDENCE])))
    return found
