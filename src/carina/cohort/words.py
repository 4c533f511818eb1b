"""Lists of words and names as patterns: whole, in any case, a trailing asterisk for any ending."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

__all__ = ["has_words", "is_named"]


def has_words(text: str | pl.Expr, words: Sequence[str]) -> pl.Expr:
    """Whether a text has one of the words or phrases; false where there is no text.

    Examples
    --------
    >>> pl.select(has_words(pl.lit("? pneumonias, right base"), ["pneumonia*"])).item()
    True
    >>> pl.select(has_words(pl.lit("supinely"), ["supine"])).item()
    False
    """
    column = pl.col(text) if isinstance(text, str) else text
    if not words:
        return pl.lit(value=False)
    either = "|".join(_pattern(word, r"[\p{L}\p{N}-]*", r"[\s-]+") for word in words)
    pattern = rf"(?i)(?:^|[^\p{{L}}\p{{N}}])(?:{either})(?:$|[^\p{{L}}\p{{N}}])"
    return column.str.contains(pattern).fill_null(value=False)


def is_named(text: str, names: Sequence[str]) -> pl.Expr:
    """Whether a column's whole text is one of the names; false where there is none.

    Examples
    --------
    >>> pl.DataFrame({"o": ["Influenza A virus", None]}).select(is_named("o", ["influenza*"]))["o"].to_list()
    [True, False]
    """
    if not names:
        return pl.lit(value=False).alias(text)
    either = "|".join(_pattern(name, ".*", r"\s+") for name in names)
    return pl.col(text).str.contains(rf"(?i)^\s*(?:{either})\s*$").fill_null(value=False)


def _pattern(word: str, ending: str, space: str) -> str:
    stem = word.removesuffix("*").strip()
    escaped = space.join(re.escape(part) for part in re.split(r"[\s]+", stem) if part)
    return escaped + (ending if word.endswith("*") else "")
