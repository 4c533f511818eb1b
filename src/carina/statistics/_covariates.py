"""A covariate of a regression: a number, or categories (M32)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_FILMS", "Covariate", "read_covariate"]

LEAST_FILMS = 5
"""Categories of fewer films are left out."""


@dataclass(frozen=True, slots=True)
class Covariate:
    """Columns that stand for a covariate.

    Attributes
    ----------
    name : str
    kept : ndarray of bool, (N,)
        Films with a value, of a category that takes part.
    columns : ndarray, (M, C)
        Of the kept films: the centred number over its spread, or a column a category but for the first.
    names : tuple of str, C
        What each column's coefficient means.
    scales : tuple of float, C
        What a coefficient is divided by to mean that.
    left_out : dict of str to int
        Films without a value, or of a category that takes no part, by reason.
    """

    name: str
    kept: NDArray[np.bool_]
    columns: NDArray[np.float64]
    names: tuple[str, ...]
    scales: tuple[float, ...]
    left_out: dict[str, int]


def read_covariate(
    values: NDArray[Any], name: str, unit: float = 1.0, output: NDArray[np.float64] | None = None
) -> Covariate:
    """Numbers as they are, words as categories; missing values and small categories are left out and counted."""
    if values.dtype.kind in "fiub":
        return _number(values.astype(np.float64), name, unit)
    if values.dtype.kind == "O" and all(value is None or isinstance(value, (int, float)) for value in values):
        numbers = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
        return _number(numbers, name, unit)
    words = np.array(["" if _missing(value) else str(value) for value in values], dtype=object)
    return _categories(words, name, output)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value))) or str(value) == ""


def _number(values: NDArray[np.float64], name: str, unit: float) -> Covariate:
    kept = np.isfinite(values)
    left_out = {"no value": int((~kept).sum())} if not kept.all() else {}
    found = values[kept]
    spread = float(found.std()) if found.size else 0.0
    if spread <= 1e-12 * max(1.0, float(np.abs(found).max(initial=0.0))):
        return Covariate(name, kept, np.empty((found.size, 0)), (), (), left_out)
    words = name if unit == 1 else f"{name}, per {unit:g}"
    return Covariate(name, kept, ((found - found.mean()) / spread)[:, None], (words,), (spread / unit,), left_out)


def _categories(words: NDArray[Any], name: str, output: NDArray[np.float64] | None) -> Covariate:
    kept = words != ""
    left_out = {"no value": int((~kept).sum())} if not kept.all() else {}
    for word, count in sorted(Counter(words[kept].tolist()).items()):
        here = words == word
        flat = output is not None and float(np.ptp(output[here])) <= 1e-12  # noqa: PLR2004 - rounding
        if count < LEAST_FILMS or flat:
            reason = f"fewer than {LEAST_FILMS} films" if count < LEAST_FILMS else "the output does not vary"
            left_out[f"{name} {word}: {reason}"] = count
            kept &= ~here
    counts = Counter(words[kept].tolist())
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    found = words[kept]
    columns = np.zeros((found.size, max(len(ordered) - 1, 0)))
    for place, word in enumerate(ordered[1:]):
        columns[:, place] = found == word
    names = tuple(f"{name}: {word} against {ordered[0]}" for word in ordered[1:])
    return Covariate(name, kept, columns, names, (1.0,) * len(names), left_out)
