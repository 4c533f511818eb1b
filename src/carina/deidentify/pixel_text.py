"""Identifiers in what was read out of pixels, where an O may be a 0 and an S a 5."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from carina.deidentify.needles import Needles, folded
from carina.deidentify.text import is_marker

__all__ = ["PixelText"]

_ALIKE: Final = str.maketrans("OQDILJ|!ZSBGTA", "00011111258674")
_TO_LETTER: Final = str.maketrans("0123456789", "QJZBASGTBP")
_TO_DIGIT: Final = str.maketrans("QDOIJLZASGTB", "000111245678")
_LETTERS, _DIGITS, _ALL = 3, 2, 7
_LEAST: Final = 5
_NHI_LETTERS: Final = re.compile(r"[A-HJ-NP-Z]+")


class PixelText:
    """Finds identifiers in lines of OCR, forgiving what OCR confuses.

    Parameters
    ----------
    needles : Needles

    Examples
    --------
    >>> pixels = PixelText(Needles([("PAAA", "nhi", "ZZZ0016"), ("PAAA", "name", "TESTCASE^ANN")]))
    >>> sorted(kind for kind, _ in pixels.found("ZZZOO16 TE5TCASE"))
    ['name', 'nhi', 'nhi_shape']
    >>> list(pixels.found("AP ERECT PORTABLE"))
    []
    """

    def __init__(self, needles: Needles) -> None:
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}
        lengths: set[int] = set()
        for pattern, index in needles.patterns.items():
            target = needles.targets[index]
            plain = _alike(pattern)
            if len(plain) >= _LEAST and target.kind in ("nhi", "mrn", "accession", "name") and not is_marker(pattern):
                self._known[plain] = (target.kind, target.patients)
                lengths.add(len(plain))
        self._lengths = sorted(lengths)

    def found(self, line: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Kinds of identifiers in a line, and the patients behind them."""
        words = [word for word in line.split() if not is_marker(word)]
        plain = _alike("".join(words))
        for length in self._lengths:
            for start in range(len(plain) - length + 1):
                known = self._known.get(plain[start : start + length])
                if known is not None:
                    yield known
        for word in words:
            for part in re.findall(r"[A-Za-z0-9]+", word):
                if _nhi_shaped(part.upper()):
                    yield "nhi_shape", ()


def _alike(text: str) -> str:
    """Letters and digits alone, those that look alike written alike."""
    return re.sub(r"[^A-Z0-9]", "", folded(text).upper().translate(_ALIKE))


def _nhi_shaped(word: str) -> bool:
    """Whether a word has an NHI's shape once digits among its letters are read as letters, and the other way round."""
    if len(word) != _ALL or not re.search(r"\d", word) or not re.search(r"[A-Z]", word):
        return False
    letters, digits = word[:_LETTERS].translate(_TO_LETTER), word[_LETTERS : _LETTERS + _DIGITS].translate(_TO_DIGIT)
    last = word[_LETTERS + _DIGITS :]
    if not _NHI_LETTERS.fullmatch(letters) or not digits.isdecimal():
        return False
    return last.translate(_TO_DIGIT).isdecimal() or bool(_NHI_LETTERS.fullmatch(last.translate(_TO_LETTER)))
