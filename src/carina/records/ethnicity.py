"""Ethnicity as the health sector records and prioritises it (M17, HISO 10001).

A person may give several answers, coded at one of four levels: the first digit is level 1, the first two level 2, three
level 3, five level 4. Prioritisation leaves one: Maori before Pacific, Asian, MELAA (Middle Eastern, Latin American,
African), Other, European. Answers that are none (refused, not stated) leave Unknown.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import polars as pl

from carina.records.organisms import fold as _fold

__all__ = ["GROUPS", "ethnic_group", "ethnicity_name", "ethnicity_ranks", "prioritise", "prioritise_expr"]

GROUPS = ("Maori", "Pacific", "Asian", "MELAA", "Other", "European", "Unknown")
"""The prioritised groups, highest first; Unknown stands last."""

_RESIDUAL = "9"


@cache
def _codes() -> dict[str, str]:
    """Every code of levels 1 to 4 and its name."""
    data = tomllib.loads(files("carina.records").joinpath("ethnicity.toml").read_text("utf-8"))
    return {code: name for level in ("level1", "level2", "level3", "level4") for code, name in data[level].items()}


@cache
def _groups() -> dict[str, str]:
    """Every code and folded name to its prioritised group."""
    data = tomllib.loads(files("carina.records").joinpath("ethnicity.toml").read_text("utf-8"))
    by_digit = data["groups"]
    found = {code: by_digit[code[0]] for code in _codes()}
    # More detailed levels first, so that a name that two levels share keeps its own group; all agree by their digit.
    for code, name in _codes().items():
        found.setdefault(_folded(name), by_digit[code[0]])
    found.update({_folded(word): group for word, group in data["words"].items()})
    return found


def _folded(text: str) -> str:
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return _fold(plain)


def ethnicity_name(code: str) -> str | None:
    """Name of a code of any level, or None.

    Examples
    --------
    >>> ethnicity_name("43"), ethnicity_name("43112")
    ('Indian', 'Fijian Indian')
    """
    return _codes().get(code.strip())


def ethnic_group(answer: str) -> str | None:
    """Group of one answer: a code of any level, or its name.

    Parameters
    ----------
    answer : str
        Such as ``"21"``, ``"21111"``, ``"Māori"`` or ``"Refused to Answer"``.

    Returns
    -------
    str or None
        One of `GROUPS`; None where the answer is on no list.

    Examples
    --------
    >>> ethnic_group("31111"), ethnic_group("Cook Islands Māori"), ethnic_group("95"), ethnic_group("Martian")
    ('Pacific', 'Pacific', 'Unknown', None)
    """
    return _groups().get(answer.strip(), _groups().get(_folded(answer)))


def prioritise(answers: Iterable[str]) -> str:
    """One group of several answers (M17).

    Parameters
    ----------
    answers : iterable of str
        Codes of any level, or names; answers on no list count as Unknown.

    Returns
    -------
    str
        One of `GROUPS`.

    References
    ----------
    HISO 10001:2017 Ethnicity Data Protocols, prioritised output.

    Examples
    --------
    >>> prioritise(["11111", "21111", "42100"]), prioritise(["99"]), prioritise(["European", "61118"])
    ('Maori', 'Unknown', 'Other')
    """
    ranks = [GROUPS.index(ethnic_group(answer) or "Unknown") for answer in answers]
    return GROUPS[min(ranks, default=GROUPS.index("Unknown"))]


def ethnicity_ranks(answers: Iterable[str]) -> dict[str, int]:
    """Rank in `GROUPS` of each distinct answer that is on a list; the rest are absent."""
    found = {answer: ethnic_group(answer) for answer in set(answers)}
    return {answer: GROUPS.index(group) for answer, group in found.items() if group is not None}


def prioritise_expr(column: str | pl.Expr, ranks: dict[str, int]) -> pl.Expr:
    """`prioritise` over a column of lists of answers.

    Parameters
    ----------
    column : str or polars.Expr of list[str]
    ranks : dict of str to int
        From `ethnicity_ranks` of the distinct answers; others count as Unknown.

    Returns
    -------
    polars.Expr of str
        One of `GROUPS`.
    """
    answers = pl.col(column) if isinstance(column, str) else column
    unknown = GROUPS.index("Unknown")
    rank = answers.list.eval(
        pl.element().replace_strict(ranks, default=unknown, return_dtype=pl.Int8)
        if ranks
        else pl.lit(unknown, dtype=pl.Int8)
    ).list.min()
    return rank.fill_null(unknown).replace_strict(dict(enumerate(GROUPS)), return_dtype=pl.String)
