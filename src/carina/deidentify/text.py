"""Free text by allow-list: what is not a known medical or technical word goes (PS3.15 E.3.5, option 113105)."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["clean_text", "is_marker", "vocabulary"]

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_FIRST_LOST_NUMBER: Final = 90
"""A number from here on can be an age over 89, a part of a date or of a telephone number."""
_DIGITS: Final = 2
_KEPT_MARKS: Final = frozenset("/-+,.;:()?&")
_MARKERS: Final = "markers"


@cache
def _lists() -> dict[str, frozenset[str]]:
    """Word lists of the package, by their headings ``[name]``; a line starting with # is a remark."""
    lists: dict[str, set[str]] = {}
    heading = ""
    for line in (files("carina.deidentify") / "data" / "vocabulary.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            heading = line.strip("[] ")
            lists[heading] = set()
        elif not line.startswith("#"):
            lists[heading].update(line.lower().split())
    return {name: frozenset(words) for name, words in lists.items()}


@cache
def vocabulary() -> frozenset[str]:
    """Every word that free text may keep, lower case.

    Examples
    --------
    >>> "pneumonia" in vocabulary(), "papatoetoe" in vocabulary()
    (True, False)
    """
    return frozenset().union(*_lists().values())


def is_marker(text: str) -> bool:
    """Whether words in the pixels are side markers or technical words alone.

    Examples
    --------
    >>> is_marker("R"), is_marker("AP ERECT"), is_marker("R SMITH"), is_marker("PNEUMONIA")
    (True, True, False, False)
    """
    words = _WORD.findall(text.lower())
    return bool(words) and all(word in _lists()[_MARKERS] for word in words)


def clean_text(text: str, avoid: Collection[str] = ()) -> str:
    """Keep the words of the vocabulary, numbers below 90 and plain punctuation; drop the rest.

    Parameters
    ----------
    text : str
        A description, reason or request.
    avoid : collection of str
        Words to drop even if known, lower case: the patient's own names.

    Returns
    -------
    str

    Examples
    --------
    >>> clean_text("CXR PA erect ?pneumonia, Mrs Testcase ZZZ0016 ph 0215550123")
    'CXR PA erect ?pneumonia'
    >>> clean_text("Long line in situ", {"long"})
    'line in situ'
    """
    kept: list[str] = []
    position = 0
    for match in _WORD.finditer(text):
        word = match[0]
        if _known(word, avoid):
            between = text[position : match.start()]
            kept += [_gap(between), word]
        elif kept and kept[-1] != " ":
            kept.append(" ")
        position = match.end()
    return _tidy("".join(kept))


def _known(word: str, avoid: Collection[str]) -> bool:
    if word.isdecimal():
        return len(word) <= _DIGITS and int(word) < _FIRST_LOST_NUMBER
    plain = word.lower()
    return plain in vocabulary() and plain not in avoid


def _gap(between: str) -> str:
    """Keep punctuation and one space of what stood before a kept word; what is dropped leaves a space, too."""
    marks = "".join(mark for mark in between if mark in _KEPT_MARKS or mark.isspace())
    return " ".join(marks.split(" ")) if marks.strip() else " " if between else ""


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(?<=[,;:.])(?:\s*[,;:.])+", "", text)
    return text.strip(" ,;:.-/&+")
